"""The demonstration of the DHCP path: a machine boots through our ProxyDHCP, without root.

Knows how our answers come onto QEMU's own network: as one more peer on it, through a Unix socket. QEMU gives the
address, our proxy the URL. Refuses to know how an image is made and served: that is `run`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from ipaddress import IPv4Address
from pathlib import Path

from ironic_httpboot.demo import frame
from ironic_httpboot.demo.watch import Watch
from ironic_httpboot.dhcp import message4
from ironic_httpboot.dhcp.decide4 import decide4
from ironic_httpboot.dhcp.iana import SERVER_PORT4
from ironic_httpboot.dhcp.leases import Leases
from ironic_httpboot.dhcp.policy import Boot, Ignore, Machine, Machines, Mode, Policy
from ironic_httpboot.dhcp.report import Reporter
from ironic_httpboot.emulator.chassis import Chassis
from ironic_httpboot.emulator.kept import Enabled, Kept, Override, Target
from ironic_httpboot.emulator.machine import Specification, accelerator_for
from ironic_httpboot.emulator.state import Reset
from ironic_httpboot.errors import MalformedMessage
from ironic_httpboot.events import Sink, Stage
from ironic_httpboot.model import BootUrl

PROXY_ADDRESS = IPv4Address("10.0.2.9")
_PROXY_MAC = bytes.fromhex("525400687079")
_LENGTH_BYTES = 4
_LONGEST_FRAME = 70_000
_NETWORK = "QEMU's network"


class Peer:
    """Our proxy at a Unix socket. Each frame has its length before it, as QEMU's stream network sends it."""

    def __init__(self, policy: Policy, on_event: Sink) -> None:
        self._policy = policy
        self._leases = Leases(4)
        self._reporter = Reporter(on_event)

    async def serve(self, path: Path) -> asyncio.Server:
        """Listen; a machine's network connects."""
        return await asyncio.start_unix_server(self._talk, path)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError), contextlib.closing(writer):
            while True:
                length = int.from_bytes(await reader.readexactly(_LENGTH_BYTES))
                if length > _LONGEST_FRAME:
                    return
                answer = self.answer(await reader.readexactly(length), time.time())
                if answer is not None:
                    writer.write(len(answer).to_bytes(_LENGTH_BYTES) + answer)
                    await writer.drain()

    def answer(self, data: bytes, now: float) -> bytes | None:
        """The frame that answers one, if it is a question for us."""
        datagram = frame.decode(data)
        if datagram is None or datagram.target_port != SERVER_PORT4:
            return None
        try:
            message = message4.decode(datagram.data)
        except MalformedMessage:
            return None
        reply = decide4(message, PROXY_ADDRESS, self._policy, self._leases, now)
        if isinstance(reply, Ignore):
            return None
        self._reporter.heard4(message, _NETWORK, reply, now)
        answer = frame.Datagram(
            mac=frame.EVERYBODY,
            source=PROXY_ADDRESS,
            source_port=SERVER_PORT4,
            target=reply.address,
            target_port=reply.port,
            data=message4.encode(reply.message),
        )
        return frame.encode(answer, _PROXY_MAC)


async def boot(machine: Specification, folder: Path, url: BootUrl, watch: Watch) -> None:
    """Switch a machine on whose firmware takes its URL from DHCP, and watch it to the end. Raises HttpBootError."""
    for stage in (Stage.BMC_ASKED, Stage.READ_BACK):
        watch.pass_over(stage)
    await asyncio.to_thread(accelerator_for, machine.arch)
    known = Machine(name=machine.id, mac=bytes.fromhex(machine.mac.replace(":", "")), boot=Boot(url=url.text))
    peer = Peer(Policy(mode=Mode.PROXY, machines=Machines([known])), watch.hear)
    listening = await peer.serve(socket_of(folder))
    chassis = Chassis(machine, folder / "machine", watch.hear)
    watch.look_first(chassis.catch_up)
    try:
        chassis.remember(Kept(override=Override(enabled=Enabled.ONCE, target=Target.UEFI_HTTP)))
        await chassis.reset(Reset.ON)
        await watch.until(Stage.VERDICT, chassis.console)
    finally:
        await chassis.stop()
        listening.close()


def specification(name: str, folder: Path, *, memory_mib: int, secure_boot: bool) -> Specification:
    """A machine on QEMU's own network, which our proxy shares."""
    return Specification(
        id=name,
        uuid=str(uuid.uuid4()),
        mac="52:54:00:68:74:71",
        memory_mib=memory_mib,
        secure_boot=secure_boot,
        network=f"shared:{socket_of(folder)}",
    )


def socket_of(folder: Path) -> Path:
    """Where the proxy listens."""
    return folder.absolute() / "dhcp.sock"
