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
