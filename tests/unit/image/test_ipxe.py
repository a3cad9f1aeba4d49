"""iPXE's script: every word of the command line arrives, or is refused."""

from __future__ import annotations

import pytest

from ironic_httpboot.errors import BadRecipe
from ironic_httpboot.image import ipxe
from ironic_httpboot.model import BootUrl

KERNEL = BootUrl.parse("http://192.0.2.1:8080/secret/vmlinuz.efi")
INITRD = BootUrl.parse("http://192.0.2.1:8080/other/initrd-0.img")


def test_a_script_fetches_kernel_and_ramdisks_and_boots() -> None:
    lines = ipxe.script(kernel=KERNEL, initrds=[INITRD, INITRD], cmdline="quiet x=1").splitlines()
    assert lines[0] == "#!ipxe"
    assert (
        "kernel --name vmlinuz http://192.0.2.1:8080/secret/vmlinuz.efi initrd=initrd-0.img initrd=initrd-1.img"
        " quiet x=1 || goto failed" in lines
    )
    assert "initrd --name initrd-1.img http://192.0.2.1:8080/other/initrd-0.img || goto failed" in lines
    assert "boot || goto failed" in lines


def test_a_script_names_the_label_that_it_goes_to() -> None:
    assert ":failed" in ipxe.script(kernel=KERNEL, initrds=[], cmdline="").splitlines()


@pytest.mark.parametrize(
    ("cmdline", "complaint"),
    [
        ("a ; b", "the word ';' ends a command in iPXE"),
        ("a || b", "the word '||' ends a command in iPXE"),
        ("a #b", "the word '#b' ends a command in iPXE"),
        ("a=${b}", "holds ${, which iPXE would replace"),
        ('a="b  c"', "holds quoted blanks in a row, which iPXE would join"),
    ],
)
def test_a_command_line_that_ipxe_would_change_is_refused(cmdline: str, complaint: str) -> None:
    with pytest.raises(BadRecipe) as caught:
        ipxe.script(kernel=KERNEL, initrds=[], cmdline=cmdline)
    assert caught.value.message == f"kernel command line: {complaint}"
