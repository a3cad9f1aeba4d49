"""`httpboot boot`: have a machine boot a URL through its BMC."""

from __future__ import annotations

from typing import Annotated, Any, assert_never

import typer

from ironic_httpboot.cli import output
from ironic_httpboot.cli.bmc import (
    Address,
    CaFile,
    Insecure,
    PasswordFile,
    SystemId,
    Username,
    credentials,
    tls,
)
from ironic_httpboot.events import Event, Reached
from ironic_httpboot.model import BootUrl
from ironic_httpboot.redfish import client
from ironic_httpboot.redfish.plan import Expect, Patch, Reset, Step
from ironic_httpboot.redfish.transport import Transport


def boot(
    url: Annotated[str, typer.Argument(help="What to boot: http(s)://…, ending in .iso, .img or .efi.", metavar="URL")],
    bmc: Address,
    system: SystemId = None,
    username: Username = None,
    password_file: PasswordFile = None,
    bmc_ca: CaFile = None,
    insecure: Insecure = False,
    persistent: Annotated[bool, typer.Option("--persistent", help="At every boot from now on, not only once.")] = False,
    no_reset: Annotated[
        bool, typer.Option("--no-reset", help="Set the override, and leave the machine alone.")
    ] = False,
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
    for concern in target.concerns():
        output.err.print(f"[yellow]warning:[/yellow] {target.redacted}: {concern}")

    def show(event: Event) -> None:
        if isinstance(event, Reached) and not as_json:
            output.out.print(f"[green]{event.stage.value}[/green] {event.detail}")

    with Transport(bmc, tls(bmc_ca, insecure=insecure)) as transport:
        report = client.boot(
            transport,
            target,
            credentials=credentials(username, password_file),
            system_id=system,
            persistent=persistent,
            reset=not no_reset,
            dry_run=dry_run,
            on_event=show,
        )
    if as_json:
        output.print_json(
            {
                "bmc": report.bmc,
                "system": report.system,
                "power": report.power,
                "done": report.done,
                "steps": [_step_as_json(step) for step in report.steps],
            }
        )
    elif dry_run:
        output.out.print(f"{report.bmc}, system {report.system}, now {report.power or 'in an unknown power state'}:")
        for number, step in enumerate(report.steps, start=1):
            output.out.print(f"{number}. {_step_in_words(step)}", markup=False)
    else:
        done = "will boot" if no_reset else "boots"
        output.out.print(f"{report.bmc}, system {report.system}: {done} {target.redacted}", markup=False)


def _step_as_json(step: Step) -> dict[str, Any]:
    match step:
        case Patch(path=path, shown=shown, etag=etag):
            return {"method": "PATCH", "path": path, "body": shown, "if_match": etag}
        case Expect(path=path, boot=boot):
            return {"method": "GET", "path": path, "expect": {**boot, "HttpBootUri": "as sent"}}
        case Reset(path=path, kind=kind):
            return {"method": "POST", "path": path, "body": {"ResetType": kind}}
        case _:
            assert_never(step)


def _step_in_words(step: Step) -> str:
    match step:
        case Patch(path=path, shown=shown, etag=etag):
            settings = ", ".join(f"{name} = {value}" for name, value in shown["Boot"].items())
            return f"PATCH {path}{f' if it is still {etag}' if etag else ''}: {settings}"
        case Expect(path=path):
            return f"GET {path} and compare; stop here if anything differs"
        case Reset(path=path, kind=kind):
            return f"POST {path}: {kind}"
        case _:
            assert_never(step)
