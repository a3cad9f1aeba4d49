"""`httpboot export`: from the file of `httpboot serve` to the configuration of another server."""

from __future__ import annotations

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


def test_what_the_other_server_cannot_do_is_said(file: Path) -> None:
    file.write_text(FILE.replace('["2001:db8::10-2001:db8::99"]', "[]"))
    assert "warning: no [[subnet]] of IPv6 has a range" in httpboot("export", "kea6", "-c", file)


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
name = "node"
mac = "52:54:00:00:00:02"
duid = "00:04:aa:bb:cd"
addresses = ["192.0.2.20", "2001:db8::22"]
url = "http://boot.example/b.iso"

[[machine]]
name = "again"
mac = "52:54:00:00:00:02"
url = "http://boot.example/c.iso"
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
    written.write_text(f"{text}\n")
    judge(*(each.replace("FILE", str(written)) for each in CHECKS[server]))
    return text, warnings


@pytest.mark.parametrize("server", CHECKS)
def test_what_stands_twice_is_exported_once_and_the_server_takes_it(server: str, file: Path) -> None:
    file.write_text(UNTIDY)
    text, warnings = taken(server, file)
    assert warnings[:3] == [
        "warning: node: another machine has this name: this one is exported as node-2",
        "warning: node-2: 192.0.2.20 is not reserved for it: node has it",
        "warning: again: left out: its mac 52:54:00:00:00:02 is that of node-2",
    ]
    assert "b.iso" in text
    assert "c.iso" not in text
