"""`httpboot clear`: take back what `httpboot boot` has set in a BMC."""

from __future__ import annotations

from typing import Annotated

import typer

from ironic_httpboot.cli import bmc as reach
from ironic_httpboot.cli import output
from ironic_httpboot.redfish import client


def clear(
    bmc: reach.Address,
    system: reach.SystemId = None,
    username: reach.Username = None,
    password_file: reach.PasswordFile = None,
    bmc_ca: reach.CaFile = None,
    insecure: reach.Insecure = False,
    timeout: reach.Timeout = reach.TIMEOUT_SECONDS,
    patience: reach.Patience = reach.PATIENCE_SECONDS,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read, and show what would be sent; change nothing.")
    ] = False,
    as_json: output.AsJson = False,
) -> None:
    """Take a boot override back: disabled, no URL, BIOS attributes as they are without one.

    The machine is not reset. Where there is nothing to take back, nothing is sent.

    Example: httpboot clear --bmc https://bmc7 --username admin
    """
    with reach.transport(bmc, ca=bmc_ca, insecure=insecure, timeout=timeout, patience=patience) as transport:
        report = client.clear(
            transport,
            credentials=reach.credentials(username, password_file),
            system_id=system,
            dry_run=dry_run,
            on_event=(lambda event: None) if as_json else reach.show,
        )
    done = "boots as it always does" if report.steps else "there was nothing to take back"
    reach.tell(report, done, as_json=as_json, dry_run=dry_run)
