"""What is built into a GRUB: read, or refused naming the place."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironic_httpboot.errors import MalformedMessage
from ironic_httpboot.image import grubcore
from kit import efi


def test_modules_configuration_and_prefix_are_read() -> None:
    area = efi.grub_area("normal", "http", configuration="net_bootp\n", prefix="/grub")
    core = grubcore.decode(area)
    assert (core.modules, core.configuration, core.prefix) == (("normal", "http"), "net_bootp\n", "/grub")
    room = area[core.configuration_at : core.configuration_at + core.configuration_bytes]
    assert room == b"net_bootp\n\0"


def test_a_grub_without_configuration_has_none() -> None:
    assert grubcore.decode(efi.grub_area("normal")).configuration is None


@pytest.mark.parametrize(
    ("area", "complaint"),
    [
        (b"mimg", "GRUB modules: 4 bytes, fewer than their header"),
        (b"x" * 24, "GRUB modules: begin with b'xxxx', not b'mimg'"),
        (struct.pack("<4s4xQQ", b"mimg", 24, 99), "GRUB modules: end at 99, the section at 24"),
        (struct.pack("<4s4xQQII", b"mimg", 24, 32, 0, 4), "GRUB modules: part of 4 bytes at offset 24 of 32"),
        (struct.pack("<4s4xQQII", b"mimg", 24, 32, 0, 8), "GRUB module at offset 32: is no 64-bit ELF file"),
    ],
)
def test_an_area_that_is_broken_is_refused_by_place(area: bytes, complaint: str) -> None:
    with pytest.raises(MalformedMessage) as caught:
        grubcore.decode(area)
    assert caught.value.message == complaint


@given(
    area=st.one_of(
        st.binary(max_size=200),
        st.binary(max_size=99).map(lambda data: struct.pack("<4s4xQQ", b"mimg", 24, 24 + len(data)) + data),
        st.integers(0, 400).map(lambda at: efi.grub_area("normal", "http")[:at]),
    )
)
def test_any_bytes_are_read_or_refused(area: bytes) -> None:
    try:
        grubcore.decode(area)
    except MalformedMessage as error:
        assert "GRUB module" in error.message
