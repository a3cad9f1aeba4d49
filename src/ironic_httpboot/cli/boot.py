"""`httpboot boot`: have a machine boot a URL through its BMC."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ironic_httpboot.cli import bmc as reach
from ironic_httpboot.cli import output
from ironic_httpboot.cli.server_log import ServerLog
from ironic_httpboot.errors import InputError
from ironic_httpboot.events import Stage
from ironic_httpboot.model import BootUrl
from ironic_httpboot.redfish import client
from ironic_httpboot.redfish.wait import WAITABLE, Until

_STAGES = {stage.value.replace(" ", "-").lower(): stage for stage in WAITABLE}


def boot(
    url: Annotated[str, typer.Argument(help="What to boot: http(s)://…, ending in .iso, .img or .efi.", metavar="URL")],
    bmc: reach.Address,
    system: reach.SystemId = None,
    username: reach.Username = None,
    password_file: reach.PasswordFile = None,
    bmc_ca: reach.CaFile = None,
    insecure: reach.Insecure = False,
    timeout: reach.Timeout = reach.TIMEOUT_SECONDS,
    patience: reach.Patience = reach.PATIENCE_SECONDS,
    persistent: Annotated[bool, typer.Option("--persistent", help="At every boot from now on, not only once.")] = False,
    no_reset: Annotated[
        bool, typer.Option("--no-reset", help="Set the override, and leave the machine alone.")
    ] = False,
    wait: Annotated[str | None, typer.Option(help=f"Wait for a stage: {', '.join(_STAGES)}.", metavar="STAGE")] = None,
    wait_seconds: Annotated[float, typer.Option(help="The longest to wait for it.", metavar="SECONDS", min=1)] = Until(
        stage=Stage.POWER_ON
    ).seconds,
    events: Annotated[
        Path | None, typer.Option(help="Where `httpboot serve --json` writes: shows head and get.", metavar="FILE")
    ] = None,
    events_of: Annotated[
        str | None, typer.Option(help="Whose requests count: its name in the server, or address.", metavar="MACHINE")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read, and show what would be sent; change nothing.")
    ] = False,
    as_json: output.AsJson = False,
) -> None:
    """Have a machine boot a URL once: set the override, read it back, reset the machine.

    Nothing is reset unless the BMC shows, when it is asked again, exactly what it was sent.

    Example: httpboot boot http://192.0.2.1:8080/images/rescue.iso --bmc https://bmc7 --username admin
    """
    target = BootUrl.parse(url)
    until = _until(wait, wait_seconds, no_reset=no_reset)
    if until is not None and events is not None:
        until = _heard(until, events, target, events_of)
    for concern in target.concerns():
        output.err.print(f"[yellow]warning:[/yellow] {target.redacted}: {concern}")
    with reach.transport(bmc, ca=bmc_ca, insecure=insecure, timeout=timeout, patience=patience) as transport:
        report = client.boot(
            transport,
            target,
            credentials=reach.credentials(username, password_file),
            system_id=system,
            persistent=persistent,
            reset=not no_reset,
            dry_run=dry_run,
            until=until,
            on_event=(lambda event: None) if as_json else reach.show,
        )
    done = f"{'will boot' if no_reset else 'boots'} {target.redacted}"
    reach.tell(report, done, as_json=as_json, dry_run=dry_run)


def _until(wait: str | None, seconds: float, *, no_reset: bool) -> Until | None:
    """What to wait for. Raises InputError."""
    if wait is None:
        return None
    stage = _STAGES.get(wait.lower().replace(" ", "-"))
    if stage is None:
        raise InputError(f"--wait {wait}: is no stage to wait for", hint=f"there are {', '.join(_STAGES)}")
    if no_reset:
        raise InputError("--wait and --no-reset: only one of them makes sense")
    return Until(stage=stage, seconds=seconds)


def _heard(until: Until, events: Path, target: BootUrl, of: str | None) -> Until:
    """The same wait, with an artifact server's events. Raises InputError."""
    alone = until.stage in (Stage.HEAD, Stage.GET)
    return replace(until, events=ServerLog(events, target, of=of, alone=alone))
