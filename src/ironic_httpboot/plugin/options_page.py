"""The options of ironic.conf and of nodes as a page for people: docs/reference/ironic-options.md.

Knows Markdown. Refuses to know files; docs/reference/make.py writes the page.
"""

from __future__ import annotations

from oslo_config import cfg

from ironic_httpboot.plugin.conf import list_opts

_PREFACE = """# Options for Ironic

This page is made from `src/ironic_httpboot/plugin/conf.py` by `docs/reference/make.py`; a test sees that it is up to
date. `oslo-config-generator --namespace ironic_httpboot` writes the same as a sample file.
"""

_NODE_FIELDS = {
    "`driver_info/httpboot_chain`": "as `chain`",
    "`driver_info/httpboot_payload`": "as `payload`",
    "`driver_info/httpboot_iso`": "as `boot_iso`",
    "`driver_info/bootloader`": "an image of an EFI system partition that takes the place of ours in the ISO; with the "
    "payload `ipxe`, the loader itself, a program. The chain or payload `uki` and the payload `grub` take no other. "
    "`bootloader` and `bootloader_by_arch` of `[conductor]`, which are such images, count for the ISO as well",
    "`driver_info/deploy_kernel`, `deploy_ramdisk`, `deploy_iso`, and the same with `rescue_`": "as with Ironic's own "
    "boot interfaces; `[conductor]` has the same, also by architecture",
    "`driver_info/force_persistent_boot_device`": "how long a boot device is to last: `Default` once for an agent and "
    "for good for an instance, `Always` for good, `Never` once, also for a ramdisk instance",
    "`kernel_append_params` in `driver_info` or `instance_info`": "kernel parameters; `%default%` stands for those of "
    "`[httpboot]`",
    "`instance_info/kernel`, `ramdisk`, or `boot_iso`, or `image_source`": "what a ramdisk instance boots",
    "`instance_info/ramdisk_kernel_arguments`": "more kernel parameters for a ramdisk instance",
    "`properties/cpu_arch`": "`x86_64` or `aarch64`; `x86_64` where it is not given",
    "`properties/capabilities`": "`boot_mode:uefi`: HTTP boot is a matter of UEFI",
}

_TYPES = """
## Hardware types and interfaces

| hardware type | is | boot interfaces, ours first |
|---|---|---|
| `redfish-httpboot` | Ironic's `redfish` | `redfish-http-url`, `httpboot`, `httpboot-ipxe`, and all of Ironic's; \
`redfish-virtual-media` and `redfish-https` with Ironic 39 alone |
| `ipmi-httpboot` | Ironic's `ipmi` | `httpboot`, `httpboot-ipxe`, and all of Ironic's |

The DHCP provider is `httpboot` (`[dhcp]dhcp_provider`).
"""


def as_markdown() -> str:
    """The page."""
    return _PREFACE + "".join(_section(group, options) for group, options in list_opts()) + _nodes() + _TYPES


def _nodes() -> str:
    rows = "".join(f"| {name} | {text} |\n" for name, text in _NODE_FIELDS.items())
    return f"\n## Of a node\n\n| field | what |\n|---|---|\n{rows}"


def _section(group: str, options: object) -> str:
    assert isinstance(options, list)
    rows = "".join(f"| {' | '.join(_cells(option))} |\n" for option in options)
    return f"\n## `[{group}]`\n\n| option | default | what |\n|---|---|---|\n{rows}"


def _cells(option: cfg.Opt) -> tuple[str, str, str]:
    choices = getattr(option.type, "choices", None) or {}
    said = "; ".join(f"`{value}`: {text}" for value, text in choices.items())
    text = f"{option.help} {said}".strip()
    return f"`{option.name}`", f"`{option.default}`" if option.default is not None else "", text
