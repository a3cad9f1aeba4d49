"""The DHCP options that have firmware boot a URL, in the words of Ironic's DHCP providers.

Knows what each provider makes of an option's name. Refuses to know where URLs come from. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

from ironic_httpboot.dhcp.iana import Option4, Option6
from ironic_httpboot.errors import BadUrl
from ironic_httpboot.plugin.payload import Offer

_CLIENT = "HTTPClient"
_CLIENT6 = f"0000{_CLIENT}"
"""Firmware wants 16 bytes, of which it compares the last ten: dnsmasq, which Neutron runs as well, sends text only, and
without the enterprise's number (OVMF 2022.11 with dnsmasq 2.90)."""

LONGEST = {"neutron": 255, "dnsmasq": 254, "httpboot": 254}
"""The longest URL in bytes: of Neutron's database column; of one DHCP option with a NUL at its end."""

_OTHERS_LONGEST = 254


class Option(TypedDict):
    """An option as Ironic hands it to a provider."""

    opt_name: str
    opt_value: str
    ip_version: int


class Removal(TypedDict):
    """What has Neutron remove an option: those that are not named in a change stay (db/extradhcpopt_db.py, 29.0)."""

    opt_name: str
    opt_value: None
    ip_version: int


_TAGS = {4: "ipxe", 6: "ipxe6"}
_CODES = {4: (Option4.BOOT_FILE, Option4.VENDOR_CLASS), 6: (Option6.BOOT_URL, Option6.VENDOR_CLASS)}


def removals(kept: Sequence[Option] = ()) -> list[Removal]:
    """What removes all that was ever set here, but not what is set now, from a provider that cannot clean."""
    set_now = {(option["opt_name"], option["ip_version"]) for option in kept}
    ever = [
        (name, version)
        for version, (url, client) in _CODES.items()
        for name in (str(url), str(client), f"tag:!{_TAGS[version]},{url}", f"tag:{_TAGS[version]},{url}")
    ]
    return [
        Removal(opt_name=name, opt_value=None, ip_version=version)
        for name, version in ever
        if (name, version) not in set_now
    ]


def options(offers: Mapping[int, Offer], provider: str, *, tags: bool) -> list[Option]:
    """Options for all families. provider: [dhcp]dhcp_provider. tags: whether it tells iPXE from firmware by itself.

    Raises BadUrl where a URL is too long for the provider.
    """
    found: list[Option] = []
    for version, offer in offers.items():
        url, client = _CODES[version]
        # dnsmasq reads a bare number as an option of DHCPv4.
        prefix = "option6:" if version == 6 and provider == "dnsmasq" else ""
        tag = _TAGS[version]
        for target in (offer.url, offer.then):
            if target is not None:
                check(len(target.text), provider)
        if offer.then is not None and tags:
            named = [(f"tag:!{tag},{prefix}{url}", offer.url), (f"tag:{tag},{prefix}{url}", offer.then)]
        else:
            named = [(f"{prefix}{url}", offer.url)]
            if offer.then is not None:
                named.append((f"{SCRIPT}{url}", offer.then))
        found += [Option(opt_name=name, opt_value=target.text, ip_version=version) for name, target in named]
        value = _CLIENT if version == 4 else _CLIENT6
        found.append(Option(opt_name=f"{prefix}{client}", opt_value=value, ip_version=version))
    return found


SCRIPT = "ipxe-script,"
"""Before an option's number, for our own provider: what the iPXE that asks again is told."""


def check(length: int, provider: str, what: str = "boot URL") -> None:
    """Raise BadUrl where a URL is too long for a provider. what: how it is called."""
    longest = LONGEST.get(provider, _OTHERS_LONGEST)
    if length > longest:
        raise BadUrl(f"{what}: {length} bytes, more than the {longest} that the DHCP provider {provider} takes")
