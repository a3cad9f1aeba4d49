"""The variable store: what is written is what is read, and bytes that are no store are refused."""

from __future__ import annotations

import contextlib
import struct
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ironic_httpboot.emulator import varstore
from ironic_httpboot.emulator.uefi import GLOBAL_VARIABLE, Variable, boot_next, boot_option, uri_path
from ironic_httpboot.errors import MalformedMessage

_STORE = uuid.UUID("aaf32c78-947b-439a-a180-2e144ec37792").bytes_le


def flash(store_bytes: int = 0x4000, body: bytes = b"") -> bytes:
    """An empty flash image: volume header, store header, room, and a tail that must stay as it is."""
    header = struct.pack("<16s16sQ4sIHHHBB", b"", b"", 0x8000, b"_FVH", 0, 72, 0, 0, 0, 2).ljust(72, b"\0")
    head = header + struct.pack("<16sIBBHI", _STORE, store_bytes, 0x5A, 0xFE, 0, 0)
    return (head + body).ljust(72 + store_bytes, b"\xff") + b"tail"


def variable(name: str = "Name", data: bytes = b"data", attributes: int = 7) -> Variable:
    return Variable(name=name, guid=GLOBAL_VARIABLE, attributes=attributes, data=data)


def test_an_empty_store_has_no_variables() -> None:
    assert varstore.decode(flash()) == ()


_variables = st.lists(
    st.builds(
        variable,
        st.text(st.characters(min_codepoint=0x21, max_codepoint=0x2FF), min_size=1, max_size=20),
        st.binary(max_size=60),
        st.integers(0, 0x7F),
    ),
    unique_by=lambda each: each.name,
    max_size=20,
)


@given(_variables)
def test_what_is_put_is_read_in_order_and_the_rest_of_the_flash_stays(variables: list[Variable]) -> None:
    image = varstore.rewrite(flash(), remove=(), put=variables)
    assert varstore.decode(image) == tuple(variables)
    assert len(image) == len(flash())
    assert image.endswith(b"tail")


def test_a_variable_that_is_put_again_has_its_new_value_only() -> None:
    image = varstore.rewrite(flash(), remove=(), put=[variable(data=b"old"), variable("Other")])
    image = varstore.rewrite(image, remove=(), put=[variable(data=b"new")])
    assert varstore.decode(image) == (variable("Other"), variable(data=b"new"))


def test_a_removed_variable_is_gone_and_removing_it_again_is_fine() -> None:
    image = varstore.rewrite(flash(), remove=(), put=[variable(), variable("Other")])
    for _ in range(2):
        image = varstore.rewrite(image, remove=[("Name", GLOBAL_VARIABLE)], put=())
        assert varstore.decode(image) == (variable("Other"),)


def test_deleted_variables_are_not_read_and_one_in_transition_yields_to_its_successor() -> None:
    records = []
    for state, data in ((0x3D, b"deleted!"), (0x3E, b"leaving!"), (0x3F, b"current!")):
        image = varstore.rewrite(flash(), remove=(), put=[variable(data=data)])
        record = bytearray(image[100 : 100 + 60 + 10 + 8])
        record[2] = state
        records.append(bytes(record).ljust(80, b"\xff"))
    assert [each.data for each in varstore.decode(flash(body=b"".join(records)))] == [b"current!"]
    assert [each.data for each in varstore.decode(flash(body=records[0] + records[1]))] == [b"leaving!"]


def test_a_store_that_is_full_says_by_how_much() -> None:
    with pytest.raises(MalformedMessage, match=r"\d+ bytes do not fit into \d+"):
        varstore.rewrite(flash(0x100), remove=(), put=[variable(data=bytes(0x200))])


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (b"short", "5 bytes are no flash image"),
        (bytes(0x1000), "no firmware volume"),
        (flash()[:80], "end before the store"),
        (flash().replace(_STORE, bytes(16)), "unknown format"),
        (flash()[:0x1000], "beyond"),
    ],
)
def test_what_is_no_store_is_refused_with_the_place(image: bytes, said: str) -> None:
    with pytest.raises(MalformedMessage, match=said):
        varstore.decode(image)


@settings(max_examples=300)
@given(st.binary(max_size=400))
def test_any_bytes_in_a_store_are_read_or_malformed(body: bytes) -> None:
    for start in (b"", b"\xaa\x55\x3f\x00"):
        with contextlib.suppress(MalformedMessage):
            varstore.decode(flash(body=start + body))


def test_a_boot_request_fits_beside_what_is_there() -> None:
    image = varstore.rewrite(
        flash(), remove=(), put=[boot_option(0xFFFF, "x", uri_path("http://h/x.iso")), boot_next(0xFFFF)]
    )
    assert [each.name for each in varstore.decode(image)] == ["BootFFFF", "BootNext"]


def test_a_flash_image_of_zeros_gets_an_empty_store_and_any_other_stays_as_it_is() -> None:
    image = varstore.formatted(bytes(0x100000))
    assert len(image) == 0x100000
    assert varstore.decode(image) == ()
    used = varstore.rewrite(image, remove=(), put=[variable()])
    assert varstore.decode(used) == (variable(),)
    assert varstore.formatted(used) == used
    assert varstore.formatted(bytes(100)) == bytes(100), "too small for a store"
