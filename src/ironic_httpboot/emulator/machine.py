"""QEMU: the only module that starts it, talks to it and ends it.

Knows its command line, how to tell one that works from one that does not, and how to find one again that an earlier
process left running. Refuses to know Redfish and boot entries.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache
from pathlib import Path
from typing import Any

from ironic_httpboot.emulator import uefi
from ironic_httpboot.emulator.firmware import Firmware, Nvram
from ironic_httpboot.emulator.kept import Target
from ironic_httpboot.emulator.qmp import Qmp
from ironic_httpboot.errors import HostError
from ironic_httpboot.model import Arch

CONSOLE_NAME = "console.log"
_PID_NAME, _SOCKET_NAME, _LOG_NAME, _VARIABLES_NAME = "qemu.pid", "qmp.sock", "qemu.log", "variables.fd"
_STOP_SECONDS = 10.0
_PROBE_SECONDS = 10.0
_PROBE_VALUE = 0x2A
_PROGRAMS = {
    Arch.X64: ("qemu-system-x86_64", "qemu-system-x86"),
    Arch.ARM64: ("qemu-system-aarch64", "qemu-system-arm"),
}
_EMULATED_PROCESSORS = {Arch.X64: "max", Arch.ARM64: "cortex-a72"}
"""Not "max" for arm64: its pointer authentication is the slowest part of an emulated boot (QEMU 7.2)."""
_BOARDS = {Arch.X64: "q35", Arch.ARM64: "virt"}
NIC_SLOT, _SCSI_SLOT = 0x02, 0x03
"""PCI slots, for QEMU's command line and the UEFI device paths of boot entries alike."""
_CD_TARGET, _DISK_TARGET = 0, 1
_HOST_NAMES = {Arch.X64: "x86_64", Arch.ARM64: "aarch64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainName:
    """A domain that libvirt has. uri: of a libvirt on this host, such as "qemu:///system"."""

    uri: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Specification:
    """What a machine is made of.

    network: "user" (QEMU's own, no root needed), "tap:NAME", or "shared:PATH": QEMU's own with one more peer on it, at
    a Unix socket, to which each frame goes with its length before it. namespace: the network namespace to run in, by
    its name. splash_ms: how long the firmware waits before it boots.

    domain: the machine is libvirt's; the domain's own definition then says all the rest but the id.
    personality: whose manners its BMC has, a name in `personalities.PERSONALITIES`.
    """

    id: str
    uuid: str
    mac: str
    arch: Arch = Arch.X64
    memory_mib: int = 1024
    cpus: int = 1
    network: str = "user"
    namespace: str = ""
    splash_ms: int = 0
    secure_boot: bool = False
    domain: DomainName | None = None
    personality: str = "standard"


class Device(Enum):
    """Something that a machine can be told to boot from."""

    CD = auto()
    DISK = auto()
    NIC = auto()


class Machine:
    """One QEMU process at a time, in a folder of its own. It outlives the process that started it."""

    def __init__(
        self,
        specification: Specification,
        folder: Path,
        firmware: Firmware,
        on_exit: Callable[[str], None] = lambda reason: None,
    ) -> None:
        """folder: absolute and there. on_exit: called with QEMU's reason, such as "guest-reset", when it has ended."""
        self.specification = specification
        self._folder = folder
        self._firmware = firmware
        self._on_exit = on_exit
        self._qmp: Qmp | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._pid_handle: int | None = None
        self._reason = ""
        self._medium: Path | None = None
        self._ended = asyncio.Event()
        self._ended.set()

    @property
    def variables(self) -> Path:
        """The flash image with its UEFI variables."""
        return self._folder / _VARIABLES_NAME

    @property
    def nvram(self) -> Nvram:
        """Its firmware's variables."""
        return Nvram(self.variables, self._firmware)

    @property
    def console(self) -> Path:
        """What its serial port said, all boots one after the other."""
        return self._folder / CONSOLE_NAME

    @property
    def running(self) -> bool:
        """Whether it is switched on."""
        return not self._ended.is_set()

    @property
    def targets(self) -> tuple[Target, ...]:
        """What it can be told to boot from."""
        return tuple(Target)

    async def prepare(self) -> None:
        """Have variables that can be written now."""
        self.nvram.ensure()

    def boot_path(self, device: Device) -> bytes:
        """The UEFI device path of something to boot from. The disk's is one behind which there is none."""
        match device:
            case Device.CD:
                return uefi.scsi_path(_SCSI_SLOT, _CD_TARGET)
            case Device.DISK:
                return uefi.scsi_path(_SCSI_SLOT, _DISK_TARGET)
            case Device.NIC:
                return uefi.pxe_path(NIC_SLOT, self.specification.mac)

    async def put_medium(self, file: Path | None) -> None:
        """Put an image into the CD drive, or take it out; while the machine runs, too. Raises HostError."""
        self._medium = file
        if self._qmp is None or not self.running:
            return
        if file is None:
            await self._qmp.execute("eject", id="cd", force=True)
        else:
            await self._qmp.execute("blockdev-change-medium", id="cd", filename=str(file), format="raw")

    async def start(self) -> None:
        """Switch on. Raises HostError with QEMU's own words where it does not start."""
        if self.running:
            return
        (self._folder / _SOCKET_NAME).unlink(missing_ok=True)
        command = self._command()
        log = self._folder / _LOG_NAME
        with log.open("wb") as output:
            try:
                self._child = subprocess.Popen(  # noqa: ASYNC220  # it must outlive the loop, which asyncio's would not
                    command,
                    cwd=self._folder,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            except OSError as error:
                package = _PROGRAMS[self.specification.arch][1]
                raise HostError(
                    f"{self.specification.id}: {command[0]} started → {error.strerror}",
                    hint=f"install the package {package}, or run `make setup`",
                ) from error
        self._watch(self._child.pid)
        try:
            await self._connect()
        except HostError as error:
            await self.stop()
            said = log.read_text("utf-8", "replace").strip().splitlines()
            raise HostError(
                f"{self.specification.id}: QEMU started → {said[-1] if said else error.message}",
                hint=f"all of it: {log}",
            ) from error

    async def adopt(self, patience_seconds: float = 10.0) -> bool:
        """Take over a QEMU that an earlier process left running here, or end one that does not answer."""
        pid = self._left_running()
        if pid is None:
            return False
        self._watch(pid)
        try:
            await self._connect(patience_seconds)
        except HostError:
            await self._kill()
            return False
        return True

    async def stop(self) -> None:
        """Switch off at once; return when QEMU has ended."""
        if self._qmp is not None and self.running:
            with contextlib.suppress(HostError):
                await self._qmp.execute("quit")
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await self._ended.wait()
        except TimeoutError:
            await self._kill()
        await self._disconnect()

    async def release(self) -> None:
        """Switch off: a machine of the emulator's own ends with it."""
        await self.stop()

    async def press_power_button(self) -> None:
        """Ask the guest to shut down (ACPI)."""
        if self._qmp is not None and self.running:
            await self._qmp.execute("system_powerdown")

    async def wait(self) -> None:
        """Return when the machine is off."""
        await self._ended.wait()

    def _command(self) -> list[str]:
        machine = self.specification
        accelerator = accelerator_for(machine.arch)
        # Where the processor has such a mode, only the firmware's part in it may write the variables.
        protected = machine.secure_boot and machine.arch is Arch.X64
        secure = ",smm=on" if protected else ""
        options = [
            *(("ip", "netns", "exec", machine.namespace) if machine.namespace else ()),
            _PROGRAMS[machine.arch][0],
            "-name", f"guest={machine.id}",
            "-pidfile", str(self._folder / _PID_NAME),
            "-uuid", machine.uuid,
            "-machine", f"{_BOARDS[machine.arch]},accel={accelerator}{secure}",
            "-cpu", "host" if accelerator == "kvm" else _EMULATED_PROCESSORS[machine.arch],
            "-smp", str(machine.cpus),
            "-m", str(machine.memory_mib),
            "-nodefaults", "-no-user-config", "-display", "none",
            # A reset by the guest ends QEMU, so that each boot begins with the boot entry that the BMC wants.
            "-action", "reboot=shutdown,shutdown=poweroff",
            "-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={self._firmware.code}",
            "-drive", f"if=pflash,format=raw,unit=1,file={_VARIABLES_NAME}",
            "-chardev", f"file,id=console,path={CONSOLE_NAME},append=on", "-serial", "chardev:console",
            "-qmp", f"unix:{_SOCKET_NAME},server=on,wait=off",
            *_network(machine.network),
            # romfile=: the firmware brings its own driver; QEMU's option ROM would put iPXE in front of it.
            "-device", f"virtio-net-pci,netdev=net0,mac={machine.mac},romfile=,addr={NIC_SLOT:#x}",
            "-device", f"virtio-scsi-pci,id=scsi,addr={_SCSI_SLOT:#x}",
            "-device", "virtio-rng-pci",
        ]  # fmt: skip
        drive = f"scsi-cd,id=cd,bus=scsi.0,scsi-id={_CD_TARGET}"
        if self._medium is None:
            options += ["-device", drive]
        else:
            image = str(self._medium).replace(",", ",,")
            options += ["-drive", f"if=none,id=medium,media=cdrom,readonly=on,format=raw,file={image}"]
            options += ["-device", f"{drive},drive=medium"]
        if protected:
            options += ["-global", "driver=cfi.pflash01,property=secure,value=on"]
        if machine.splash_ms:
            options += ["-boot", f"menu=on,splash-time={machine.splash_ms}"]
        return options

    async def _kill(self) -> None:
        if self._pid_handle is not None:
            signal.pidfd_send_signal(self._pid_handle, signal.SIGKILL)
        await self._ended.wait()

    async def _connect(self, patience_seconds: float = 30.0) -> None:
        await self._disconnect()
        self._qmp = await Qmp.connect(
            self._folder / _SOCKET_NAME,
            self._take_event,
            alive=lambda: self.running,
            patience_seconds=patience_seconds,
        )

    async def _disconnect(self) -> None:
        if self._qmp is not None:
            await self._qmp.close()
            self._qmp = None

    def _take_event(self, name: str, data: dict[str, Any]) -> None:
        if name == "SHUTDOWN":
            self._reason = str(data.get("reason", ""))

    def _watch(self, pid: int) -> None:
        """Hear of the process's end, whoever started it."""
        self._reason = ""
        self._ended.clear()
        self._pid_handle = os.pidfd_open(pid)
        asyncio.get_running_loop().add_reader(self._pid_handle, self._has_ended)

    def _has_ended(self) -> None:
        if self._pid_handle is None:
            return
        asyncio.get_running_loop().remove_reader(self._pid_handle)
        os.close(self._pid_handle)
        self._pid_handle = None
        if self._child is not None:
            self._child.wait()
            self._child = None
        self._ended.set()
        # QEMU's last event may still be on its way through the socket.
        asyncio.get_running_loop().call_later(0.05, lambda: self._on_exit(self._reason))

    def _left_running(self) -> int | None:
        """The process that QEMU's own pid file names, if it is still the one that runs in this folder."""
        pid_file = self._folder / _PID_NAME
        try:
            pid = int(pid_file.read_text())
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        return pid if str(pid_file).encode() in arguments else None


def _network(network: str) -> list[str]:
    kind, _, name = network.partition(":")
    if kind == "user" and not name:
        return ["-netdev", "user,id=net0"]
    if kind == "tap" and name:
        return ["-netdev", f"tap,id=net0,ifname={name},script=no,downscript=no"]
    if kind == "shared" and name:
        hub = [f"hubport,hubid=0,id={port},netdev={end}" for port, end in (("hub1", "slirp"), ("hub2", "peer"))]
        ends = ["user,id=slirp", f"stream,id=peer,server=off,addr.type=unix,addr.path={name}", *hub]
        return [word for each in (*ends, "hubport,hubid=0,id=net0") for word in ("-netdev", each)]
    raise HostError(f"network {network!r}: is neither user nor tap:NAME nor shared:PATH")


@cache
def accelerator_for(arch: Arch) -> str:
    """kvm where it was seen to run a program just now, else tcg.

    /dev/kvm may be there and still fail as soon as a virtual processor starts, so that asking is not enough.
    """
    program = _PROGRAMS[arch][0]
    if (
        arch is not Arch.X64
        or platform.machine() != _HOST_NAMES[arch]
        or shutil.which(program) is None
        or not os.access("/dev/kvm", os.R_OK | os.W_OK)
    ):
        return "tcg"
    with tempfile.NamedTemporaryFile() as rom:
        rom.write(_probe_rom())
        rom.flush()
        command = [
            program, "-machine", "q35,accel=kvm", "-cpu", "host", "-nodefaults", "-display", "none", "-bios", rom.name,
            "-device", "isa-debug-exit,iobase=0xf4,iosize=1",
        ]  # fmt: skip
        try:
            done = subprocess.run(command, capture_output=True, timeout=_PROBE_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return "tcg"
    return "kvm" if done.returncode == _PROBE_VALUE << 1 | 1 else "tcg"


def _probe_rom() -> bytes:
    """64 KiB of firmware that says one number to QEMU's debug-exit port: mov al, n; out 0xf4, al; hlt."""
    rom = bytearray(0x10000)
    code = bytes([0xB0, _PROBE_VALUE, 0xE6, 0xF4, 0xF4])
    rom[0xFFF0 : 0xFFF0 + len(code)] = code
    return bytes(rom)
