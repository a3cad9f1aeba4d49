"""What UEFI firmware makes of the offers that it gets: which it takes, and why it passes over each other one.

Knows the rules of EDK2's HttpBootDxe, as rows with their evidence. Refuses to know servers and captures: offers are
given as messages, and time does not count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address
from urllib.parse import unquote

from ironic_httpboot.dhcp import message6
from ironic_httpboot.dhcp.iana import HTTP_CLIENT, Option4, Option6, Status6
from ironic_httpboot.dhcp.message4 import Message4
from ironic_httpboot.dhcp.message6 import Message6
from ironic_httpboot.errors import BadUrl, MalformedMessage
from ironic_httpboot.model import LONGEST_URL_BYTES, BootUrl, ImageKind

LARGEST_PACKET_BYTES, MOST_OFFERS = 1472, 16
_CLASS6 = slice(6, 16)
_RAN, _READ = "ran: OVMF 2022.11-6+deb12u2", "read: EDK2 HttpBootDxe, 2026-08"
RELEASE_AWAITED = "firmware waits for the answer, up to some 45 s, before it starts what it has fetched"
"""Ran: OVMF 2022.11-6+deb12u2."""
_LIMITED_BROADCAST = IPv4Address("255.255.255.255")
_UNREADABLE = re.compile(r"[ \r\n]|^[^:]*://[^/?#]*@@|^$")
"""All that HttpParseUrl refuses (EDK2 DxeHttpLib, 2026-08): it takes what is no URL to others, as one with braces."""
_SCHEME = re.compile(r"https?://", re.IGNORECASE)
"""What HttpBootCheckUriScheme wants, once the offer is taken: then it is too late for another."""
_HOST = re.compile(r"[^:]*://(?:[^/?#]*@)?(\[[^/?#]*\]|[^/?#:]*)")


class Rule(Enum):
    """Why firmware passes over an offer, or over the URL in it: what is wrong, what to change, and the evidence."""

    UNICAST = ("it was sent to an address that the machine does not have yet", "send it as a broadcast", _RAN)
    TOO_LARGE = (f"it is larger than {LARGEST_PACKET_BYTES} bytes", "send fewer options", _READ)
    TOO_MANY = (f"{MOST_OFFERS} offers came before it", "let fewer servers answer", _READ)
    NO_URL = ("it says HTTPClient and brings no URL", "add option 67 (DHCPv6: 59)", _READ)
    BAD_URL = ("its URL cannot be read", "write http://ADDRESS:PORT/PATH", _READ)
    SCHEME = (
        "its URL begins with neither http:// nor https://, which firmware sees when it has taken it",
        "write http://ADDRESS:PORT/PATH",
        _READ,
    )
    FAMILY = (
        "its URL has an address of the other IP version, which firmware takes for a host's name",
        "use an address of the version by which the machine asks",
        _READ,
    )
    NO_CLASS4 = (
        "it has a URL and no option 60 that begins with HTTPClient: the URL does not count",
        'send option 60 "HTTPClient" in the same offer',
        _RAN,
    )
    NO_CLASS6 = (
        "it has a URL and no option 16: the URL does not count",
        "send option 16 with enterprise 343 and HTTPClient",
        _RAN,
    )
    BAD_CLASS6 = (
        "its option 16 does not hold HTTPClient in bytes 6 to 15: the URL does not count",
        'send 00000157 000a and "HTTPClient"',
        _RAN,
    )
    NO_ADDRESS4 = ("it offers neither an address nor a URL for HTTPClient", "add options 60 and 67", _READ)
    NO_ADDRESS6 = ("its server has no address to give", "give the server a pool", _READ)
    LIFETIMES = ("its preferred lifetime exceeds the valid one: the firmware hangs", "make preferred ≤ valid", _RAN)
    NO_DNS = ("its URL names a host and it brings no DNS server", "add option 6 (DHCPv6: 23), or use an address", _RAN)
    PROXY_NAME = (
        "its URL names a host, and no offer of an address brings a DNS server",
        "use an address in a proxy's URL",
        _READ,
    )
    NO_PROXY = ("it brings no URL for HTTPClient, and no other offer adds one", "add options 60 and 67", _RAN)
    ALONE = ("it brings a URL and no address, and no plain offer of an address came", "run a DHCP server too", _RAN)
    OUTRANKED = ("another offer comes first in the firmware's order", "nothing: another was good", _READ)

    @property
    def reason(self) -> str:
        """What is wrong with the offer."""
        return self.value[0]

    @property
    def remedy(self) -> str:
        """What to change."""
        return self.value[1]

    @property
    def evidence(self) -> str:
        """Where it was seen or read."""
        return self.value[2]


class Category(Enum):
    """What an offer is to the firmware (HTTP_BOOT_OFFER_TYPE)."""

    IP_URL = "address, URL with an IP address"
    IP_URL_DNS = "address, DNS, URL with an IP address"
    NAME_URL_DNS = "address, DNS, URL with a host name"
    NAME_URL = "address, URL with a host name"
    PLAIN = "address"
    PLAIN_DNS = "address, DNS"
    PROXY_IP_URL = "URL with an IP address"
    PROXY_NAME_URL = "URL with a host name"


PREFERENCE: tuple[tuple[Category, Category | None], ...] = (
    (Category.IP_URL, None),
    (Category.IP_URL_DNS, None),
    (Category.NAME_URL_DNS, None),
    (Category.PLAIN, Category.PROXY_IP_URL),
    (Category.PLAIN_DNS, Category.PROXY_IP_URL),
    (Category.PLAIN_DNS, Category.PROXY_NAME_URL),
    (Category.PLAIN_DNS, Category.NAME_URL),
)
"""In the order in which firmware looks: the offer of an address, and the one that adds the URL (EDK2, 2026-08)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One offer, as firmware reads it. category: None where it is dropped at once, for the rule in `flaw`.

    flaw may also stand beside a category: then the offer counts as something less than was meant.
    """

    server: str
    category: Category | None
    url: str | None
    flaw: Rule | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What becomes of an offer. rule: None where it is taken."""

    offer: Offer
    rule: Rule | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What firmware does. rank: 1 is the best; None where it ends in "Server response timeout"."""

    rank: int | None
    url: str | None
    verdicts: tuple[Verdict, ...]
    concerns: tuple[str, ...] = ()


def assess4(message: Message4, *, server: str, size_bytes: int, destination: IPv4Address, broadcast: bool) -> Offer:
    """Read a DHCPOFFER as firmware does. broadcast: whether the machine had set the flag."""
    url = _url4(message)
    if broadcast and destination != _LIMITED_BROADCAST and destination != message.giaddr:
        return Offer(server=server, category=None, url=url, flaw=Rule.UNICAST)
    if size_bytes > LARGEST_PACKET_BYTES:
        return Offer(server=server, category=None, url=url, flaw=Rule.TOO_LARGE)
    is_http = (_first4(message, Option4.VENDOR_CLASS) or b"").startswith(HTTP_CLIENT)
    return _assessed(
        server,
        url,
        is_http=is_http,
        has_address=message.yiaddr not in IPv4Network("0.0.0.0/8"),
        has_dns=_first4(message, Option4.DNS_SERVERS) is not None,
        without_class=Rule.NO_CLASS4,
        version=4,
    )


def assess6(message: Message6, *, server: str, size_bytes: int) -> Offer:
    """Read an ADVERTISE as firmware does. Of an option that is there twice, the last counts."""
    url = _text(message.all(Option6.BOOT_URL)[-1:])
    if size_bytes > LARGEST_PACKET_BYTES:
        return Offer(server=server, category=None, url=url, flaw=Rule.TOO_LARGE)
    association = _association(message)
    if association is Rule.NO_ADDRESS6 or association is Rule.LIFETIMES:
        return Offer(server=server, category=None, url=url, flaw=association)
    classes = message.all(Option6.VENDOR_CLASS)[-1:]
    return _assessed(
        server,
        url,
        is_http=bool(classes) and classes[0][_CLASS6] == HTTP_CLIENT,
        has_address=association is None,
        has_dns=bool(message.all(Option6.DNS_SERVERS)),
        without_class=Rule.BAD_CLASS6 if classes else Rule.NO_CLASS6,
        version=6,
    )


def choose(offers: Sequence[Offer]) -> Choice:
    """What firmware takes of offers, in the order in which they came, when it was to take its URL from DHCP."""
    kept: list[Offer] = []
    for offer in offers:
        if offer.category is not None and sum(each.category is not None for each in kept) >= MOST_OFFERS:
            offer = replace(offer, category=None, flaw=Rule.TOO_MANY)
        kept.append(offer)
    for rank, (category, proxy) in enumerate(PREFERENCE, 1):
        chosen = next((index for index, each in enumerate(kept) if each.category is category), None)
        adding = next((index for index, each in enumerate(kept) if each.category is proxy), None) if proxy else None
        if chosen is None or (proxy is not None and adding is None):
            continue
        taken = {chosen} if adding is None else {chosen, adding}
        url = kept[chosen if adding is None else adding].url
        verdicts = tuple(
            Verdict(offer=each, rule=None if index in taken else each.flaw or Rule.OUTRANKED)
            for index, each in enumerate(kept)
        )
        return Choice(rank=rank, url=url, verdicts=verdicts, concerns=_concerns(url))
    return Choice(rank=None, url=None, verdicts=tuple(Verdict(offer=each, rule=_useless(each, kept)) for each in kept))


def _assessed(
    server: str, url: str | None, *, is_http: bool, has_address: bool, has_dns: bool, without_class: Rule, version: int
) -> Offer:
    if not is_http:
        flaw = without_class if url is not None else None
        if not has_address:
            return Offer(server=server, category=None, url=url, flaw=flaw or Rule.NO_ADDRESS4)
        return Offer(server=server, category=Category.PLAIN_DNS if has_dns else Category.PLAIN, url=url, flaw=flaw)
    if url is None:
        return Offer(server=server, category=None, url=None, flaw=Rule.NO_URL)
    if _UNREADABLE.search(url):
        return Offer(server=server, category=None, url=url, flaw=Rule.BAD_URL)
    literal = _version_of_host(url)
    if not has_address:
        category = Category.PROXY_IP_URL if literal == version else Category.PROXY_NAME_URL
    elif literal == version:
        category = Category.IP_URL_DNS if has_dns else Category.IP_URL
    else:
        category = Category.NAME_URL_DNS if has_dns else Category.NAME_URL
    flaw = None
    if not _SCHEME.match(url):
        flaw = Rule.SCHEME
    elif literal not in (version, None):
        flaw = Rule.FAMILY
    elif category is Category.NAME_URL:
        flaw = Rule.NO_DNS
    return Offer(server=server, category=category, url=url, flaw=flaw)


def _version_of_host(url: str) -> int | None:
    """The IP version of the literal address in a URL; None for a name."""
    found = _HOST.match(url)
    host = found[1] if found else ""
    try:
        if host.startswith("["):
            return IPv6Address(host.strip("[]")).version
        return IPv4Address(host).version
    except AddressValueError:
        return None


def _useless(offer: Offer, offers: Sequence[Offer]) -> Rule:
    """Why an offer leads nowhere when none does."""
    if offer.flaw is not None:
        return offer.flaw
    if offer.category in (Category.PROXY_IP_URL, Category.PROXY_NAME_URL):
        plain = any(each.category in (Category.PLAIN, Category.PLAIN_DNS) for each in offers)
        return Rule.PROXY_NAME if plain else Rule.ALONE
    return Rule.NO_PROXY


def _concerns(url: str | None) -> tuple[str, ...]:
    """What may still stop a boot whose offer was taken."""
    return () if url is None else tuple(_said_of(url))


def _said_of(url: str) -> Iterator[str]:
    if not _SCHEME.match(url):
        yield Rule.SCHEME.reason
        return
    # Only DHCPv6 brings longer ones, and nothing in firmware cuts them.
    beginning = url.partition("?")[0][:LONGEST_URL_BYTES] if len(url) > LONGEST_URL_BYTES else url
    try:
        BootUrl.parse(beginning)
    except BadUrl as error:
        yield error.message
    if ImageKind.of_name(unquote(re.split(r"[?#]", url)[0])) is None:
        yield "the path ends in none of .efi, .iso, .img: without an exact Content-Type the firmware gives up"


def _first4(message: Message4, code: int) -> bytes | None:
    """An option's first instance; firmware does not join what is split."""
    return next((data for each, data in message.options if each == code), message.by_code.get(code))


def _url4(message: Message4) -> str | None:
    option = _first4(message, Option4.BOOT_FILE)
    return _text([message.boot_file] if option is None and message.boot_file else [option] if option else [])


def _text(data: Sequence[bytes]) -> str | None:
    return data[0].partition(b"\0")[0].decode("latin-1") if data else None


def _association(message: Message6) -> Rule | None:
    """None where an address is offered that can be used; ALONE where none is meant to be."""
    associations = message.all(Option6.IA_NA)
    if not associations:
        return Rule.ALONE
    try:
        ia = message6.decode_ia(associations[-1])
        if any(each.preferred > each.valid for each in ia.addresses):
            return Rule.LIFETIMES
        states = [message6.decode_status(data)[0] for code, data in ia.options if code == Option6.STATUS]
    except MalformedMessage:
        return Rule.NO_ADDRESS6
    return Rule.NO_ADDRESS6 if not ia.addresses or any(state != Status6.SUCCESS for state in states) else None
