"""A server's DUID: the same at every start, another for every server."""

from __future__ import annotations

from pathlib import Path

from ironic_httpboot.dhcp.identity import derive

MAC = bytes.fromhex("525400123456")


def test_it_stays_whatever_becomes_of_the_network_card(tmp_path: Path) -> None:
    host = tmp_path / "machine-id"
    host.write_text("3d1219c7c4c5404aaa1f6d2a48adfda4\n")
    first = derive("br0", MAC, host)
    assert first == derive("br0", bytes(6), host)
    assert (first[:2], len(first)) == (b"\0\4", 18), "a DUID-UUID (RFC 6355)"
    assert first[2:] != bytes.fromhex(host.read_text()), "the machine-id is not for others"


def test_two_servers_on_one_host_have_each_their_own(tmp_path: Path) -> None:
    host = tmp_path / "machine-id"
    host.write_text("3d1219c7c4c5404aaa1f6d2a48adfda4\n")
    assert derive("br0", MAC, host) != derive("br1", MAC, host)


def test_a_host_without_a_machine_id_goes_by_its_hardware_address(tmp_path: Path) -> None:
    host = tmp_path / "machine-id"
    assert derive("br0", MAC, host) == b"\0\3\0\1" + MAC
    host.write_text("uninitialized\n")
    assert derive("br0", MAC, host) == b"\0\3\0\1" + MAC
