"""DHCP options for both families, as each of Ironic's providers has to be told them."""

from __future__ import annotations

import pytest

from ironic_httpboot.errors import BadUrl
from ironic_httpboot.model import BootUrl
from ironic_httpboot.plugin.dhcp_options import check, options, removals
from ironic_httpboot.plugin.payload import Offer

URL4, URL6 = "http://192.0.2.1:8080/secret/boot.iso", "http://[2001:db8::1]:8080/secret/boot.iso"
SCRIPT4, SCRIPT6 = "http://192.0.2.1:8080/secret/boot.ipxe", "http://[2001:db8::1]:8080/secret/boot.ipxe"
PLAIN = {4: Offer(url=BootUrl.parse(URL4)), 6: Offer(url=BootUrl.parse(URL6))}
THROUGH_IPXE = {
    4: Offer(url=BootUrl.parse(URL4), then=BootUrl.parse(SCRIPT4)),
    6: Offer(url=BootUrl.parse(URL6), then=BootUrl.parse(SCRIPT6)),
}


@pytest.mark.parametrize(
    ("provider", "prefix6"), [("neutron", ""), ("dnsmasq", "option6:"), ("httpboot", ""), ("another", "")]
)
def test_both_families_get_a_url_of_their_own_and_the_vendor_class(provider: str, prefix6: str) -> None:
    found = [tuple(option.values()) for option in options(PLAIN, provider, tags=False)]
    assert found == [
        ("67", URL4, 4),
        ("60", "HTTPClient", 4),
        (f"{prefix6}59", URL6, 6),
        (f"{prefix6}16", "0000HTTPClient", 6),
    ]


def test_a_provider_that_knows_ipxe_tells_it_the_script_and_firmware_the_loader() -> None:
    found = {option["opt_name"]: option["opt_value"] for option in options(THROUGH_IPXE, "dnsmasq", tags=True)}
    assert found == {
        "tag:!ipxe,67": URL4,
        "tag:ipxe,67": SCRIPT4,
        "60": "HTTPClient",
        "tag:!ipxe6,option6:59": URL6,
        "tag:ipxe6,option6:59": SCRIPT6,
        "option6:16": "0000HTTPClient",
    }


def test_our_own_provider_gets_the_script_beside_the_url() -> None:
    found = {option["opt_name"]: option["opt_value"] for option in options(THROUGH_IPXE, "httpboot", tags=False)}
    assert (found["67"], found["ipxe-script,67"], found["59"]) == (URL4, SCRIPT4, URL6)


def test_the_limit_is_the_providers_own() -> None:
    check(255, "neutron")
    check(254, "httpboot")
    with pytest.raises(BadUrl, match="255 bytes, more than the 254 that the DHCP provider httpboot takes"):
        check(255, "httpboot")


def test_what_is_not_set_now_is_removed_by_name() -> None:
    def named(tags: bool) -> list[tuple[str, int]]:
        return [(each["opt_name"], each["ip_version"]) for each in options(THROUGH_IPXE, "neutron", tags=tags)]

    everything = [(each["opt_name"], each["ip_version"]) for each in removals()]
    assert set(named(True)) < set(everything)
    assert all(each["opt_value"] is None for each in removals())
    left = removals(options(THROUGH_IPXE, "neutron", tags=True))
    assert [(each["opt_name"], each["ip_version"]) for each in left] == [("67", 4), ("59", 6)]
