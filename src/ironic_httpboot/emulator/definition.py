"""A libvirt domain's XML → what a BMC must know of it: its identity, its firmware's variables, its console.

Knows the elements of libvirt's domain format (formatdomain.html, as of libvirt 9.0 and later). Refuses to know how it
was asked for, and touches no file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree as ET

from ironic_httpboot.emulator.machine import Specification
from ironic_httpboot.errors import HostError
from ironic_httpboot.model import Arch

_ARCHITECTURES = {"x86_64": Arch.X64, "aarch64": Arch.ARM64}
_RAW = (None, "raw")


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """What a domain is. template: what libvirt makes its variables from, where the definition says so.

    console: the file that its first serial port is written to; None where there is no such file.
    """

    specification: Specification
    code: Path
    variables: Path
    template: Path | None
    console: Path | None


def read(xml: str, asked_for: Specification) -> Definition:
    """Read a domain's XML.

    asked_for: id and domain are taken from it, all else from the XML. Raises HostError, naming what of the domain
    stands in the way of booting it over HTTP.
    """
    assert asked_for.domain is not None
    name = asked_for.domain.name
    try:
        root = ET.fromstring(xml)
    except ET.ParseError as error:
        raise HostError(f"{asked_for.id}: XML of domain {name} read → {error}") from error
    if root.findtext("name") != name:
        # virsh takes a name of digits for a number, and a UUID for one.
        raise HostError(
            f"{asked_for.id}: asked for domain {name} → got {root.findtext('name')}",
            hint="set machine.domain to a name",
        )
    subject = f"{asked_for.id}: domain {name}"
    interface = root.find("devices/interface")
    mac = interface.find("mac") if interface is not None else None
    loader = root.find("os/loader")
    code, variables, template = _firmware(root, subject)
    return Definition(
        specification=replace(
            asked_for,
            uuid=root.findtext("uuid", ""),
            mac=mac.get("address", "") if mac is not None else "",
            arch=_arch(root, subject),
            memory_mib=int(root.findtext("memory", "0")) // 1024,
            cpus=int(root.findtext("vcpu", "1")),
            network=interface.get("type", "") if interface is not None else "",
            secure_boot=loader is not None and loader.get("secure") == "yes",
        ),
        code=code,
        variables=variables,
        template=template,
        console=_console(root),
    )


def _arch(root: ET.Element, subject: str) -> Arch:
    kind = root.find("os/type")
    word = kind.get("arch", "") if kind is not None else ""
    if word not in _ARCHITECTURES:
        raise HostError(f"{subject}: architecture {word!r} → is none of {', '.join(_ARCHITECTURES)}")
    return _ARCHITECTURES[word]


def _firmware(root: ET.Element, subject: str) -> tuple[Path, Path, Path | None]:
    """Code, variables, and the variables' template. Raises HostError where it is not raw UEFI flash on this host."""
    loader, nvram = root.find("os/loader"), root.find("os/nvram")
    if loader is None or nvram is None or loader.get("type") != "pflash" or not (loader.text or "").strip():
        raise HostError(
            f"{subject}: looked for <loader type='pflash'> and <nvram> → not there",
            hint="give it UEFI firmware; where libvirt chooses it (<os firmware='efi'>), start it once so that it does",
        )
    for kind in (nvram.get("format"), nvram.get("templateFormat")):
        if kind not in _RAW:
            raise HostError(
                f"{subject}: <nvram> has the format {kind} → only raw can be edited",
                hint="convert it with qemu-img, and set format='raw' in <loader> and <nvram>",
            )
    source = nvram.find("source")
    path = (source.get("file") if source is not None else nvram.text) or ""
    if not path.strip():
        raise HostError(f"{subject}: <nvram> names no file of this host", hint="keep its variables in a file")
    template = nvram.get("template")
    return Path((loader.text or "").strip()), Path(path.strip()), Path(template) if template else None


def _console(root: ET.Element) -> Path | None:
    """Where the first serial port is written to: a log beside it, or the file that it is."""
    port = root.find("devices/serial")
    if port is None:
        port = root.find("devices/console")
    if port is None:
        return None
    log, source = port.find("log"), port.find("source")
    if log is not None:
        path = log.get("file")
    elif port.get("type") == "file" and source is not None:
        path = source.get("path")
    else:
        path = None
    return Path(path) if path else None
