"""DHCPv4 messages: bytes ⇄ values.

Knows the layout of RFC 2131, options that are split (RFC 3396), options in the fields `file` and `sname` (52), and the
insides of the options that a boot needs. Refuses to know who asks and what to answer. What is decoded can be encoded
again to the same bytes: unknown options, padding and their order are kept.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from ipaddress import IPv4Address
from typing import NamedTuple

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


class Option(NamedTuple):
    """One option as it stands on the wire. A tuple, since a server makes a hundred thousand of them a second."""

    code: int
    data: bytes


_option: Callable[[tuple[int, bytes]], Option] = partial(tuple.__new__, Option)
"""An option from a pair, at a third of the price of naming its parts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message4:
    """One DHCPv4 message, with the field names of RFC 2131.

    chaddr, sname, file: all 16, 64, 128 bytes. options: those of the options field, in order, with PAD and without END.
    end: END and whatever follows it. by_code: the data of each option, joined from wherever its parts stand.
    """

    op: int
    xid: int
    htype: int = ETHERNET
    hlen: int = 6
    hops: int = 0
    secs: int = 0
    flags: int = 0
    ciaddr: IPv4Address = UNSPECIFIED
    yiaddr: IPv4Address = UNSPECIFIED
    siaddr: IPv4Address = UNSPECIFIED
    giaddr: IPv4Address = UNSPECIFIED
    chaddr: bytes = bytes(16)
    sname: bytes = bytes(_SNAME_BYTES)
    file: bytes = bytes(_FILE_BYTES)
    options: tuple[Option, ...] = ()
    end: bytes = _END
    by_code: Mapping[int, bytes] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        joined: dict[int, bytes] = dict(self.options)
        if len(joined) < len(self.options):
            joined = {}
            _join(self.options, joined)
        overload = joined.get(Option4.OVERLOAD)
        if overload:
            # RFC 3396 §5: the options field first, then file, then sname.
            for bit, area, name in ((Overload.FILE, self.file, "file"), (Overload.SNAME, self.sname, "sname")):
                if overload[0] & bit:
                    _join(_read_options(area, 0, name)[0], joined)
        joined.pop(Option4.PAD, None)
        object.__setattr__(self, "by_code", joined)

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
    options, end = _read_options(data, _HEADER.size, "options")
    return Message4(
        op=op,
        htype=htype,
        hlen=hlen,
        hops=hops,
        xid=xid,
        secs=secs,
        flags=flags,
        ciaddr=IPv4Address(ci) if ci else UNSPECIFIED,
        yiaddr=IPv4Address(yi) if yi else UNSPECIFIED,
        siaddr=IPv4Address(si) if si else UNSPECIFIED,
        giaddr=IPv4Address(gi) if gi else UNSPECIFIED,
        chaddr=chaddr,
        sname=sname,
        file=file,
        options=options,
        end=data[end:],
    )


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
    return header + _encode_options(message.options) + message.end


def with_options(message: Message4, options: Mapping[int, bytes], largest_bytes: int = _DEFAULT_ROOM) -> Message4:
    """The message with these options and no others, padded to what relays demand.

    Data over 255 bytes is split. What does not fit into largest_bytes goes on in `file` and `sname` where these are
    empty (52); should there still be too much, the message is longer than asked for, since no part may be left out.
    """
    fitting = fitted(options, largest_bytes)
    if fitting is not None:
        pieces, end = fitting
    else:
        room = max(largest_bytes, SMALLEST_BYTES) - _HEADER.size - len(_END)
        split_up = [piece for code, data in options.items() for piece in split(code, data)]
        if _size(split_up) > room:
            message, split_up = _overloaded(message, options, room)
        pieces, end = tuple(split_up), _end_behind(_size(split_up))
    # Not dataclasses.replace, which costs as much as all the rest of this.
    return Message4(
        op=message.op,
        xid=message.xid,
        htype=message.htype,
        hlen=message.hlen,
        hops=message.hops,
        secs=message.secs,
        flags=message.flags,
        ciaddr=message.ciaddr,
        yiaddr=message.yiaddr,
        siaddr=message.siaddr,
        giaddr=message.giaddr,
        chaddr=message.chaddr,
        sname=message.sname,
        file=message.file,
        options=pieces,
        end=end,
    )


def fitted(options: Mapping[int, bytes], largest_bytes: int = _DEFAULT_ROOM) -> tuple[tuple[Option, ...], bytes] | None:
    """Options and end of a message where none is to be split or put elsewhere, as in nearly every one; else None."""
    lengths = [len(data) for data in options.values()]
    size = sum(lengths) + 2 * len(lengths)
    if (
        size + _HEADER.size + len(_END) > max(largest_bytes, SMALLEST_BYTES)
        or max(lengths, default=0) > _LONGEST_OPTION
    ):
        return None
    return tuple(map(_option, options.items())), _end_behind(size)


def _end_behind(size: int) -> bytes:
    """END, padded to what relays demand. size: of the options before it."""
    return _END.ljust(SMALLEST_BYTES - _HEADER.size - size, b"\0")


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


def _read_options(data: bytes, at: int, area: str) -> tuple[tuple[Option, ...], int]:
    """The options from an offset on, and where END stands or the data ends."""
    found: list[Option] = []
    size = len(data)
    while at < size:
        code = data[at]
        if code == 255:  # END; a plain number, since this loop is where a flood of requests is read
            break
        if code == 0:
            found.append(_PAD)
            at += 1
            continue
        end = at + 2 + data[at + 1] if at + 1 < size else size + 1
        if end > size:
            raise MalformedMessage(f"DHCPv4 option {code} at offset {at} of {area}: runs over the end at {size}")
        found.append(_option((code, data[at + 2 : end])))
        at = end
    return tuple(found), at


_PAD = Option(Option4.PAD, b"")


def _join(options: Iterable[Option], joined: dict[int, bytes]) -> None:
    for code, data in options:
        before = joined.get(code)
        joined[code] = data if before is None else before + data


def _encode_options(options: Iterable[Option]) -> bytes:
    out = bytearray()
    for code, data in options:
        out.append(code)
        if code:
            out.append(len(data))
            out += data
    return bytes(out)


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
        encoded = _encode_options(inside) + _END
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
