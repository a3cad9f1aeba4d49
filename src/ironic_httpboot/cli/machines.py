"""From a configuration file to what a DHCP server answers by: machines, networks, and the images composed for them.

Knows both the file's tables and the policy's values. Refuses to know sockets and signals.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ironic_httpboot import config
from ironic_httpboot.blob import Blob
from ironic_httpboot.dhcp.policy import SERVER_MARK, Boot, Machine, Machines, Mode, Policy, Subnet
from ironic_httpboot.errors import BadConfig
from ironic_httpboot.http.store import Publication, Store
from ironic_httpboot.image import netboot
from ironic_httpboot.image.compose import compose
from ironic_httpboot.model import BootRecipe, BootUrl, Chain, Container


class Images:
    """What was composed and published for machines, so that a reload does it again only where something changed."""

    def __init__(self, store: Store, http_port: int, address: str = "") -> None:
        """http_port: where the store is served from. address: as well, where it is one and no more."""
        self._store = store
        self._port = http_port
        self._address = address
        self._published: dict[config.BootedMachineTable, Publication] = {}
        self._pieces: dict[config.BootedMachineTable, tuple[netboot.Pieces, list[Publication]]] = {}

    def boot_of(self, table: config.BootedMachineTable) -> Boot:
        """What a machine boots. Raises BadConfig, BadRecipe, HostError."""
        if table.payload in (config.Payload.IMAGE, config.Payload.UKI):
            return Boot(url=self.url_for(table), script=table.script, script6=table.script6)
        pieces, _ = self._pieces.get(table) or self._in_pieces(table)
        if pieces.then:
            return Boot(url=pieces.loader.text, script=pieces.then.text)
        return Boot(url=pieces.loader.text, script=table.script, script6=table.script6)

    def _in_pieces(self, table: config.BootedMachineTable) -> tuple[netboot.Pieces, list[Publication]]:
        name = name_of(table)
        if not self._address:
            raise BadConfig(
                f"machine {name}: payload {table.payload.value} writes URLs down, and http.listen is no one address",
                hint='give http.listen the address that machines reach, such as "192.0.2.1:8080"',
            )
        published: list[Publication] = []

        def publish(blob: Blob, file_name: str) -> BootUrl:
            published.append(self._store.publish(blob, name=file_name, machine=name))
            return BootUrl.parse(f"http://{self._address}:{self._port}{published[-1].path}")

        if table.payload is config.Payload.GRUB:
            pieces = netboot.over_grub(recipe_of(table), publish, config.made_folder())
        else:
            pieces = netboot.over_ipxe(recipe_of(table), publish)
        self._pieces[table] = pieces, published
        return self._pieces[table]

    def url_for(self, table: config.BootedMachineTable) -> str:
        """The URL of a machine's image, which is composed if it is not there. Raises BadRecipe, HostError."""
        found = self._published.get(table)
        if found is None:
            recipe = recipe_of(table)
            name = name_of(table)
            found = self._store.publish(compose(recipe), name=f"{name}{recipe.kind.suffix}", machine=name)
            self._published[table] = found
        return f"http://{SERVER_MARK}:{self._port}{found.path}"

    def unreadable(self) -> Path | None:
        """A file that what is published here is served from, and that this process may not read; None without one."""
        pieces = [one for _, published in self._pieces.values() for one in published]
        for publication in (*self._published.values(), *pieces):
            found = self._store.find((publication.token, publication.name))
            for file in sorted(found.blob.files(), key=lambda file: file.path) if found is not None else ():
                if not os.access(file.path, os.R_OK, effective_ids=True):
                    return file.path
        return None

    def keep(self, tables: Sequence[config.BootedMachineTable]) -> None:
        """Withdraw what belongs to none of these machines."""
        for table in set(self._published) - set(tables):
            self._store.withdraw(self._published.pop(table))
        for table in set(self._pieces) - set(tables):
            for publication in self._pieces.pop(table)[1]:
                self._store.withdraw(publication)


def needs_images(file: config.ServeFile) -> bool:
    """Whether something must be composed."""
    return any(table.kernel is not None for table in file.machine)


def recipe_of(table: config.BootedMachineTable) -> BootRecipe:
    """What a machine's image is composed from."""
    if table.kernel is None:
        raise BadConfig(f"machine {name_of(table)}: has no kernel")
    unified = table.payload is config.Payload.UKI
    return BootRecipe(
        arch=table.arch,
        chain=Chain.UKI if unified else table.chain,
        container=Container.EFI if unified else Container.ISO,
        kernel=table.kernel,
        initrds=table.initrds,
        cmdline=table.cmdline,
    )


def name_of(table: config.BootedMachineTable) -> str:
    """What a machine is called: as given, else as it is known."""
    return table.name or (table.mac or table.uuid or table.duid or "").replace(":", "-").lower()


def policy_of(file: config.ServeFile, table: config.DhcpTable, images: Images | None) -> Policy:
    """What the server answers by. images: where one must be composed. Raises BadConfig, BadRecipe, HostError."""
    default = Boot(url=table.url, loaders=table.loaders, script=table.script)
    machines = Machines((_machine(each, default, images) for each in file.machine), default=default)
    if table.mode == "server" and not file.subnet:
        raise BadConfig("dhcp.mode: is server, but there is no [[subnet]]", hint="add one with network and ranges")
    return Policy(
        mode=Mode(table.mode),
        machines=machines,
        subnets=[_subnet(each) for each in file.subnet],
        unknown=table.unknown == "default",
    )


def _machine(table: config.BootedMachineTable, default: Boot, images: Images | None) -> Machine:
    """A machine without a URL or recipe of its own boots what unknown ones do."""
    boot = default
    if table.kernel is not None and images is not None:
        boot = images.boot_of(table)
    elif table.url is not None:
        boot = Boot(url=table.url, url6=table.url6, script=table.script or default.script, script6=table.script6)
    elif table.script is not None:
        boot = replace(default, script=table.script, script6=table.script6)
    return Machine(
        name=name_of(table),
        mac=bytes.fromhex(table.mac.replace(":", "")) if table.mac else b"",
        uuid=uuid.UUID(table.uuid) if table.uuid else None,
        duid=bytes.fromhex(table.duid.replace(":", "")) if table.duid else b"",
        boot=boot,
        addresses=table.addresses,
    )


def _subnet(table: config.SubnetTable) -> Subnet:
    return Subnet(
        network=table.network,
        ranges=table.ranges,
        router=table.router,
        dns=table.dns,
        domain=table.domain,
        lease_seconds=table.lease_seconds,
    )
