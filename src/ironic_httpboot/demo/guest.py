"""The guest that a demonstration boots: a small ramdisk that checks what arrived and says so on the console.

Knows Debian's cloud kernel, its modules and busybox. Refuses to know how it is booted. Its verdict is one line, which
`emulator.console` reads; it is the guest's own: it compares what it finds with what was appended for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ironic_httpboot import config
from ironic_httpboot.blob import Blob, examine, literal, whole
from ironic_httpboot.emulator.console import GUEST_MARK
from ironic_httpboot.image import compose, cpio
from ironic_httpboot.model import AppendedFile, Arch

CONSOLES = {Arch.X64: "ttyS0", Arch.ARM64: "ttyAMA0"}
"""What Linux calls the first serial port of QEMU's machines."""

_CHECKS = "etc/httpboot"
_MODULES = (
    "drivers/nvdimm/libnvdimm.ko",
    "drivers/nvdimm/nd_btt.ko",
    "drivers/nvdimm/nd_pmem.ko",
    "drivers/acpi/nfit/nfit.ko",
    "drivers/cdrom/cdrom.ko",
    "fs/isofs/isofs.ko",
)
"""In the order in which they are loaded: what makes the firmware's RAM disk readable as /dev/pmem0."""

_MODULES_BEFORE = {Arch.X64: (), Arch.ARM64: ("drivers/dax/dax.ko",)}
"""What nd_pmem needs besides, and Debian's cloud kernel of the other architecture has built in (6.1)."""

INIT_BEGINNING = """#!/bin/busybox sh
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
dmesg -n 1
"""
"""What every guest does first that has nothing but busybox."""

_INIT = f"""{INIT_BEGINNING}\
say() {{ echo "{GUEST_MARK} $*"; }}
end() {{
    say "verdict $*"
    grep -q httpboot.then=reboot /proc/cmdline && reboot -f
    poweroff -f
}}

say "uuid $(cat /sys/class/dmi/id/product_uuid 2>/dev/null)"
say "cmdline $(cat /proc/cmdline)"
[ -f /{_CHECKS}/nonce ] || end "fail: nothing was appended for this boot"
grep -q "httpboot.nonce=$(cat /{_CHECKS}/nonce)" /proc/cmdline || end "fail: the command line is another boot's"
if [ ! -s /{_CHECKS}/sha256sums ]; then
    end "pass: command line and appended files are this boot's"
fi
for module in $(cat /lib/modules/order); do
    insmod /lib/modules/$module || say "module $module cannot be loaded"
done
tries=0
while [ ! -b /dev/pmem0 ] && [ $tries -lt 100 ]; do tries=$((tries + 1)); usleep 100000; done
mkdir -p /image
mount -t iso9660 -o ro /dev/pmem0 /image || end "fail: the image is not to be found at /dev/pmem0"
cd /image
find . -type f | sort | while read -r file; do say "file $(sha256sum "$file")"; done
sha256sum -c -s /{_CHECKS}/sha256sums || end "fail: a file of the image is not what was published"
end "pass: command line and appended files are this boot's, $(wc -l < /{_CHECKS}/sha256sums) files of the image intact"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a guest is made of, as files."""

    kernel: Path
    busybox: Path
    modules: tuple[Path, ...]


def find_parts(arch: Arch = Arch.X64) -> Parts:
    """Find the parts that `tools/setup` unpacked. Raises HostError, naming the package that is missing."""
    flavour = {Arch.X64: "cloud-amd64", Arch.ARM64: "cloud-arm64"}[arch]
    folder = config.parts_folder() if arch is Arch.X64 else config.foreign_parts_folder(arch)
    kernel = config.find_part(
        f"boot/vmlinuz-*-{flavour}", package=f"linux-image-{flavour}", what="kernel", roots=(folder,)
    )
    release = kernel.name.removeprefix("vmlinuz-")
    roots = (kernel.parent.parent,)
    return Parts(
        kernel=kernel,
        busybox=config.find_part("bin/busybox", package="busybox-static", what="busybox", roots=roots),
        modules=tuple(
            config.find_part(
                f"lib/modules/{release}/kernel/{module}",
                package=f"linux-image-{flavour}",
                what="kernel module",
                roots=roots,
            )
            for module in (*_MODULES_BEFORE[arch], *_MODULES)
        ),
    )


def write_ramdisk(parts: Parts, target: Path) -> None:
    """Make the guest's ramdisk. Raises HostError."""
    order = "".join(f"{module.name}\n" for module in parts.modules)
    members = [
        cpio.file("init", literal(_INIT.encode()), 0o755),
        cpio.file("bin/busybox", whole(examine(parts.busybox)), 0o755),
        cpio.character_device("dev/console", 5, 1),
        *(cpio.directory(name) for name in ("proc", "sys")),
        cpio.file("lib/modules/order", literal(order.encode())),
        *(cpio.file(f"lib/modules/{module.name}", whole(examine(module))) for module in parts.modules),
    ]
    compose.write(Blob.of(cpio.archive(members)), target)


def checks(nonce: str, files: Mapping[str, Path]) -> tuple[AppendedFile, ...]:
    """What the guest compares: the nonce with its command line, and checksums with files of the image.

    files: path in the image → the file that was put there. Without any, the image is not looked at.
    """
    sums = "".join(f"{_sha256(path)}  {name}\n" for name, path in files.items())
    return (
        AppendedFile(path=f"{_CHECKS}/nonce", data=nonce.encode()),
        AppendedFile(path=f"{_CHECKS}/sha256sums", data=sums.encode()),
    )


def cmdline(nonce: str, *more: str, arch: Arch = Arch.X64) -> str:
    """The kernel command line of a boot with a nonce. panic=-1: a kernel that panics resets at once."""
    return " ".join((f"console={CONSOLES[arch]}", "panic=-1", f"httpboot.nonce={nonce}", *more))


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
