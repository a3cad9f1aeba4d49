"""`httpboot export`: from the file of `httpboot serve` to the configuration of another server."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kit.commands import httpboot
from kit.judges import judge

FILE = """
[dhcp]
interfaces = ["lo"]
url = "http://192.0.2.1:8080/secret/all.iso"

[[subnet]]
network = "192.0.2.0/24"
ranges = ["192.0.2.10-192.0.2.99"]

[[subnet]]
network = "2001:db8::/64"
ranges = ["2001:db8::10-2001:db8::99"]

[[machine]]
name = "node-1"
mac = "52:54:00:00:00:01"

[[machine]]
name = "node-2"
mac = "52:54:00:00:00:02"
url = "http://[2001:db8::1]:8080/secret/two.efi"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "httpboot.toml"
    path.write_text(FILE)
    return path


def test_the_same_machines_and_urls_stand_in_each_form(file: Path, tmp_path: Path) -> None:
    for server in ("dnsmasq", "kea4", "isc", "neutron", "neutron-json"):
        said = httpboot("export", server, "-c", file)
        assert "52:54:00:00:00:01" in said
        assert "http://192.0.2.1:8080/secret/all.iso" in said, "the default of [dhcp]"
    assert "http://[2001:db8::1]:8080/secret/two.efi" in httpboot("export", "kea6", "-c", file)
    (tmp_path / "dnsmasq.conf").write_text(httpboot("export", "dnsmasq", "-c", file).split("\n", 1)[1])
    judge("dnsmasq", "--test", f"--conf-file={tmp_path / 'dnsmasq.conf'}")


def test_what_a_machine_boots_over_ipv6_alone_stands_where_ipv6_is(file: Path) -> None:
    four = 'url = "http://boot.example/four.efi"\nscript = "http://boot.example/four.ipxe"\n'
    six = 'url6 = "http://boot.example/six.efi"\nscript6 = "http://boot.example/six.ipxe"\n'
    file.write_text(FILE.replace('url = "http://[2001:db8::1]:8080/secret/two.efi"\n', four + six))
    for server, told, other in (("kea4", "four", "six"), ("kea6", "six", "four")):
        said = httpboot("export", server, "-c", file)
        assert f"http://boot.example/{told}.efi" in said
        assert f"http://boot.example/{told}.ipxe" in said
        assert f"http://boot.example/{other}" not in said


def test_what_the_other_server_cannot_do_is_said(file: Path) -> None:
    file.write_text(FILE.replace('["2001:db8::10-2001:db8::99"]', "[]"))
    assert "warning: no [[subnet]] of IPv6 has a range" in httpboot("export", "kea6", "-c", file)


def test_a_script_that_neutron_cannot_be_told_over_ipv6_is_named(file: Path) -> None:
    script = 'script = "http://boot.example/boot.ipxe"\nmac = "52:54:00:00:00:02"'
    file.write_text(FILE.replace('mac = "52:54:00:00:00:02"', script))
    assert "warning: node-2: script is not exported over IPv6" in httpboot("export", "neutron", "-c", file)


def test_a_machine_without_a_name_takes_none_of_anothers(file: Path) -> None:
    """One tag for two machines would have the one boot what is the other's; it is called as logs call it."""
    file.write_text(FILE.replace('name = "node-1"', 'name = "machine-2"').replace('name = "node-2"', ""))
    said = httpboot("export", "dnsmasq", "-c", file)
    tags = re.findall(r"^dhcp-host=.*set:(host-[^,]*)", said, re.MULTILINE)
    assert tags == ["host-machine-2", "host-52-54-00-00-00-02"]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (('mac = "52:54:00:00:00:02"', 'duid = "00:04:01:02"'), "node-2: has no mac"),
        (("192.0.2.1:8080", "{server}:8080"), "its URL holds {server}"),
    ],
)
def test_what_cannot_be_exported_is_refused_by_name(change: tuple[str, str], complaint: str, file: Path) -> None:
    file.write_text(FILE.replace(*change))
    assert complaint in httpboot("export", "dnsmasq", "-c", file, code=2)


UNTIDY = """
[dhcp]
interfaces = ["lo"]

[[subnet]]
network = "192.0.2.0/24"
ranges = ["192.0.2.50-192.0.2.99", "192.0.2.10-192.0.2.60"]
dns = ["192.0.2.53", "2001:db8::53"]

[[subnet]]
network = "2001:db8::/64"
ranges = ["2001:db8::10-2001:db8::99", "2001:db8::90-2001:db8::a0"]
dns = ["192.0.2.53", "2001:db8::53"]

[[machine]]
name = "node"
mac = "52:54:00:00:00:01"
duid = "0004AABBCC"
addresses = ["192.0.2.20", "192.0.2.21", "2001:db8::20"]
url = "http://boot.example/a.iso"

[[machine]]
name = "other"
mac = "52:54:00:00:00:02"
duid = "00:04:aa:bb:cd"
addresses = ["192.0.2.22", "2001:db8::22"]
url = "http://boot.example/b.iso"
"""
CHECKS = {
    "dnsmasq": ("dnsmasq", "--test", "--conf-file=FILE"),
    "kea4": ("kea-dhcp4", "-t", "FILE"),
    "kea6": ("kea-dhcp6", "-t", "FILE"),
    "isc": ("dhcpd", "-t", "-cf", "FILE"),
    "isc6": ("dhcpd", "-6", "-t", "-cf", "FILE"),
}


def taken(server: str, file: Path) -> tuple[str, list[str]]:
    """What is exported for a server, which its own check has taken; and the warnings."""
    said = httpboot("export", server, "-c", file).splitlines()
    warnings = [each for each in said if each.startswith("warning: ")]
    text = "\n".join(each for each in said if each not in warnings)
    written = file.with_suffix(".exported")
    # Kea's check refuses interfaces that this host does not have.
    written.write_text(re.sub(r',\s*"eth7"', "", text) + "\n")
    judge(*(each.replace("FILE", str(written)) for each in CHECKS[server]))
    return text, warnings


@pytest.mark.parametrize("server", CHECKS)
def test_ranges_that_overlap_and_servers_of_both_families_are_exported_so_that_the_server_takes_them(
    server: str, file: Path
) -> None:
    file.write_text(UNTIDY)
    text, _ = taken(server, file)
    assert "a.iso" in text
    assert "b.iso" in text


WHOLE = """
[dhcp]
interfaces = ["lo", "eth7"]
url = "http://boot.example/v=1,2/all,x=3.iso"
script = "http://boot.example/a,b.ipxe"

[dhcp.loaders]
arm64 = "http://boot.example/arm.efi"

[[subnet]]
network = "192.0.2.0/24"
ranges = ["192.0.2.10-192.0.2.99"]
router = "192.0.2.1"
dns = ["192.0.2.53"]
domain = "a.example"

[[subnet]]
network = "198.51.100.0/24"
router = "198.51.100.1"

[[subnet]]
network = "2001:db8::/64"
ranges = ["2001:db8::10-2001:db8::99"]
dns = ["2001:db8::53"]
"""
NODE = """
[[machine]]
name = "node"
mac = "52:54:00:00:00:01"
duid = "00:04:aa:bb:cc"
addresses = ["198.51.100.8"]
url = "http://boot.example/v=1,2/a,b=4.iso"
"""
SAYS = {
    "dnsmasq": (
        "interface=lo\ninterface=eth7\n",
        "dhcp-range=set:net-1,192.0.2.10,192.0.2.99,255.255.255.0,3600\n",
        "dhcp-option=tag:net-1,3,192.0.2.1\n",
        "dhcp-option=tag:net-1,6,192.0.2.53\n",
        "dhcp-option=tag:net-1,15,a.example\n",
        "dhcp-option=tag:net-2,3,198.51.100.1\n",
        "dhcp-option=tag:net-3,option6:dns-server,[2001:db8::53]\n",
        "dhcp-option-force=tag:!named,tag:http,tag:!script,67,http://boot.example/v=1,2/all,x=3.iso\n",
        "dhcp-option-force=tag:!named,tag:script,67,http://boot.example/a,b.ipxe",
        'dhcp-option-force=tag:!named,tag:firmware6,option6:59,"http://boot.example/v=1,2/all,x=3.iso"',
    ),
    "kea4": (
        '"eth7"',
        '"data": "a.example"',
        r'"data": "http://boot.example/v=1\\,2/all\\,x=3.iso"',
        r'"data": "http://boot.example/a\\,b.ipxe"',
        '"boot-_default"',
    ),
    "kea6": ('"eth7"', r'"data": "http://boot.example/v=1\\,2/all\\,x=3.iso"', '"boot-_default"'),
    "isc": (
        '  option domain-name "a.example";\n',
        'if not known {\n  if option user-class = "iPXE" {\n    option bootfile-name "http://boot.example/a,b.ipxe";\n',
        '    option bootfile-name "http://boot.example/v=1,2/all,x=3.iso";\n',
    ),
    "isc6": ("if not known {\n", '  option dhcp6.bootfile-url "http://boot.example/v=1,2/all,x=3.iso";\n'),
}


@pytest.mark.parametrize("machine", ["", NODE], ids=["nobody", "somebody"])
@pytest.mark.parametrize("server", CHECKS)
def test_networks_interfaces_and_what_the_unnamed_boot_are_exported(server: str, machine: str, file: Path) -> None:
    file.write_text(WHOLE + machine)
    text, warnings = taken(server, file)
    for each in SAYS[server]:
        assert each in text
    said = "\n".join(warnings)
    assert "[dhcp.loaders]: is exported for the machines that are named, and for no others" in said
    assert ("dhcpd -cf FILE lo eth7" in said) == (server == "isc")
    assert ("none for eth7" in said) == (server == "kea6")
    if machine and server == "dnsmasq":
        assert "dhcp-range=set:net-2,198.51.100.0,static,255.255.255.0,3600" in text, "or its address is not given"


def test_what_neutron_cannot_be_told_is_said(file: Path) -> None:
    file.write_text(WHOLE + NODE)
    said = httpboot("export", "neutron", "-c", file)
    assert "machines that are not named get none" in said
    assert "domain a.example is not exported" in said
    assert "node: its URL has a comma and an equals sign after it" in said
    assert "equals sign" not in httpboot("export", "neutron-json", "-c", file)


def test_what_only_serve_can_do_for_the_unnamed_is_said(file: Path) -> None:
    file.write_text(FILE.split("[[machine]]", maxsplit=1)[0].replace("192.0.2.1:8080", "{server}:8080"))
    assert "[dhcp] url: holds {server}" in httpboot("export", "dnsmasq", "-c", file)
    file.write_text(FILE.replace("[dhcp]", '[dhcp]\nunknown = "ignore"\nmachines = "more"'))
    said = httpboot("export", "dnsmasq", "-c", file)
    assert "[dhcp] unknown: is not exported" in said
    assert "those of the folder more are not exported" in said
    assert "!named" not in said
