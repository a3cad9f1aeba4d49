"""What images are made of here: 300 MB of kernel and ramdisk, random so that nothing can be saved on them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ironic_httpboot.blob import Blob
from ironic_httpboot.image.compose import compose
from ironic_httpboot.model import AppendedFile, BootRecipe
from kit import efi

_KERNEL_BYTES = 12_000_000
_BLOCK_BYTES = 1 << 20
"""As `compose.write` writes: Linux caches what is written in large aligned blocks in larger pieces, which cost less to
send. Written otherwise, the file that one server sends would be cheaper than the other's."""

_RAMDISK_BLOCKS = 275


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Files in a folder that the bench removes at its end."""

    folder: Path
    kernel: Path
    ramdisk: Path

    def image(self, number: int) -> Blob:
        """The image for one machine: its own command line, and a file of its own in the ramdisk."""
        return compose(
            BootRecipe(
                kernel=self.kernel,
                initrds=(self.ramdisk,),
                appended=(AppendedFile(path="etc/machine.json", data=b'{"machine": %d}' % number + bytes(2000)),),
                cmdline=f"console=ttyS0 ipa-api-url=http://192.0.2.1:6385 machine={number}",
            )
        )


def make(folder: Path) -> Inputs:
    """Write them."""
    kernel, ramdisk = folder / "vmlinuz", folder / "ramdisk"
    kernel.write_bytes(efi.kernel(body=os.urandom(_KERNEL_BYTES)))
    with ramdisk.open("wb") as stream:
        for _ in range(_RAMDISK_BLOCKS):
            stream.write(os.urandom(_BLOCK_BYTES))
    return Inputs(folder=folder, kernel=kernel, ramdisk=ramdisk)
