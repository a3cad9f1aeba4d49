"""The variable store in an OVMF or AAVMF flash image: bytes ⇄ variables.

Knows EDK2's layout: a firmware volume with an authenticated variable store at its head (MdeModulePkg
VariableFormat.h, AuthenticatedVariableFormat.h). Refuses to know what the variables mean. A store may only be
rewritten while no machine runs from it.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from ironic_httpboot.emulator.uefi import Variable
from ironic_httpboot.errors import MalformedMessage

_VOLUME_HEADER = struct.Struct("<16s16sQ4sIHHHBB")
_VOLUME_SIGNATURE = b"_FVH"
_VOLUME_GUID = uuid.UUID("fff12b8d-7696-4c8b-a985-2747075b4f50").bytes_le
_VOLUME_BYTES, _VOLUME_REVISION = 0x48, 2
_VOLUME_ATTRIBUTES = 0x0E36
"""Read, write, memory mapped; erased bits are 1 (UEFI PI 1.7, volume 3, §3.2.1)."""
_BLOCKS, _BLOCK_BYTES = 3, 0x40000
_STORE_HEADER = struct.Struct("<16sIBBHI")
_STORE_GUID = uuid.UUID("aaf32c78-947b-439a-a180-2e144ec37792").bytes_le
_FORMATTED, _HEALTHY = 0x5A, 0xFE
_VARIABLE_HEADER = struct.Struct("<HBBIQ16sIII16s")
_START_ID = 0x55AA
_ADDED = 0x3F
_IN_DELETED_TRANSITION = 0xFE
_ALIGNMENT = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """A variable with the authentication fields that go with it, which must survive a rewrite."""

    variable: Variable
    monotonic_count: int = 0
    timestamp: bytes = bytes(16)
    public_key_index: int = 0


def formatted(image: bytes) -> bytes:
    """A flash image that no firmware has run from yet, with an empty store as AAVMF makes it at its first boot.

    Such an image is all zeros, as Debian's AAVMF_VARS.fd is; any other comes back as it is.
    Source: EDK2 OvmfPkg/VirtNorFlashDxe, InitializeFvAndVariableStoreHeaders: three blocks of the flash are the volume,
    the first of them the store.
    """
    if any(image) or len(image) < _BLOCKS * _BLOCK_BYTES:
        return image
    fields = (bytes(16), _VOLUME_GUID, _BLOCKS * _BLOCK_BYTES, _VOLUME_SIGNATURE, _VOLUME_ATTRIBUTES, _VOLUME_BYTES)
    blocks = struct.pack("<IIII", len(image) // _BLOCK_BYTES, _BLOCK_BYTES, 0, 0)
    unchecked = _VOLUME_HEADER.pack(*fields, 0, 0, 0, _VOLUME_REVISION) + blocks
    checksum = -sum(word for (word,) in struct.iter_unpack("<H", unchecked)) & 0xFFFF
    volume = _VOLUME_HEADER.pack(*fields, checksum, 0, 0, _VOLUME_REVISION) + blocks
    store = _STORE_HEADER.pack(_STORE_GUID, _BLOCK_BYTES - _VOLUME_BYTES, _FORMATTED, _HEALTHY, 0, 0)
    return (volume + store).ljust(_BLOCKS * _BLOCK_BYTES, b"\xff") + image[_BLOCKS * _BLOCK_BYTES :]


def decode(image: bytes) -> tuple[Variable, ...]:
    """The live variables of a flash image, in store order. Raises MalformedMessage, naming field and offset."""
    start, end = _bounds(image)
    return tuple(record.variable for record in _records(image[start:end]))


def rewrite(image: bytes, *, remove: Sequence[tuple[str, str]], put: Sequence[Variable]) -> bytes:
    """The image with variables removed, by (name, guid), and others put in or replaced.

    Raises MalformedMessage where the image is no variable store, or the store has no room.
    """
    start, end = _bounds(image)
    gone = {*remove, *((variable.name, variable.guid) for variable in put)}
    kept = [record for record in _records(image[start:end]) if (record.variable.name, record.variable.guid) not in gone]
    body = bytearray()
    for record in [*kept, *(_Record(variable=variable) for variable in put)]:
        body += _encode(record)
        body += b"\xff" * (-len(body) % _ALIGNMENT)
    if len(body) > end - start:
        raise MalformedMessage(f"variable store: {len(body)} bytes do not fit into {end - start}")
    return image[:start] + bytes(body).ljust(end - start, b"\xff") + image[end:]


def _bounds(image: bytes) -> tuple[int, int]:
    """Where the variables begin and end."""
    if len(image) < _VOLUME_HEADER.size:
        raise MalformedMessage(f"variable store: {len(image)} bytes are no flash image")
    _, _, _, signature, _, header_bytes, *_ = _VOLUME_HEADER.unpack_from(image)
    if signature != _VOLUME_SIGNATURE:
        raise MalformedMessage("variable store: no firmware volume at offset 0 (boot a blank flash once first)")
    if len(image) < header_bytes + _STORE_HEADER.size:
        raise MalformedMessage(f"variable store: {len(image)} bytes end before the store at {header_bytes}")
    guid, store_bytes, *_ = _STORE_HEADER.unpack_from(image, header_bytes)
    if guid != _STORE_GUID:
        raise MalformedMessage(f"variable store: unknown format {uuid.UUID(bytes_le=guid)} at {header_bytes}")
    end = header_bytes + store_bytes
    if end > len(image):
        raise MalformedMessage(f"variable store: says that it ends at {end}, beyond {len(image)}")
    return header_bytes + _STORE_HEADER.size, end


def _records(store: bytes) -> list[_Record]:
    found: dict[tuple[str, str], _Record] = {}
    at = 0
    while at + _VARIABLE_HEADER.size <= len(store):
        start_id, state, _, attributes, count, timestamp, key, name_bytes, data_bytes, guid = (
            _VARIABLE_HEADER.unpack_from(store, at)
        )
        if start_id != _START_ID:
            break
        name_at = at + _VARIABLE_HEADER.size
        end = name_at + name_bytes + data_bytes
        if end > len(store) or name_bytes < 2:
            raise MalformedMessage(f"variable store: variable at offset {at} ends at {end}, beyond {len(store)}")
        if state in (_ADDED, _ADDED & _IN_DELETED_TRANSITION):
            variable = Variable(
                name=store[name_at : name_at + name_bytes - 2].decode("utf-16-le", "replace"),
                guid=str(uuid.UUID(bytes_le=guid)),
                attributes=attributes,
                data=store[name_at + name_bytes : end],
            )
            record = _Record(variable=variable, monotonic_count=count, timestamp=timestamp, public_key_index=key)
            # One that is being replaced stands beside its successor for a moment: the successor wins.
            if state == _ADDED or (variable.name, variable.guid) not in found:
                found[variable.name, variable.guid] = record
        at = -(-end // _ALIGNMENT) * _ALIGNMENT
    return list(found.values())


def _encode(record: _Record) -> bytes:
    variable = record.variable
    name = variable.name.encode("utf-16-le") + b"\0\0"
    header = _VARIABLE_HEADER.pack(
        _START_ID,
        _ADDED,
        0,
        variable.attributes,
        record.monotonic_count,
        record.timestamp,
        record.public_key_index,
        len(name),
        len(variable.data),
        uuid.UUID(variable.guid).bytes_le,
    )
    return header + name + variable.data
