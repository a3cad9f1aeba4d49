"""The DHCP half of `httpboot serve`: from its start over reloads to its end."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import os
import pwd
import signal
from collections.abc import Collection, Container
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Literal

from ironic_httpboot import config
from ironic_httpboot.cli import output, privileges
from ironic_httpboot.cli.lifetime import repeatedly
from ironic_httpboot.cli.machine_folder import MachineFolder
from ironic_httpboot.cli.machines import Images, name_of, needs_images, policy_of
from ironic_httpboot.cli.served_loaders import ServedLoaders
from ironic_httpboot.dhcp.policy import Address, Policy
from ironic_httpboot.dhcp.serve import DhcpServer, Settings, own_addresses
from ironic_httpboot.errors import BadConfig, HostError, HttpBootError
from ironic_httpboot.events import Sink
from ironic_httpboot.http.store import Store

_LOOK_SECONDS = 1.0
"""How soon a machine file counts: firmware asks DHCP no sooner than five seconds after power on (OVMF 2022.11)."""


class DhcpService:
    """Answers DHCP as a file says; does nothing where the file has no [dhcp]."""

    def __init__(self, path: Path | None, file: config.ServeFile, store: Store | None, on_event: Sink | None) -> None:
        self._path = path
        self._file: config.ServeFile | None = file
        self._store = store
        self._on_event = on_event
        self._images: Images | None = None
        self._server: DhcpServer | None = None
        self._folder: MachineFolder | None = None
        self._loaders: ServedLoaders | None = None
        self.tasks: list[asyncio.Task[None]] = []
        self._wanted = asyncio.Event()
        self._mode: Literal["proxy", "server"] = "proxy"

    async def start(self, http_port: int | None) -> None:
        """Compose what must be composed, listen, and become the user that is to go on. Raises HttpBootError."""
        # The file's tables are not kept: of a hundred thousand machines they would take as much memory as all the rest.
        file, self._file = self._file, None
        if file is None or file.dhcp is None:
            return
        table = file.dhcp
        self._mode = table.mode
        # Before anyone can know that we run: a SIGHUP that nobody handles ends the process.
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._wanted.set)
        user = privileges.find(table.user) if table.user else None
        if table.machines is not None:
            self._folder = MachineFolder(table.machines)
            self._folder.changed()
        if http_port is not None:
            self._loaders = ServedLoaders(file.http.folders, http_port)
        if self._store is not None and http_port is not None:
            self._images = Images(self._store, http_port, _one_address(file.http.listen))
            if needs_images(file) and _is_loopback(file.http.listen):
                output.err.print(
                    f"warning: machine.kernel: images are served on {file.http.listen}, which no machine reaches\n"
                    '  hint: set http.listen, such as ":8080"',
                    markup=False,
                )
        # In a thread as later on: what Python loads for threads, the user may not be able to read.
        policy = await asyncio.to_thread(self._policy, file)
        server = DhcpServer(
            Settings(
                interfaces=table.interfaces,
                families=table.families,
                policy=policy,
                lease_file=table.lease_file,
            ),
            self._on_event,
        )
        await server.start()
        self._server = server
        if user is not None:
            self._hand_to(user, file, server)
        self.tasks.append(asyncio.create_task(repeatedly("reading machines and networks again", self._watch)))
        self.tasks.append(asyncio.create_task(repeatedly("looking after DHCP's interfaces", self._look_after)))
        output.err.print(f"answering DHCP as {table.mode} on {', '.join(server.listening)}", markup=False)
        del file
        # What is known now stays: the collector need not look at it again and again while questions come in.
        gc.collect()
        gc.freeze()

    def _hand_to(self, user: pwd.struct_passwd, file: config.ServeFile, server: DhcpServer) -> None:
        """Become the user that is to go on, who then has all it needs. Raises HostError where that cannot be."""
        server.hand_to(user.pw_uid, user.pw_gid)
        if self._store is not None:
            self._store.hand_to(user.pw_uid, user.pw_gid)
        with privileges.acting_as(user):
            if self._store is not None and (why := self._store.hindrance()):
                raise HostError(f"{why} for dhcp.user {user.pw_name}", hint="let that user write there")
            if self._images is not None and (path := self._images.unreadable()):
                raise HostError(
                    f"{path}: is not readable for dhcp.user {user.pw_name}, who is to serve it",
                    hint="let that user read it, and pass through its folders",
                )
        privileges.become(user)
        if why := server.hindrance():
            output.err.print(f"warning: {why}\n  hint: let {user.pw_name} write there", markup=False)
        for place in (self._path, *file.http.folders):
            if place is not None and not os.access(place, os.R_OK):
                lost = "SIGHUP will fail" if place == self._path else "nothing is served from it"
                output.err.print(
                    f"warning: {place}: is not readable for dhcp.user {user.pw_name}: {lost}\n"
                    "  hint: let that user read it, and pass through its folders",
                    markup=False,
                )

    async def stop(self) -> None:
        """Stop answering."""
        for task in self.tasks:
            task.cancel()
        if self._server is not None:
            await self._server.stop()

    async def _watch(self) -> None:
        """Reload once, when told to or when a machine file has changed."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wanted.wait(), _LOOK_SECONDS if self._folder is not None else None)
        told = self._wanted.is_set()
        self._wanted.clear()
        changed = self._folder is not None and await asyncio.to_thread(self._folder.changed)
        if told or changed:
            await self._reload()

    async def _look_after(self) -> None:
        await asyncio.sleep(_LOOK_SECONDS)
        if self._server is not None:
            self._server.look_after()

    async def _reload(self) -> None:
        """Read the file again. What is wrong with it is said, and then all stays as it was."""
        if self._path is None or self._server is None:
            return
        try:
            # In a thread: a hundred thousand machines or a large ramdisk take seconds, and firmware waits no longer.
            policy, machines = await asyncio.to_thread(self._read_again, self._path)
            self._server.reload(policy)
            if self._images is not None:
                self._images.keep(machines)
        except HttpBootError as error:
            output.err.print(f"not reloaded: {error}", markup=False)
            return
        output.err.print("reloaded: machines, networks and URLs; other settings take a restart", markup=False)

    def _read_again(self, path: Path) -> tuple[Policy, tuple[config.BootedMachineTable, ...]]:
        """What to answer by from now on, and the file's own machines."""
        file = config.read(path, config.ServeFile)
        if file.dhcp is None:
            raise BadConfig(f"{path}: has no [dhcp] any more", hint="stop the server instead")
        if file.dhcp.mode != self._mode:
            # A server needs its lease file, which is opened at the start.
            output.err.print(
                f"warning: dhcp.mode: {file.dhcp.mode} takes a restart: until then this is a {self._mode}", markup=False
            )
            file = file.model_copy(update={"dhcp": file.dhcp.model_copy(update={"mode": self._mode})})
        return self._policy(file), file.machine

    def _policy(self, file: config.ServeFile) -> Policy:
        if file.dhcp is None:
            raise BadConfig("the file has no [dhcp]")
        dhcp = file.dhcp
        own = own_addresses()
        why_not = partial(_why_not, file, dhcp, own)
        more = self._folder.beside(self._path, file.machine, why_not) if self._folder is not None else ()
        for machine in file.machine:
            for why in filter(None, map(why_not, machine.addresses)):
                output.err.print(f"warning: machine {name_of(machine)}: addresses: {why}", markup=False)
        if more:
            file = file.model_copy(update={"machine": (*file.machine, *more)})
        if self._images is None and needs_images(file):
            raise BadConfig("machine.kernel: there was no store when this started", hint="restart, or set http.store")
        if self._loaders is not None:
            for concern in self._loaders.concerns(dhcp, file.machine, _served_at(file.http.listen, own)):
                output.err.print(f"warning: {concern}", markup=False)
        return policy_of(file, dhcp, self._images)


def _why_not(file: config.ServeFile, dhcp: config.DhcpTable, own: Container[Address], address: Address) -> str | None:
    """Why an address can be no machine's, in words; None where it can, or where no address is leased. own: our own."""
    if dhcp.mode != "server" or address.version not in dhcp.families:
        return None
    return f"{address} is an address of this host" if address in own else config.unfit(address, file.subnet)


def _is_loopback(listen: str) -> bool:
    host, _ = config.host_and_port(listen)
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _served_at(listen: str, own: Collection[Address]) -> Collection[Address]:
    """The addresses that HOST:PORT stands for on a host with these of its own; none for a name."""
    host, _ = config.host_and_port(listen)
    if not host or host == "::":
        return own
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return ()
    return [each for each in own if each.version == 4] if address.is_unspecified else [address]


def _one_address(listen: str) -> str:
    """The address of HOST:PORT as URLs write it, or nothing where it is a name or stands for all."""
    host, _ = config.host_and_port(listen)
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return ""
    if address.is_unspecified or address.is_loopback:
        return ""
    return f"[{address}]" if address.version == 6 else str(address)
