"""What is read of a domain's XML, and what is said where it cannot boot over HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest

from ironic_httpboot.emulator.definition import read
from ironic_httpboot.emulator.machine import DomainName, Specification
from ironic_httpboot.errors import HostError
from ironic_httpboot.model import Arch

ASKED_FOR = Specification(id="node-1", uuid="", mac="", domain=DomainName(uri="qemu:///system", name="web"))

# As libvirt 9.0 prints it, without the elements that say nothing here.
XML = """
<domain type='kvm'>
  <name>web</name>
  <uuid>7c412f3b-22ed-46bd-8731-c795cbe6132a</uuid>
  <memory unit='KiB'>786432</memory>
  <vcpu placement='static'>2</vcpu>
  <os>
    <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>
    <loader readonly='yes' secure='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.ms.fd</loader>
    <nvram template='/usr/share/OVMF/OVMF_VARS_4M.ms.fd'>/var/lib/libvirt/qemu/nvram/web_VARS.fd</nvram>
  </os>
  <devices>
    <interface type='network'><mac address='52:54:00:ee:09:de'/><source network='default'/></interface>
    <interface type='bridge'><mac address='52:54:00:00:00:02'/></interface>
    <serial type='pty'><log file='/var/log/web.log' append='on'/><target port='0'/></serial>
    <console type='pty'><log file='/var/log/web.log' append='on'/></console>
  </devices>
</domain>
"""
NVRAM = XML[XML.index("<nvram") : XML.index("</nvram>") + len("</nvram>")]
LOADER = XML[XML.index("<loader") : XML.index("</loader>") + len("</loader>")]
SERIAL = XML[XML.index("<serial") : XML.index("</console>") + len("</console>")]


def test_identity_firmware_and_console_are_read() -> None:
    found = read(XML, ASKED_FOR)
    machine = found.specification
    assert (machine.id, machine.uuid) == ("node-1", "7c412f3b-22ed-46bd-8731-c795cbe6132a")
    assert (machine.mac, machine.network) == ("52:54:00:ee:09:de", "network"), "the first interface's"
    assert (machine.arch, machine.memory_mib, machine.cpus, machine.secure_boot) == (Arch.X64, 768, 2, True)
    assert machine.domain == ASKED_FOR.domain
    assert found.code == Path("/usr/share/OVMF/OVMF_CODE_4M.ms.fd")
    assert found.variables == Path("/var/lib/libvirt/qemu/nvram/web_VARS.fd")
    assert found.template == Path("/usr/share/OVMF/OVMF_VARS_4M.ms.fd")
    assert found.console == Path("/var/log/web.log")


@pytest.mark.parametrize(
    ("nvram", "path"),
    [
        ("<nvram>/n/a.fd</nvram>", "/n/a.fd"),
        ("<nvram format='raw'>/n/b.fd</nvram>", "/n/b.fd"),
        ("<nvram type='file'><source file='/n/c.fd'/></nvram>", "/n/c.fd"),
    ],
)
def test_each_way_of_naming_the_nvram_file_is_read(nvram: str, path: str) -> None:
    found = read(XML.replace(NVRAM, nvram), ASKED_FOR)
    assert (found.variables, found.template) == (Path(path), None)


@pytest.mark.parametrize(
    ("serial", "path"),
    [
        ("<serial type='file'><source path='/c/file.log'/></serial>", "/c/file.log"),
        ("<serial type='unix'><source mode='bind' path='/s'/><log file='/c/beside.log'/></serial>", "/c/beside.log"),
        ("<console type='file'><source path='/c/console.log'/></console>", "/c/console.log"),
        ("<serial type='pty'/>", None),
        ("<serial type='unix'><source mode='bind' path='/s'/></serial>", None),
        ("", None),
    ],
)
def test_the_console_is_the_file_of_the_first_serial_port_if_it_has_one(serial: str, path: str | None) -> None:
    assert read(XML.replace(SERIAL, serial), ASKED_FOR).console == (Path(path) if path else None)


@pytest.mark.parametrize(
    ("was", "becomes", "said"),
    [
        (LOADER + "\n    " + NVRAM, "", "looked for <loader type='pflash'> and <nvram> → not there"),
        (NVRAM, "", "looked for <loader type='pflash'> and <nvram> → not there"),
        ("type='pflash'", "type='rom'", "looked for <loader type='pflash'> and <nvram> → not there"),
        ("<nvram ", "<nvram format='qcow2' ", "<nvram> has the format qcow2 → only raw"),
        ("<nvram ", "<nvram templateFormat='qcow2' ", "<nvram> has the format qcow2 → only raw"),
        (NVRAM, "<nvram type='network'><source protocol='iscsi' name='x'/></nvram>", "names no file of this host"),
        ("arch='x86_64'", "arch='s390x'", "architecture 's390x' → is none of x86_64, aarch64"),
        ("<name>web</name>", "<name>other</name>", "asked for domain web → got other"),
        ("</domain>", "", "XML of domain web read"),
    ],
)
def test_what_stands_in_the_way_of_booting_over_http_is_named(was: str, becomes: str, said: str) -> None:
    assert was in XML
    with pytest.raises(HostError, match=r"^node-1: ") as failure:
        read(XML.replace(was, becomes), ASKED_FOR)
    assert said in failure.value.message
