"""The packages that `make setup` unpacked: Debian's own shim, GRUB, stub and kernel."""

from __future__ import annotations

import pytest

from ironic_httpboot import config
from ironic_httpboot.blob import examine
from ironic_httpboot.demo import guest
from ironic_httpboot.image import loaders
from ironic_httpboot.image.compose import compose
from ironic_httpboot.image.loaders import Loader
from ironic_httpboot.model import Arch, BootRecipe, Chain, Container

ROOTS = (config.parts_folder(),)


@pytest.mark.parametrize(
    ("loader", "signed"),
    [(Loader.SHIM, True), (Loader.SIGNED_GRUB, True), (Loader.GRUB, False), (Loader.EFI_STUB, False)],
)
def test_a_loader_is_found_and_is_signed_where_it_says_so(loader: Loader, signed: bool) -> None:
    program = loaders.inspect(loaders.find(loader, Arch.X64, ROOTS), Arch.X64)
    assert program.signed is signed
    assert ".text" in [section.name for section in program.sections]


def test_the_kernel_is_signed_and_takes_2047_bytes_of_command_line() -> None:
    kernel = examine(guest.find_parts().kernel)
    assert loaders.inspect(kernel, Arch.X64).signed
    assert loaders.longest_cmdline(kernel, Arch.X64) == 2047


@pytest.mark.parametrize(
    ("chain", "container"), [*((chain, Container.ISO) for chain in Chain), (Chain.UKI, Container.EFI)]
)
def test_every_chain_composes(chain: Chain, container: Container) -> None:
    recipe = BootRecipe(chain=chain, container=container, kernel=guest.find_parts().kernel, cmdline="console=ttyS0")
    blob = compose(recipe, ROOTS)
    names = {file.path.name for file in blob.files()}
    assert (
        names
        == {recipe.kernel.name}
        | {
            Chain.SHIM_GRUB: {"shimx64.efi.signed", "gcdx64.efi.signed"},
            Chain.GRUB: {"gcdx64.efi"},
            Chain.UKI: {"linuxx64.efi.stub"},
        }[chain]
    )
