"""What firmware makes of offers: each rule, and the order of preference."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironic_httpboot.dhcp import firmware, message4, message6
from ironic_httpboot.dhcp.firmware import PREFERENCE, Category, Offer, Rule
from ironic_httpboot.dhcp.iana import Option4, Option6, Status6
from ironic_httpboot.dhcp.message4 import Message4, Option
from ironic_httpboot.dhcp.message6 import IaAddress, IaNa, Message6

IP_URL, NAME_URL = "http://192.0.2.1/a.efi", "http://boot.example/a.efi"
ADDRESS = IPv4Address("192.0.2.9")
BROADCAST = IPv4Address("255.255.255.255")
IP_URL6 = "http://[2001:db8::1]/a.efi"


def offer4(
    url: str | None = None,
    *,
    http: bool = True,
    dns: bool = False,
    address: IPv4Address = ADDRESS,
    file: bytes = b"",
    options: tuple[Option, ...] = (),
) -> Message4:
    given = [Option(53, b"\x02"), *options]
    if http:
        given.append(Option(Option4.VENDOR_CLASS, b"HTTPClient:x"))
    if url is not None:
        given.append(Option(Option4.BOOT_FILE, url.encode() + b"\0"))
    if dns:
        given.append(Option(Option4.DNS_SERVERS, bytes(4)))
    area = b"".join(bytes((code, len(data))) + data for code, data in given) + b"\xff"
    return Message4(op=2, xid=1, yiaddr=address, file=file.ljust(128, b"\0"), area=area)


def read4(message: Message4, *, size_bytes: int = 400, destination: IPv4Address = BROADCAST) -> Offer:
    return firmware.assess4(message, server="a", size_bytes=size_bytes, destination=destination, broadcast=True)


@pytest.mark.parametrize(
    ("message", "category", "flaw"),
    [
        (offer4(IP_URL), Category.IP_URL, None),
        (offer4(IP_URL, dns=True), Category.IP_URL_DNS, None),
        (offer4(NAME_URL, dns=True), Category.NAME_URL_DNS, None),
        (offer4(NAME_URL), Category.NAME_URL, Rule.NO_DNS),
        (offer4(http=False), Category.PLAIN, None),
        (offer4(http=False, dns=True), Category.PLAIN_DNS, None),
        (offer4(IP_URL, http=False), Category.PLAIN, Rule.NO_CLASS4),
        (offer4(IP_URL, address=IPv4Address(0)), Category.PROXY_IP_URL, None),
        (offer4(NAME_URL, address=IPv4Address(0)), Category.PROXY_NAME_URL, None),
        (offer4(IP_URL, http=False, address=IPv4Address(0)), None, Rule.NO_CLASS4),
        (offer4(http=False, address=IPv4Address(0)), None, Rule.NO_ADDRESS4),
        (offer4(), None, Rule.NO_URL),
        (offer4("http://192.0.2.1/a file.efi"), None, Rule.BAD_URL),
        (offer4(""), None, Rule.BAD_URL),
        (offer4("http://a@@192.0.2.1/a.efi"), None, Rule.BAD_URL),
        (offer4("http://192.0.2.1/{a}.efi"), Category.IP_URL, None),
        (offer4('http://192.0.2.1/"a"|b@@c.efi'), Category.IP_URL, None),
        (offer4("HTTP://me:secret@192.0.2.1:80/a.efi#top"), Category.IP_URL, None),
        (offer4("tftp://192.0.2.1/x"), Category.IP_URL, Rule.SCHEME),
        (offer4("bootx64.efi", dns=True), Category.NAME_URL_DNS, Rule.SCHEME),
        (offer4(IP_URL6), Category.NAME_URL, Rule.FAMILY),
        (offer4(IP_URL6, address=IPv4Address(0)), Category.PROXY_NAME_URL, Rule.FAMILY),
        (offer4(file=IP_URL.encode()), Category.IP_URL, None),
    ],
)
def test_a_dhcpv4_offer_is_one_of_eight_or_dropped(
    message: Message4, category: Category | None, flaw: Rule | None
) -> None:
    found = read4(message)
    assert (found.category, found.flaw) == (category, flaw)


def test_only_the_first_instance_of_an_option_counts() -> None:
    split = (Option(Option4.BOOT_FILE, b"http://192.0.2.1/a"), Option(Option4.BOOT_FILE, b".efi"))
    assert read4(offer4(options=split)).url == "http://192.0.2.1/a"


def test_what_is_sent_to_an_address_that_the_machine_does_not_have_yet_is_not_received() -> None:
    assert read4(offer4(IP_URL), destination=ADDRESS).flaw is Rule.UNICAST


def test_what_goes_to_a_relay_is_broadcast_by_it() -> None:
    relayed = Message4(op=2, xid=1, yiaddr=ADDRESS, giaddr=IPv4Address("192.0.2.254"), area=offer4(IP_URL).area)
    assert read4(relayed, destination=IPv4Address("192.0.2.254")).category is Category.IP_URL


@pytest.mark.parametrize(("size_bytes", "flaw"), [(1472, None), (1473, Rule.TOO_LARGE)])
def test_a_packet_over_1472_bytes_is_ignored(size_bytes: int, flaw: Rule | None) -> None:
    assert read4(offer4(IP_URL), size_bytes=size_bytes).flaw is flaw


def made(category: Category) -> Offer:
    return Offer(server=category.name, category=category, url=IP_URL)


@pytest.mark.parametrize(("rank", "pair"), [*enumerate(PREFERENCE, 1)])
def test_the_order_of_preference(rank: int, pair: tuple[Category, Category | None]) -> None:
    offers = [made(each) for each in pair if each is not None]
    assert firmware.choose(offers).rank == rank
    assert firmware.choose(offers[::-1]).rank == rank, "the order in which they come does not count"
    for better in range(rank - 1):
        more = offers + [made(each) for each in PREFERENCE[better] if each is not None]
        assert (firmware.choose(more).rank or 99) <= better + 1


def test_a_proxys_offer_is_taken_beside_a_plain_one_and_useless_alone() -> None:
    both = firmware.choose([made(Category.PLAIN), made(Category.PROXY_IP_URL)])
    assert [each.rule for each in both.verdicts] == [None, None]
    alone = firmware.choose([made(Category.PROXY_IP_URL)])
    assert (alone.rank, [each.rule for each in alone.verdicts]) == (None, [Rule.ALONE])
    name = firmware.choose([made(Category.PLAIN), made(Category.PROXY_NAME_URL)])
    assert [each.rule for each in name.verdicts] == [Rule.NO_PROXY, Rule.PROXY_NAME]


def test_the_first_of_equals_is_taken_and_the_other_is_told_so() -> None:
    verdicts = firmware.choose([made(Category.IP_URL), made(Category.IP_URL)]).verdicts
    assert [each.rule for each in verdicts] == [None, Rule.OUTRANKED]


def test_the_seventeenth_offer_is_one_too_many() -> None:
    choice = firmware.choose([made(Category.PLAIN)] * 16 + [made(Category.IP_URL)])
    assert (choice.rank, choice.verdicts[16].rule) == (None, Rule.TOO_MANY)


def test_a_url_whose_suffix_says_nothing_is_taken_with_a_warning() -> None:
    offer = Offer(server="a", category=Category.IP_URL, url="http://192.0.2.1/x.efi.signed")
    assert "Content-Type" in firmware.choose([offer]).concerns[0]
    assert firmware.choose([made(Category.IP_URL)]).concerns == ()


@pytest.mark.parametrize(
    ("url", "concern"),
    [
        ("http://192.0.2.1/{a}.efi", "boot URL: holds {, which no URL may hold"),
        ("http://me:secret@192.0.2.1/a.efi", "boot URL: holds a user name or password"),
        ("tftp://192.0.2.1/a.efi", "its URL begins with neither http:// nor https://"),
        (f"http://[2001:db8::1]/{'a' * 300}.efi", None),
        (f"http://[2001:db8::1]/{'a' * 300}", "the path ends in none of .efi"),
    ],
)
def test_what_firmware_takes_may_be_no_url_to_others(url: str, concern: str | None) -> None:
    """Firmware that takes it goes on with it, whatever else was offered: to call it passed over would mislead."""
    choice = firmware.choose([Offer(server="a", category=Category.IP_URL, url=url), made(Category.IP_URL_DNS)])
    assert (choice.rank, choice.url) == (1, url)
    assert [each.partition(concern or "nothing")[0] for each in choice.concerns] == ([""] if concern else [])


def offer6(
    *,
    url: str | None = IP_URL6,
    vendor: bytes | None = message6.http_client_class(b"HTTPClient"),
    lifetimes: tuple[int, int] | None = (10, 20),
    status: int | None = None,
    dns: bool = False,
) -> Message6:
    given = []
    if lifetimes is not None:
        address = IaAddress(address=IPv6Address("2001:db8::9"), preferred=lifetimes[0], valid=lifetimes[1])
        inside = [message6.Option(Option6.IA_ADDRESS, message6.encode_address(address))]
        if status is not None:
            inside = [message6.status(status)]
        given.append(message6.Option(Option6.IA_NA, message6.encode_ia(IaNa(iaid=1, options=tuple(inside)))))
    if url is not None:
        given.append(message6.Option(Option6.BOOT_URL, url.encode()))
    if vendor is not None:
        given.append(message6.Option(Option6.VENDOR_CLASS, vendor))
    if dns:
        given.append(message6.Option(Option6.DNS_SERVERS, bytes(16)))
    return Message6(kind=2, transaction=1, options=tuple(given))


@pytest.mark.parametrize(
    ("message", "category", "flaw"),
    [
        (offer6(), Category.IP_URL, None),
        (offer6(vendor=b"\0\0\0\0\0\0HTTPClient"), Category.IP_URL, None),
        (offer6(dns=True), Category.IP_URL_DNS, None),
        (offer6(url=NAME_URL), Category.NAME_URL, Rule.NO_DNS),
        (offer6(vendor=None), Category.PLAIN, Rule.NO_CLASS6),
        (offer6(vendor=b"HTTPClient"), Category.PLAIN, Rule.BAD_CLASS6),
        (offer6(url=None), None, Rule.NO_URL),
        (offer6(lifetimes=(20, 10)), None, Rule.LIFETIMES),
        (offer6(status=Status6.NO_ADDRESSES), None, Rule.NO_ADDRESS6),
        (offer6(lifetimes=None), Category.PROXY_IP_URL, None),
        (offer6(url=IP_URL, dns=True), Category.NAME_URL_DNS, Rule.FAMILY),
        (offer6(url=f"{IP_URL6[:-6]}/{'a' * 300}.efi"), Category.IP_URL, None),
    ],
)
def test_a_dhcpv6_offer_needs_option_16_and_lifetimes_in_order(
    message: Message6, category: Category | None, flaw: Rule | None
) -> None:
    found = firmware.assess6(message, server="a", size_bytes=200)
    assert (found.category, found.flaw) == (category, flaw)


def test_a_large_dhcpv6_packet_is_ignored() -> None:
    assert firmware.assess6(offer6(), server="a", size_bytes=1473).flaw is Rule.TOO_LARGE


@given(st.lists(st.sampled_from([*Category]).map(made), max_size=20))
def test_any_offers_are_taken_or_passed_over_with_a_rule(offers: list[Offer]) -> None:
    choice = firmware.choose(offers)
    taken = [each for each in choice.verdicts if each.rule is None]
    assert len(choice.verdicts) == len(offers)
    assert bool(taken) is (choice.rank is not None)
    assert len(taken) <= 2


def test_every_rule_says_reason_remedy_and_evidence() -> None:
    for rule in Rule:
        assert rule.reason
        assert rule.remedy
        assert rule.evidence.startswith(("ran: ", "read: "))


def test_no_dhcpv4_option_is_joined_from_two_instances() -> None:
    message = message4.decode(message4.encode(offer4(IP_URL)))
    assert read4(message).url == IP_URL


def test_the_reference_lists_every_rule_and_the_order_as_the_code_has_them() -> None:
    text = (Path(__file__).parents[3] / "docs" / "reference" / "firmware-rules.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert rows == [f"| `{rule.name}` | {rule.reason} | {rule.remedy} | {rule.evidence} |" for rule in Rule]
    ranks = [line for line in text.splitlines() if line[:3] in {f"| {rank}" for rank in range(1, 10)}]
    assert ranks == [
        f"| {rank} | {offer.value} | {adding.value if adding else ''} |"
        for rank, (offer, adding) in enumerate(PREFERENCE, 1)
    ]
