"""DHCPv4 messages: bytes ⇄ values.

Knows the layout of RFC 2131, options that are split (RFC 3396), options in the fields `file` and `sname` (52), and the
insides of the options that a boot needs. Refuses to know who asks and what to answer. What is decoded can be encoded
again to the same bytes: unknown options, padding and their order are kept, since the options stay the bytes that they
are, beside what was read from them.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from ipaddress import IPv4Address
from typing import Final, NamedTuple

from ironic_httpboot.dhcp.iana import BROADCAST_FLAG, ETHERNET, MAGIC_COOKIE, Option4, Overload
from ironic_httpboot.errors import MalformedMessage

UNSPECIFIED = IPv4Address(0)
SMALLEST_BYTES = 300
"""RFC 1542 §2.1: relays may drop a BOOTP message that is shorter."""
_HEADER = struct.Struct(">BBBBIHHIIII16s64s128s4s")
_SNAME_BYTES, _FILE_BYTES, _LONGEST_OPTION = 64, 128, 255
_DEFAULT_ROOM = 548
"""A message for a client that did not say what it takes: 576 bytes with IP and UDP header (RFC 2131 §2)."""
_END = bytes((Option4.END,))
_OVERLOAD_BYTES = 3


_relay = lru_cache(maxsize=4096)(IPv4Address)
"""Most messages come through a few relays, and reading an address costs as much as five options."""


class Option(NamedTuple):
    """One option as it stands on the wire."""

    code: int
    data: bytes


@dataclass(slots=True, kw_only=True)
class Message4:
    """One DHCPv4 message, with the field names of RFC 2131.

    chaddr, sname, file: all 16, 64, 128 bytes. area: the options field behind the cookie, with END and whatever follows
    it. Its fields are Final and the class is not frozen, which would make each message five times as dear.
    """

    op: Final[int]
    xid: Final[int]
    htype: Final[int] = ETHERNET
    hlen: Final[int] = 6
    hops: Final[int] = 0
    secs: Final[int] = 0
    flags: Final[int] = 0
    ciaddr: Final[IPv4Address] = UNSPECIFIED
    yiaddr: Final[IPv4Address] = UNSPECIFIED
    siaddr: Final[IPv4Address] = UNSPECIFIED
    giaddr: Final[IPv4Address] = UNSPECIFIED
    chaddr: Final[bytes] = bytes(16)
    sname: Final[bytes] = bytes(_SNAME_BYTES)
    file: Final[bytes] = bytes(_FILE_BYTES)
    area: Final[bytes] = _END
    _by_code: Mapping[int, bytes] | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def by_code(self) -> Mapping[int, bytes]:
        """The data of each option, joined from wherever its parts stand. Read once. Raises MalformedMessage."""
        if self._by_code is None:
            self._by_code = _read(self.area, 0, self.file, self.sname)
        return self._by_code

    @property
    def options(self) -> tuple[Option, ...]:
        """The options of the options field as they stand there, in order, with PAD and without END."""
        found: list[Option] = []
        at = 0
        while at < len(self.area) and (code := self.area[at]) != Option4.END:
            end = at + 2 + self.area[at + 1] if code else at + 1
            found.append(Option(code, self.area[at + 2 : end]))
            at = end
        return tuple(found)

    @property
    def kind(self) -> int | None:
        """Option 53, or None for BOOTP and where it is no single byte."""
        data = self.by_code.get(Option4.KIND, b"")
        return data[0] if len(data) == 1 else None

    @property
    def hardware_address(self) -> bytes:
        """The part of chaddr that counts."""
        return self.chaddr[: min(self.hlen, 16)]

    @property
    def broadcast(self) -> bool:
        """Whether the client asks to be answered by broadcast."""
        return bool(self.flags & BROADCAST_FLAG)

    @property
    def boot_file(self) -> bytes:
        """The field `file` up to its NUL, or nothing where it holds options."""
        return b"" if self._overloads(Overload.FILE) else self.file.partition(b"\0")[0]

    @property
    def server_name(self) -> bytes:
        """The field `sname` up to its NUL, or nothing where it holds options."""
        return b"" if self._overloads(Overload.SNAME) else self.sname.partition(b"\0")[0]

    def _overloads(self, bit: Overload) -> bool:
        data = self.by_code.get(Option4.OVERLOAD)
        return bool(data and data[0] & bit)


def decode(data: bytes) -> Message4:
    """Read one DHCPv4 message.

    data: the UDP payload, 240 bytes or more. Split options are joined in `by_code` (RFC 3396 §5). A missing END is
    let pass, as servers and firmware do. Raises MalformedMessage, naming option and offset; any other exception is a
    bug. Source: RFC 2131 §2, RFC 2132, RFC 4578.
    """
    if len(data) < _HEADER.size:
        raise MalformedMessage(f"DHCPv4 message: {len(data)} bytes, less than the {_HEADER.size} of a header")
    op, htype, hlen, hops, xid, secs, flags, ci, yi, si, gi, chaddr, sname, file, cookie = _HEADER.unpack_from(data)
    if cookie != MAGIC_COOKIE:
        raise MalformedMessage(f"DHCPv4 message: cookie {cookie.hex()} at offset 236, not {MAGIC_COOKIE.hex()}")
    message = Message4(
        op=op,
        xid=xid,
        htype=htype,
        hlen=hlen,
        hops=hops,
        secs=secs,
        flags=flags,
        ciaddr=IPv4Address(ci) if ci else UNSPECIFIED,
        yiaddr=IPv4Address(yi) if yi else UNSPECIFIED,
        siaddr=IPv4Address(si) if si else UNSPECIFIED,
        giaddr=_relay(gi) if gi else UNSPECIFIED,
        chaddr=chaddr,
        sname=sname,
        file=file,
        area=data[_HEADER.size :],
    )
    message._by_code = _read(data, _HEADER.size, file, sname)
    return message


def encode(message: Message4) -> bytes:
    """Write one message; of what `decode` returned, the same bytes."""
    header = _HEADER.pack(
        message.op,
        message.htype,
        message.hlen,
        message.hops,
        message.xid,
        message.secs,
        message.flags,
        int(message.ciaddr),
        int(message.yiaddr),
        int(message.siaddr),
        int(message.giaddr),
        message.chaddr,
        message.sname,
        message.file,
        MAGIC_COOKIE,
    )
    return header + message.area


def with_options(message: Message4, options: Mapping[int, bytes], largest_bytes: int = _DEFAULT_ROOM) -> Message4:
    """The message with these options and no others, padded to what relays demand.

    Data over 255 bytes is split. What does not fit into largest_bytes goes on in `file` and `sname` where these are
    empty (52); should there still be too much, the message is longer than asked for, since no part may be left out.
    """
    area = fitted(encode_options(options), largest_bytes)
    if area is not None:
        return replace(message, area=area)
    room = max(largest_bytes, SMALLEST_BYTES) - _HEADER.size - len(_END)
    message, pieces = _overloaded(message, options, room)
    return replace(message, area=_closed(_encode(pieces)))


def fitted(options: bytes, largest_bytes: int = _DEFAULT_ROOM) -> bytes | None:
    """Encoded options with END, padded to what relays demand; None where the message would be longer than allowed."""
    if _HEADER.size + len(options) + len(_END) > max(largest_bytes, SMALLEST_BYTES):
        return None
    return _closed(options)


def _closed(options: bytes) -> bytes:
    return (options + _END).ljust(SMALLEST_BYTES - _HEADER.size, b"\0")


def encode_options(options: Mapping[int, bytes]) -> bytes:
    """Options as bytes, those of more than 255 bytes split."""
    return _encode(piece for code, data in options.items() for piece in split(code, data))


def decode_options(data: bytes) -> Mapping[int, bytes]:
    """What `encode_options` wrote."""
    return _read(data, 0, b"", b"")


def split(code: int, data: bytes) -> tuple[Option, ...]:
    """An option in as many instances as its length demands (RFC 3396 §5)."""
    if len(data) <= _LONGEST_OPTION:
        return (Option(code, data),)
    return tuple(Option(code, data[at : at + _LONGEST_OPTION]) for at in range(0, len(data), _LONGEST_OPTION))


def addresses(data: bytes) -> tuple[IPv4Address, ...]:
    """A list of addresses, such as option 3, 6, 50 or 54. Raises MalformedMessage."""
    if not data or len(data) % 4:
        raise MalformedMessage(f"DHCPv4 option: {len(data)} bytes are no list of addresses")
    return tuple(IPv4Address(data[at : at + 4]) for at in range(0, len(data), 4))


def pack_addresses(given: Iterable[IPv4Address]) -> bytes:
    """A list of addresses as an option's data."""
    return b"".join(address.packed for address in given)


def arch_types(data: bytes) -> tuple[int, ...]:
    """Option 93: 16-bit numbers (RFC 4578 §2.1). Raises MalformedMessage."""
    if not data or len(data) % 2:
        raise MalformedMessage(f"DHCPv4 option 93: {len(data)} bytes are no list of architecture types")
    return struct.unpack(f">{len(data) // 2}H", data)


def machine_uuid(data: bytes) -> uuid.UUID:
    """Option 97: type 0 and 16 bytes as SMBIOS has them (RFC 4578 §2.3). Raises MalformedMessage."""
    if len(data) != 17 or data[0] != 0:
        raise MalformedMessage(f"DHCPv4 option 97: {len(data)} bytes are no UUID with its type")
    return uuid.UUID(bytes_le=data[1:])


def user_classes(data: bytes) -> tuple[bytes, ...]:
    """Option 77: length and class, repeated (RFC 3004). iPXE and others send one bare name: then that is the class."""
    classes = []
    at = 0
    while at < len(data):
        length = data[at]
        if length == 0 or at + 1 + length > len(data):
            return (data,)
        classes.append(data[at + 1 : at + 1 + length])
        at += 1 + length
    return tuple(classes)


def suboptions(data: bytes) -> tuple[Option, ...]:
    """What stands inside option 82 or 43: code, length, data. Raises MalformedMessage with the offset inside."""
    found = []
    at = 0
    while at < len(data):
        end = at + 2 + (data[at + 1] if at + 1 < len(data) else len(data))
        if end > len(data):
            raise MalformedMessage(
                f"DHCPv4 suboption {data[at]} at offset {at}: runs over the option's {len(data)} bytes"
            )
        found.append(Option(data[at], data[at + 2 : end]))
        at = end
    return tuple(found)


def _read(data: bytes, at: int, file: bytes, sname: bytes) -> dict[int, bytes]:
    """All options from an offset on, joined (RFC 3396 §5): the options field first, then file, then sname."""
    found: dict[int, bytes] = {}
    _read_area(data, at, "options", found)
    overload = found.get(Option4.OVERLOAD)
    if overload:
        for bit, area, name in ((Overload.FILE, file, "file"), (Overload.SNAME, sname, "sname")):
            if overload[0] & bit:
                _read_area(area, 0, name, found)
    return found


def _read_area(data: bytes, at: int, name: str, found: dict[int, bytes]) -> None:
    """Add the options from an offset on to what was found before, up to END or the end of the data."""
    size = len(data)
    while at < size:
        code = data[at]
        if code == 255:  # END, and 0 for PAD; plain numbers, since this loop is where a flood of requests is read
            return
        if code == 0:
            at += 1
            continue
        end = at + 2 + data[at + 1] if at + 1 < size else size + 1
        if end > size:
            raise MalformedMessage(f"DHCPv4 option {code} at offset {at} of {name}: runs over the end at {size}")
        part = data[at + 2 : end]
        found[code] = found[code] + part if code in found else part
        at = end


def _encode(pieces: Iterable[Option]) -> bytes:
    return b"".join(bytes((code, len(data))) + data for code, data in pieces)


def _size(options: Iterable[Option]) -> int:
    return sum(2 + len(option.data) for option in options)


def _overloaded(message: Message4, options: Mapping[int, bytes], room: int) -> tuple[Message4, list[Option]]:
    """Spread options over the options field, file and sname; an option that crosses a border is split there."""
    areas: list[tuple[Overload | None, int]] = [(None, room - _OVERLOAD_BYTES)]
    if not message.file.strip(b"\0"):
        areas.append((Overload.FILE, _FILE_BYTES - len(_END)))
    if not message.sname.strip(b"\0"):
        areas.append((Overload.SNAME, _SNAME_BYTES - len(_END)))
    rest = [piece for code, data in options.items() for piece in split(code, data)]
    filled: dict[Overload | None, list[Option]] = {}
    for area, size in areas:
        filled[area], rest = _fill(rest, size)
    if rest:
        return message, [piece for code, data in options.items() for piece in split(code, data)]
    main = filled.pop(None)
    used = 0
    for area, inside in filled.items():
        if area is None or not inside:
            continue
        used |= area
        encoded = _encode(inside) + _END
        if area is Overload.FILE:
            message = replace(message, file=encoded.ljust(_FILE_BYTES, b"\0"))
        else:
            message = replace(message, sname=encoded.ljust(_SNAME_BYTES, b"\0"))
    if used:
        main.insert(1, Option(Option4.OVERLOAD, bytes((used,))))
    return message, main


def _fill(options: list[Option], size: int) -> tuple[list[Option], list[Option]]:
    """What fits into an area, in order, and what is left."""
    inside: list[Option] = []
    for number, (code, data) in enumerate(options):
        if size >= 2 + len(data):
            inside.append(Option(code, data))
            size -= 2 + len(data)
            continue
        fits = size - 2
        if fits > 0:
            inside.append(Option(code, data[:fits]))
            return inside, [Option(code, data[fits:]), *options[number + 1 :]]
        return inside, options[number:]
    return inside, []
