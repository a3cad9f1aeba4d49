"""`httpboot emulate`: a Redfish BMC in front of virtual machines that boot over HTTP for real."""

from __future__ import annotations

import asyncio
import hashlib
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from ironic_httpboot import config
from ironic_httpboot.cli import output
from ironic_httpboot.cli.lifetime import told_to_stop
from ironic_httpboot.emulator.machine import DomainName, Specification, accelerator_for
from ironic_httpboot.emulator.personalities import PERSONALITIES
from ironic_httpboot.emulator.serve import Emulator, Settings
from ironic_httpboot.emulator.state import Account
from ironic_httpboot.errors import BadConfig, InputError
from ironic_httpboot.events import Event, Failed, Reached

_FLAGS = {"id": "--system"}
"""Where a flag is not called as its key in the file is."""

_HINTS = {
    "id": "give at most 63 letters, digits, dots, dashes and underscores; the first is a letter or a digit",
    "network": 'give "user", or "tap:NAME" with the name of a tap device',
}


def emulate(
    configuration: Annotated[Path | None, typer.Option("-c", "--config", help="A TOML file.", metavar="FILE")] = None,
    state: Annotated[
        Path | None, typer.Option(help="A folder for the machine's state, variables and console.", metavar="DIR")
    ] = None,
    listen: Annotated[str, typer.Option(help="Where the BMC listens.", metavar="HOST:PORT")] = "127.0.0.1:8000",
    system: Annotated[str, typer.Option(help="The one machine's id.", metavar="ID")] = "node-1",
    memory_mib: Annotated[
        int, typer.Option(help="Its memory; an image needs its own size and 280 more.", min=256)
    ] = 1024,
    network: Annotated[str, typer.Option(help='Its network: "user", or "tap:NAME".')] = "user",
    personality: Annotated[str, typer.Option(help="Whose manners its BMC has.", metavar="NAME")] = "standard",
    secure_boot: Annotated[
        bool, typer.Option("--secure-boot", help="Firmware that starts signed loaders only.")
    ] = False,
) -> None:
    """Emulate machines with a BMC, until interrupted; the machines are then switched off.

    The machines of an emulator that was killed are found again when it is started on the same state.

    Example: httpboot emulate --state /tmp/bmc --listen 127.0.0.1:8000
    """
    if configuration is not None:
        file = config.read(configuration, config.EmulateFile)
    elif state is not None:
        machine = {
            "id": system,
            "memory_mib": memory_mib,
            "network": network,
            "personality": personality,
            "secure_boot": secure_boot,
        }
        file = _from_flags({"emulator": {"state": state, "listen": listen}, "machine": [machine]})
    else:
        raise InputError("no state folder", hint="give --state DIR, or a file with -c")
    asyncio.run(_emulate(_settings(file)))


def _from_flags(tables: Mapping[str, object]) -> config.EmulateFile:
    """What a file with these tables would say; the same is allowed. Raises InputError, naming the flag."""
    try:
        return config.EmulateFile.model_validate(tables)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        key = str(first["loc"][-1])
        given, said = repr(first["input"]), first["msg"].removeprefix("Value error, ")
        what = said if said.startswith(given) else f"{given}: {said}"
        flag = _FLAGS.get(key, f"--{key.replace('_', '-')}")
        raise InputError(f"{flag}: {what}", hint=_HINTS.get(key)) from error


def _settings(file: config.EmulateFile) -> Settings:
    table = file.emulator
    host, port = config.host_and_port(table.listen)
    account = None
    if table.username is not None:
        if table.password_file is None:
            raise InputError("emulator.username: has no password", hint="set emulator.password_file as well")
        account = Account(username=table.username, password=config.read_secret(table.password_file))
    ids = [machine.id for machine in file.machine]
    if len(set(ids)) < len(ids):
        raise InputError("machine.id: two machines have the same", hint="give each an id of its own")
    return Settings(
        machines=[_specification(machine) for machine in file.machine],
        state=table.state,
        host=host,
        port=port,
        account=account,
        certificate=table.certificate,
        key=table.key,
    )


def _specification(machine: config.MachineTable) -> Specification:
    """What is not given is made from the id, so that it is the same at every start. Raises BadConfig."""
    if machine.personality not in PERSONALITIES:
        raise BadConfig(
            f"machine.personality: {machine.id} has {machine.personality!r}, which is none",
            hint=f"give one of {', '.join(PERSONALITIES)}",
        )
    digest = hashlib.sha256(machine.id.encode()).digest()
    return Specification(
        id=machine.id,
        uuid=machine.uuid or str(uuid.UUID(bytes=digest[:16], version=4)),
        mac=machine.mac or "52:54:00:" + digest[:3].hex(":"),
        arch=machine.arch,
        memory_mib=machine.memory_mib,
        cpus=machine.cpus,
        network=machine.network,
        secure_boot=machine.secure_boot,
        splash_ms=machine.splash_ms,
        domain=DomainName(uri=machine.uri, name=machine.domain or machine.id) if machine.backend == "libvirt" else None,
        personality=machine.personality,
    )


async def _emulate(settings: Settings) -> None:
    with told_to_stop() as told:
        async with Emulator(settings, _show) as emulator:
            own = [machine for machine in settings.machines if machine.domain is None]
            for arch in {machine.arch for machine in own}:
                accelerator = await asyncio.to_thread(accelerator_for, arch)
                output.err.print(f"{arch.value} machines run under {accelerator}")
            output.err.print(f"BMC at {emulator.url}/redfish/v1; Ctrl-C stops", markup=False)
            for machine in settings.machines:
                output.err.print(f"  {machine.id}: {_console(emulator, machine)}", markup=False)
            await told.wait()
            output.err.print("stopping: switching machines off" if own else "stopping: libvirt's machines run on")


def _console(emulator: Emulator, machine: Specification) -> str:
    console = emulator.hardware(machine.id).console
    if console is not None:
        return f"console in {console}"
    assert machine.domain is not None
    return (
        f"no console, so that a boot's progress is unknown; give domain {machine.domain.name} a "
        "<serial type='pty'> with <log file='…' append='on'/>"
    )


def _show(event: Event) -> None:
    clock = time.strftime("%H:%M:%S", time.localtime(event.at))
    match event:
        case Reached(machine=machine, stage=stage, detail=detail):
            output.out.print(f"{clock} {machine} {stage.value}: {detail}", markup=False)
        case Failed(machine=machine, reason=reason):
            output.out.print(f"{clock} {machine} trouble: {reason}", markup=False)
        case _:
            pass
