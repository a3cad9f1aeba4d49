"""A place where machines boot through DHCP: a switch with a socket for each machine, the host that serves there, and
what others may add, such as a DHCP server of their own or a relay to another network. All of it goes when a test ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

from kit import captures
from kit.board import Board, Provisions
from kit.network import BRIDGE, SERVER4, SERVER6, Namespace, Program, namespace

RELAY4, RELAY6 = "198.51.100.1", "2001:db8:1::1"
NETWORKS = """
[[subnet]]
network = "192.0.2.0/24"
ranges = ["192.0.2.100-192.0.2.150"]
lease_seconds = 600

[[subnet]]
network = "2001:db8::/64"
ranges = ["2001:db8::100-2001:db8::1ff"]
lease_seconds = 600
"""
NETWORKS_BEHIND_THE_RELAY = f"""
[[subnet]]
network = "198.51.100.0/24"
ranges = ["198.51.100.50-198.51.100.60"]
router = "{RELAY4}"

[[subnet]]
network = "2001:db8:1::/64"
ranges = ["2001:db8:1::50-2001:db8:1::60"]
"""
_BESIDE = {
    4: ("192.0.2.2/24", "--dhcp-range=192.0.2.200,192.0.2.220,600"),
    6: ("2001:db8::2/64", "--dhcp-range=2001:db8::2000,2001:db8::20ff,64,600"),
}


class Site:
    """machines: the host that their switch is in. host: the one that serves, by the interface named."""

    def __init__(self, folder: Path, machines: Namespace, host: Namespace, interface: str, networks: str) -> None:
        self.folder = folder
        self.machines = machines
        self.host = host
        self.interface = interface
        self.networks = networks

    def board(self, name: str = "node", **more: Any) -> Board:
        """A machine with a socket of its own on the switch. more: what else a Board may be told."""
        self.machines.tap(f"tap-{name}")
        return Board(self.folder, self.machines.name, f"tap-{name}", name=name, **more)

    @contextmanager
    def neighbour(self, *addresses: str) -> Iterator[Namespace]:
        """One more host on the switch, by its card eth0."""
        with namespace() as other:
            self.machines.cable("cable", other, "eth0", *addresses, bridge=BRIDGE)
            yield other

    def serve(self, mode: str, *, http: str = "", dhcp: str = "", machine: str = "") -> Program:
        """`httpboot serve` as an operator starts it. http, dhcp: more keys of these tables. machine: a table's keys."""
        file = self.folder / "httpboot.toml"
        file.write_text(
            f"""
[http]
listen = ":8080"
{http}
[dhcp]
interfaces = ["{self.interface}"]
mode = "{mode}"
lease_file = "{self.folder}/leases"
{dhcp}
{self.networks if mode == "server" else ""}
{"[[machine]]" if machine else ""}
{machine}"""
        )
        program = self.host.httpboot("serve", "-c", file)
        program.until("listening on")
        return program

    async def boot(
        self,
        board: Board,
        mode: str,
        capture: str,
        *,
        http: str = "",
        more: str = "",
        also: Mapping[Board, Provisions] | None = None,
    ) -> str:
        """Serve one machine whose image is composed for it, until its guest has passed; what the server said.

        capture: the name under which the DHCP of it is kept. http: more keys of that table. more: further tables.
        also: machines that are named in these, with what their guests must find.
        """
        provisions = Provisions.make(self.folder)
        machine = f'name = "node"\nmac = "{board.mac}"\npayload = "uki"\n{provisions.as_toml()}{more}'
        server = self.serve(mode, http=http, machine=machine)
        with self.captured(capture):
            async with AsyncExitStack() as stack:
                boots = {board: provisions, **(also or {})}
                for each in boots:
                    await stack.enter_async_context(each)
                await asyncio.gather(*(each.passes(found) for each, found in boots.items()))
            return server.end()

    @contextmanager
    def captured(self, name: str) -> Iterator[None]:
        """Keep what passes the server's interface."""
        with self.host.capturing(self.folder / f"{name}.pcap", self.interface) as path:
            yield
        captures.keep(path)

    @contextmanager
    def other_server(self, version: int = 4) -> Iterator[Namespace]:
        """One more host on the switch: dnsmasq, which leases addresses there and knows nothing of boots."""
        address, leases = _BESIDE[version]
        with self.neighbour(address) as other:
            other.start(
                "dnsmasq", "-k", "-p0", "--log-facility=-", "--interface=eth0", leases, "--dhcp-leasefile=/dev/null",
                "--user=root",
            ).until("started")  # fmt: skip
            yield other


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    """The host that serves has the switch in itself, and an address of each family."""
    with namespace(bridge=(f"{SERVER4}/24", f"{SERVER6}/64")) as host:
        yield Site(folder, host, host, BRIDGE, NETWORKS)


@contextmanager
def relayed_site(folder: Path, *relay: str | Path) -> Iterator[Site]:
    """The machines' switch is in another host, which routes, and where a relay runs."""
    with namespace(bridge=(f"{RELAY4}/24", f"{RELAY6}/64")) as machines, namespace() as host:
        machines.cable("uplink", host, "eth0", f"{SERVER4}/24", f"{SERVER6}/64")
        machines.address("uplink", "192.0.2.254/24", "2001:db8::254/64")
        machines.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        host.run("ip", "route", "add", "198.51.100.0/24", "via", "192.0.2.254")
        host.run("ip", "route", "add", "2001:db8:1::/64", "via", "2001:db8::254")
        # Only a router says that it is one, in IPv6: no DHCP option does.
        machines.start(
            "dnsmasq", "-k", "-p0", "--log-facility=-", "--user=root", f"--interface={BRIDGE}", "--enable-ra",
            "--dhcp-range=2001:db8:1::,ra-only",
        ).until("started")  # fmt: skip
        machines.start(*relay)
        yield Site(folder, machines, host, "eth0", NETWORKS_BEHIND_THE_RELAY)
