"""The operator's own loaders: those that machines are told to fetch from this server, and that lie in its folders.

Knows which URLs of the file lead here, and what the file says of who fetches them. Refuses to know what a loader needs:
`image.loaders` does. A loader that cannot work is no reason to stop: it is said, and all other machines boot.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ironic_httpboot import config
from ironic_httpboot.blob import examine
from ironic_httpboot.cli.machines import name_of
from ironic_httpboot.dhcp.policy import SERVER_MARK, Address
from ironic_httpboot.errors import BadRecipe, FileChanged
from ironic_httpboot.image import loaders
from ironic_httpboot.model import Arch, BootUrl

_SUFFIX = ".efi"
_HTTP_PORT = 80
_SERVER_STAND_IN = "server.invalid"
"""What `{server}` is read as, which is no host."""
_ARCHES = {arch.value: arch for arch in Arch}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Use:
    """A loader's URL where the file names it. arch: of those who fetch it, where that is said. script: what they are
    told next, if they are an iPXE."""

    where: str
    url: str
    arch: Arch | None
    script: str | None


class ServedLoaders:
    """The files behind the URLs that lead here."""

    def __init__(self, folders: Sequence[Path], port: int) -> None:
        """port: where the folders are served from."""
        self._folders = tuple(folders)
        self._ports = (port, None) if port == _HTTP_PORT else (port,)

    def concerns(
        self,
        dhcp: config.DhcpTable,
        machines: Sequence[config.BootedMachineTable],
        here: Container[Address] = (),
    ) -> list[str]:
        """What cannot work, in words, each once. here: the addresses of this host at which the folders are served."""
        if not self._folders:
            return []
        uses = (use for use in _uses(dhcp, machines) if self._leads_here(use.url, here))
        return list(dict.fromkeys(said for use in uses if (said := self._concern(use)) is not None))

    def _leads_here(self, url: str, here: Container[Address]) -> bool:
        """Whether a URL, of which configuration has seen that it is one, is fetched from these folders."""
        parts = urlsplit(url.replace(SERVER_MARK, _SERVER_STAND_IN))
        if parts.scheme != "http" or parts.port not in self._ports:
            return False
        return parts.hostname == _SERVER_STAND_IN or BootUrl.parse(parts.geturl()).address in here

    def _concern(self, use: _Use) -> str | None:
        path = self._file(urlsplit(use.url).path.removeprefix("/"))
        if path is None:
            return None
        try:
            found = loaders.look_into(examine(path))
            _check(found, use)
        except (BadRecipe, FileChanged) as error:
            return f"{use.where}: {error}"
        return None

    def _file(self, path: str) -> Path | None:
        names = unquote(path).split("/")
        if {"", ".", ".."} & set(names):
            return None
        return next((file for each in self._folders if _is_there(file := each.joinpath(*names))), None)


def _is_there(path: Path) -> bool:
    """Whether a file is there; also where this may not be looked at, which `examine` then says."""
    try:
        return path.is_file()
    except OSError:
        return True


def _check(found: loaders.Inspection, use: _Use) -> None:
    """Raises BadRecipe with the reason why a loader stops."""
    arch = use.arch or found.arch
    if arch is None:
        return
    https = found.kind is loaders.Kind.IPXE and (use.script or "").startswith("https://")
    loaders.check_for_network(found, arch, https=https)
    if found.kind is loaders.Kind.SHIM:
        beside = found.file.path.with_name(f"grub{arch.efi_suffix}.efi")
        if not _is_there(beside):
            raise BadRecipe(f"{found.file.path}: a shim fetches {beside.name} beside it, which is not there")
        loaders.check_for_network(loaders.look_into(examine(beside)), arch)


def _uses(dhcp: config.DhcpTable, machines: Sequence[config.BootedMachineTable]) -> Iterator[_Use]:
    for label, url in dhcp.loaders.items():
        if url.endswith(_SUFFIX):
            yield _Use(where=f"dhcp.loaders.{label}", url=url, arch=_ARCHES.get(label), script=dhcp.script)
    if dhcp.url is not None and dhcp.url.endswith(_SUFFIX):
        yield _Use(where="dhcp.url", url=dhcp.url, arch=None, script=dhcp.script)
    for machine in machines:
        arch = machine.arch if "arch" in machine.model_fields_set else None
        script = machine.script or dhcp.script
        for key, told, then in (("url", machine.url, script), ("url6", machine.url6, machine.script6 or script)):
            if told is not None and told.endswith(_SUFFIX):
                yield _Use(where=f"machine {name_of(machine)}: {key}", url=told, arch=arch, script=then)
