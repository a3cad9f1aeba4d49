"""Captures of DHCP as files: the UDP datagrams in them, and what tshark reads there."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ironic_httpboot import config
from kit.judges import judge

GOLDEN = Path(__file__).parents[1] / "golden" / "dhcp"
_WANTED = "HTTPBOOT_GOLDEN"
_INSTALLED = ("qemu-system-x86", "dnsmasq-base", "isc-dhcp-client")
_UNPACKED = ("ovmf", "grub-efi-amd64-bin", "ipxe")


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """One datagram. version: of IP."""

    version: int
    source_port: int
    target_port: int
    data: bytes


def datagrams(path: Path) -> Iterator[Captured]:
    """Every UDP datagram of a classic pcap file of Ethernet, in order."""
    data = path.read_bytes()
    magic, link = struct.unpack_from("<I16xI", data)
    assert (magic, link) == (0xA1B2C3D4, 1), "a little-endian pcap file of Ethernet"
    at = 24
    while at < len(data):
        _, _, captured, original = struct.unpack_from("<IIII", data, at)
        assert captured == original
        frame = data[at + 16 : at + 16 + captured]
        at += 16 + captured
        kind = int.from_bytes(frame[12:14])
        udp = 14 + (4 * (frame[14] & 15) if kind == 0x0800 else 40)
        source, target, length, _ = struct.unpack_from(">HHHH", frame, udp)
        version = 4 if kind == 0x0800 else 6
        yield Captured(version=version, source_port=source, target_port=target, data=frame[udp + 8 : udp + length])


def dissected(path: Path) -> list[dict[str, Any]]:
    """What tshark reads in a capture: a packet's layers, as it writes them in JSON."""
    said = judge("tshark", "-n", "-r", path, "-T", "json", "--no-duplicate-keys")
    return [packet["_source"]["layers"] for packet in json.loads(said)]


def keep(path: Path) -> None:
    """Make a capture a golden one where HTTPBOOT_GOLDEN is set, with the versions of those that spoke in it.

    `HTTPBOOT_GOLDEN=1 pytest tests/firmware/test_dhcp_path.py tests/interop/dhcp/test_serve.py` makes all of them anew.
    """
    if not os.environ.get(_WANTED):
        return
    GOLDEN.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, GOLDEN / path.name)
    versions = judge("dpkg-query", "-W", "-f", "${Package} ${Version}\n", *_INSTALLED).decode()
    versions += "".join(f"{package} {_unpacked_version(package)}\n" for package in _UNPACKED)
    lines = judge("tshark", "-n", "-r", path).decode().splitlines()
    text = "\n".join(" ".join(line.split()[2:]) for line in lines)
    (GOLDEN / f"{path.stem}.txt").write_text(f"{versions}\n{text}\n")


def _unpacked_version(package: str) -> str:
    """As the first line of the changelog says that came with the package."""
    changelog = config.parts_folder() / "usr" / "share" / "doc" / package / "changelog.Debian.gz"
    with gzip.open(changelog, "rt") as lines:
        return next(lines).split("(")[1].split(")")[0]
