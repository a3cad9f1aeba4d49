"""The options of `[httpboot]` in ironic.conf.

Knows names, defaults and what they are for; docs/reference/ironic-options.md is made from this. Refuses to know who
reads them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from oslo_config import cfg

from ironic_httpboot.config import Payload
from ironic_httpboot.errors import BadUrl
from ironic_httpboot.model import BootUrl, Chain

GROUP = "httpboot"

PAYLOADS = {
    Payload.IMAGE: "one ISO that holds all; the only one that boots with Secure Boot",
    Payload.UKI: "one unified kernel image",
    Payload.GRUB: "GRUB, which fetches the rest",
    Payload.IPXE: "iPXE, which fetches the rest",
}

OPTIONS = [
    cfg.StrOpt(
        "url",
        sample_default="http://192.0.2.1:8080",
        help="Where machines reach the server of the store over IPv4: http(s)://ADDRESS:PORT. Needed, unless url6 is "
        "given. Prefer an address to a name: firmware needs a DNS server in its lease for a name.",
    ),
    cfg.StrOpt(
        "url6",
        sample_default="http://[2001:db8::1]:8080",
        help="The same over IPv6. The BMC path takes it where url is not given; the DHCP path "
        "gives it to machines that ask over DHCPv6.",
    ),
    cfg.StrOpt(
        "store",
        default="$state_path/httpboot/store",
        help="Folder where images are published. `httpboot serve --store` on this host serves it, as the same user. "
        "No two conductors may have the same.",
    ),
    cfg.StrOpt(
        "images",
        default="$state_path/httpboot/images",
        help="Folder for kernels, ramdisks and ISOs that Ironic's image service fetched. Nodes share them by hard "
        "links, so nothing is copied for a node; with file:// images on the same file system nothing is copied at all.",
    ),
    cfg.IntOpt("cache_size_mib", default=20480, min=0, help="How much the image cache may hold that no node needs."),
    cfg.IntOpt("cache_minutes", default=10080, min=0, help="How long the image cache keeps what no node needs."),
    cfg.StrOpt(
        "chain",
        default=Chain.SHIM_GRUB.value,
        choices=[
            (Chain.SHIM_GRUB.value, "shim and GRUB, signed by Debian: boots with Secure Boot"),
            (Chain.GRUB.value, "GRUB, unsigned"),
            (Chain.UKI.value, "one unified kernel image, unsigned: the quickest"),
        ],
        help='What stands between firmware and kernel. A node can have its own: driver_info["httpboot_chain"].',
    ),
    cfg.StrOpt(
        "payload",
        default=Payload.IMAGE.value,
        choices=[(payload.value, said) for payload, said in PAYLOADS.items()],
        help="What firmware downloads first where DHCP tells it the URL. The boot interface httpboot-ipxe always takes "
        'ipxe. A node can have its own: driver_info["httpboot_payload"].',
    ),
    cfg.StrOpt(
        "kernel_append_params",
        default="console=ttyS0",
        help="Kernel parameters for what is booted. A node can have its own: driver_info or instance_info "
        '["kernel_append_params"], in which %default% stands for these.',
    ),
    cfg.StrOpt(
        "boot_iso",
        default="serve",
        choices=[
            ("serve", "fetch it into the image cache, and publish it under a secret URL"),
            ("pass", "give the machine the operator's own http(s) URL"),
        ],
        help='What is done with a boot ISO that is given by URL. A node can have its own: driver_info["httpboot_iso"].',
    ),
    cfg.IntOpt(
        "ramdisk_url_seconds",
        default=86400,
        min=60,
        help="After this time the URL of an agent's ramdisk answers 404 in any case. It is withdrawn earlier, once it "
        "is of no more use. The URL of a ramdisk instance is withdrawn when it is deleted, rescued or serviced; it has "
        "a new one after a rescue or a service.",
    ),
    cfg.StrOpt(
        "machines",
        default="$state_path/httpboot/machines",
        help="Folder for the machine files of the DHCP provider `httpboot`; `httpboot serve` watches it. "
        "No two conductors may have the same.",
    ),
    cfg.IntOpt(
        "sweep_seconds",
        default=60,
        min=1,
        help="How often a conductor looks for images that no node needs any more, and for overrides that a BMC "
        "did not let it take back. Such a BMC is asked more and more seldom, once an hour in the end.",
    ),
]


DRIVER_GROUP = "redfish-httpboot"
DRIVER_OPTIONS = [
    cfg.StrOpt(
        "verify_ca",
        default="$redfish.verify_ca",
        help="Certificate authorities that BMCs are verified with: a file or a folder. Those of [redfish], unless "
        'given. A node can have its own: driver_info["redfish_verify_ca"].',
    ),
]
"""Ironic looks for verify_ca in a group that is named as the node's hardware type, and fails where there is no such
group (drivers/utils.py: get_verify_ca, 39.0)."""


def register(conf: cfg.ConfigOpts) -> None:
    """Make the options known. Fine to call twice."""
    conf.register_opts(OPTIONS, group=GROUP)
    conf.register_opts(DRIVER_OPTIONS, group=DRIVER_GROUP)


def list_opts() -> list[tuple[str, Sequence[cfg.Opt]]]:
    """For oslo-config-generator."""
    return [(GROUP, OPTIONS), (DRIVER_GROUP, DRIVER_OPTIONS)]


def base_url(conf: cfg.ConfigOpts, version: int | None = None) -> str | None:
    """Where the store is served, without a slash at its end; version: 4 or 6, or None for whichever is there.

    Raises BadUrl, naming the option.
    """
    named = {4: ["url"], 6: ["url6"], None: ["url", "url6"]}[version]
    for name in named:
        text = getattr(conf.httpboot, name)
        if text:
            try:
                url = BootUrl.parse(text)
            except BadUrl as error:
                raise BadUrl(f"[httpboot]{name}: {error.message.removeprefix('boot URL: ')}", hint=error.hint) from None
            return url.text.rstrip("/")
    return None


def folder(path: str) -> str:
    """A folder that is there, made for this user alone if it is missing. Raises OSError."""
    os.makedirs(path, mode=0o700, exist_ok=True)
    return path
