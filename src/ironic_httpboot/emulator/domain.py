"""A domain of libvirt as a machine: switched through virsh, found again by name, its variables in its own nvram file.

Knows that the domain is its operator's: it is never defined, changed or undefined here, and it runs on when the
emulator ends. Refuses to know Redfish and boot entries. A guest that resets itself is restarted by libvirt inside the
same QEMU, which nobody hears of here: only power on and off are seen.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

from ironic_httpboot.emulator import definition, firmware, virsh
from ironic_httpboot.emulator.definition import Definition
from ironic_httpboot.emulator.firmware import Firmware, Nvram
from ironic_httpboot.emulator.kept import Target
from ironic_httpboot.emulator.machine import Device, DomainName, Specification
from ironic_httpboot.errors import HostError

_LOG = logging.getLogger(__name__)
_ASK_SECONDS = 1.0


class Domain:
    """One domain, which is there already and outlives the process that drives it."""

    def __init__(
        self,
        specification: Specification,
        on_exit: Callable[[str], None] = lambda reason: None,
        on_start: Callable[[], None] = lambda: None,
    ) -> None:
        """on_exit: called with libvirt's reason, such as "shutdown". on_start: called when others switched it on.

        Raises HostError where there is no libvirt, no such domain, or none that can boot over HTTP.
        """
        assert specification.domain is not None
        self._asked_for = specification
        self._name: DomainName = specification.domain
        self._on_exit, self._on_start = on_exit, on_start
        self._ended = asyncio.Event()
        self._ended.set()
        # One question or command at a time, so that no answer is older than what was done after it was asked.
        self._lock = asyncio.Lock()
        self._watch: asyncio.Task[None] | None = None
        self._definition, _ = self._read()
        self._nvram = _nvram(self._definition)

    @property
    def specification(self) -> Specification:
        """What its definition says."""
        return self._definition.specification

    @property
    def nvram(self) -> Nvram:
        """Its firmware's variables."""
        return self._nvram

    @property
    def console(self) -> Path | None:
        """The file to which libvirt has its serial port written, if there is one."""
        return self._definition.console

    @property
    def running(self) -> bool:
        """Whether it is switched on, as of a second ago."""
        return not self._ended.is_set()

    @property
    def targets(self) -> tuple[Target, ...]:
        """What it can be told to boot from: its disks, CD drives and their order are its operator's."""
        return (Target.NONE, Target.UEFI_HTTP)

    def boot_path(self, device: Device) -> bytes:
        """None of its devices is a target. Raises HostError."""
        raise self._refusal(f"cannot be told to boot from its {device.name}", "let it boot from its own boot order")

    async def put_medium(self, file: Path | None) -> None:
        """Its CD drives are its operator's. Raises HostError where there is an image to put in."""
        if file is not None:
            raise self._refusal(f"takes no virtual media: {file.name}", "use virsh change-media")

    async def prepare(self) -> None:
        """Look at it again, and have variables that can be written now. Raises HostError where they cannot."""
        async with self._lock:
            power = await self._ask()
            self._take(power)
            if power.on:
                raise self._refusal("somebody switched it on just now", "its variables are written while it is off")
            self._definition, keeping = await asyncio.to_thread(self._read)
            if keeping.saved:
                raise self._refusal(
                    "is saved, and would go on where it was", "remove what was saved: virsh managedsave-remove"
                )
            self._nvram = _nvram(self._definition)
        self._nvram.ensure()

    async def start(self) -> None:
        """Switch on. Raises HostError with libvirt's own words where it does not start."""
        async with self._lock:
            if self.running:
                return
            await self._do(virsh.start)
            self._ended.clear()

    async def adopt(self) -> bool:
        """See whether it is on, and hear from now on when it is switched by others."""
        async with self._lock:
            if (await self._ask()).on:
                self._ended.clear()
        if self._watch is None:
            self._watch = asyncio.create_task(self._keep_asking())
        return self.running

    async def stop(self) -> None:
        """Switch off at once; return when its QEMU has ended."""
        async with self._lock:
            try:
                await self._do(virsh.destroy)
            except HostError:
                # It may have ended by itself meanwhile.
                if (await self._ask()).on:
                    raise
            self._take(await self._ask())

    async def release(self) -> None:
        """Leave it as it is, on or off, and watch it no longer."""
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch
        self._ended.set()

    async def press_power_button(self) -> None:
        """Ask the guest to shut down (ACPI)."""
        async with self._lock:
            if self.running:
                await self._do(virsh.shut_down)

    async def wait(self) -> None:
        """Return when it is off, or is left alone."""
        await self._ended.wait()

    async def _keep_asking(self) -> None:
        silent = False
        while True:
            await asyncio.sleep(_ASK_SECONDS)
            try:
                async with self._lock:
                    self._take(await self._ask())
                silent = False
            except HostError as error:
                # libvirtd may be restarted; domains run on meanwhile.
                if not silent:
                    _LOG.warning("%s: %s", self._asked_for.id, error)
                silent = True

    def _take(self, power: virsh.Power) -> None:
        """Believe libvirt, and tell what is new."""
        if power.on and not self.running:
            self._ended.clear()
            self._on_start()
        elif not power.on and self.running:
            self._ended.set()
            self._on_exit(power.reason)

    async def _ask(self) -> virsh.Power:
        return await asyncio.to_thread(virsh.power, self._name.uri, self._name.name)

    async def _do(self, command: Callable[[str, str], None]) -> None:
        try:
            await asyncio.to_thread(command, self._name.uri, self._name.name)
        except HostError as error:
            raise HostError(f"{self._asked_for.id}: {error.message}", hint=error.hint) from error

    def _read(self) -> tuple[Definition, virsh.Keeping]:
        uri, name = self._name.uri, self._name.name
        try:
            xml = virsh.definition(uri, name)
            keeping = virsh.keeping(uri, name)
        except HostError as error:
            raise HostError(f"{self._asked_for.id}: {error.message}", hint=error.hint) from error
        if not keeping.persistent:
            raise self._refusal("is transient: it would be gone when it is switched off", "define it: virsh define")
        return definition.read(xml, self._asked_for), keeping

    def _refusal(self, what: str, hint: str) -> HostError:
        return HostError(f"{self._asked_for.id}: domain {self._name.name} {what}", hint=hint)


def _nvram(found: Definition) -> Nvram:
    """Its variables, whose file libvirt makes at the first start, if it is not made before: from the same template."""
    template = found.template or firmware.template_for(found.code)
    source = Firmware(code=found.code, variables=template) if template is not None else None
    return Nvram(found.variables.resolve(), source)
