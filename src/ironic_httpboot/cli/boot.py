"""`httpboot boot`: have a machine boot a URL through its BMC."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, assert_never

import typer

from ironic_httpboot import config
from ironic_httpboot.cli import output
from ironic_httpboot.errors import InputError
from ironic_httpboot.events import Event, Reached
from ironic_httpboot.model import BootUrl
from ironic_httpboot.redfish import client
from ironic_httpboot.redfish.plan import Expect, Patch, Reset, Step
from ironic_httpboot.redfish.transport import Tls, Transport

PASSWORD_VARIABLE = "HTTPBOOT_BMC_PASSWORD"


def boot(
    url: Annotated[str, typer.Argument(help="What to boot: http(s)://…, ending in .iso, .img or .efi.", metavar="URL")],
    bmc: Annotated[str, typer.Option(help="The BMC: https://HOST[:PORT].", metavar="URL", envvar="HTTPBOOT_BMC")],
    system: Annotated[
        str | None, typer.Option(help="The system's id, where the BMC has several.", metavar="ID")
    ] = None,
    username: Annotated[str | None, typer.Option(help="Who logs in.", envvar="HTTPBOOT_BMC_USERNAME")] = None,
    password_file: Annotated[
        Path | None, typer.Option(help=f"A file with the password; or set {PASSWORD_VARIABLE}.", metavar="FILE")
    ] = None,
    bmc_ca: Annotated[
        Path | None, typer.Option(help="PEM file of the CA that signed the BMC's certificate.", metavar="FILE")
    ] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Do not verify the BMC's certificate.")] = False,
    persistent: Annotated[bool, typer.Option("--persistent", help="At every boot from now on, not only once.")] = False,
    no_reset: Annotated[
        bool, typer.Option("--no-reset", help="Set the override, and leave the machine alone.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read, and show what would be sent; change nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Have a machine boot a URL once: set the override, read it back, reset the machine.

    Nothing is reset unless the BMC shows, when it is asked again, exactly what it was sent.

    Example: httpboot boot http://192.0.2.1:8080/images/rescue.iso --bmc https://bmc7 --username admin
    """
    target = BootUrl.parse(url)
    if bmc_ca is not None and insecure:
        raise InputError("--bmc-ca and --insecure: only one of them makes sense")
    if bmc_ca is not None and not bmc_ca.is_file():
        raise InputError(f"--bmc-ca {bmc_ca}: is no file")
    for concern in target.concerns():
        output.err.print(f"[yellow]warning:[/yellow] {target.redacted}: {concern}")
    tls = Tls(verify=not insecure, ca_file=str(bmc_ca) if bmc_ca else None)

    def show(event: Event) -> None:
        if isinstance(event, Reached) and not as_json:
            output.out.print(f"[green]{event.stage.value}[/green] {event.detail}")

    with Transport(bmc, tls) as transport:
        report = client.boot(
            transport,
            target,
            credentials=_credentials(username, password_file),
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


def _credentials(username: str | None, password_file: Path | None) -> client.Credentials | None:
    password = os.environ.get(PASSWORD_VARIABLE)
    if password_file is not None:
        password = config.read_secret(password_file)
    if username is None and password is None:
        return None
    if username is None or password is None:
        missing = "--username" if username is None else f"--password-file, or {PASSWORD_VARIABLE}"
        raise InputError("credentials: half of them is missing", hint=f"give {missing} as well")
    return client.Credentials(username=username, password=password)


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
