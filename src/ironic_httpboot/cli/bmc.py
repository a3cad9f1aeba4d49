"""The options by which every command reaches a BMC, and what becomes of them.

Knows their names, help and environment variables, and how a transport is opened from them. Refuses to know what is
asked of the BMC.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from ironic_httpboot import config
from ironic_httpboot.cli import output
from ironic_httpboot.errors import InputError
from ironic_httpboot.events import Event, Reached
from ironic_httpboot.redfish import Credentials, Limits, Report, Tls, Transport
from ironic_httpboot.redfish.steps import as_data, in_words

PASSWORD_VARIABLE = "HTTPBOOT_BMC_PASSWORD"

Address: TypeAlias = Annotated[
    str, typer.Option(help="The BMC: https://HOST[:PORT].", metavar="URL", envvar="HTTPBOOT_BMC")
]
SystemId: TypeAlias = Annotated[
    str | None, typer.Option(help="The system's id, where the BMC has several.", metavar="ID")
]
Username: TypeAlias = Annotated[str | None, typer.Option(help="Who logs in.", envvar="HTTPBOOT_BMC_USERNAME")]
PasswordFile: TypeAlias = Annotated[
    Path | None, typer.Option(help=f"A file with the password; or set {PASSWORD_VARIABLE}.", metavar="FILE")
]
CaFile: TypeAlias = Annotated[
    Path | None, typer.Option(help="PEM file of the CA that signed the BMC's certificate.", metavar="FILE")
]
Insecure: TypeAlias = Annotated[bool, typer.Option("--insecure", help="Do not verify the BMC's certificate.")]
Timeout: TypeAlias = Annotated[
    float, typer.Option(help="The longest that an answer may take, to its last byte.", metavar="SECONDS", min=1)
]
Patience: TypeAlias = Annotated[
    float, typer.Option(help="How long, in all, a BMC that is busy is asked again.", metavar="SECONDS", min=0)
]

TIMEOUT_SECONDS = Limits().answer_seconds
PATIENCE_SECONDS = Limits().patience_seconds


def transport(address: str, *, ca: Path | None, insecure: bool, timeout: float, patience: float) -> Transport:
    """The way to the BMC, to be closed after use. Raises InputError."""
    if ca is not None and insecure:
        raise InputError("--bmc-ca and --insecure: only one of them makes sense")
    if ca is not None and not ca.is_file():
        raise InputError(f"--bmc-ca {ca}: is no file")
    limits = Limits(
        connect_seconds=min(Limits().connect_seconds, timeout), answer_seconds=timeout, patience_seconds=patience
    )
    return Transport(address, Tls(verify=not insecure, ca_file=str(ca) if ca else None), limits)


def credentials(username: str | None, password_file: Path | None) -> Credentials | None:
    """Who is to log in, or None where nobody was named. Raises InputError, BadConfig."""
    password = os.environ.get(PASSWORD_VARIABLE)
    if password_file is not None:
        password = config.read_secret(password_file)
    if username is None and password is None:
        return None
    if username is None or password is None:
        missing = "--username" if username is None else f"--password-file, or {PASSWORD_VARIABLE}"
        raise InputError("credentials: half of them is missing", hint=f"give {missing} as well")
    return Credentials(username=username, password=password)


def show(event: Event) -> None:
    """What was reached, a line."""
    if isinstance(event, Reached):
        output.out.print(f"[green]{event.stage.value}[/green] ", end="")
        output.out.print(event.detail, markup=False)


def tell(report: Report, done: str, *, as_json: bool, dry_run: bool) -> None:
    """What was done, or would be. done: the same in words, behind the system's name."""
    if as_json:
        _tell_as_json(report)
    elif dry_run:
        _tell_in_words(report)
    else:
        output.out.print(f"{report.bmc}, system {report.system}: {done}", markup=False)


def _tell_as_json(report: Report) -> None:
    """For programs."""
    output.print_json(
        {
            "bmc": report.bmc,
            "system": report.system,
            "power": report.power,
            "done": report.done,
            "steps": [as_data(step) for step in report.steps],
            "undo": [as_data(step) for step in report.undo],
        }
    )


def _tell_in_words(report: Report) -> None:
    """For people."""
    output.out.print(f"{report.bmc}, system {report.system}, now {report.power or 'in an unknown power state'}:")
    for number, step in enumerate(report.steps, start=1):
        output.out.print(f"{number}. {in_words(step)}", markup=False)
    if report.undo:
        output.out.print("httpboot clear would take it back:")
    for step in report.undo:
        output.out.print(f"-  {in_words(step)}", markup=False)
