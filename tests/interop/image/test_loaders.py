"""The packages that `make setup` unpacked: Debian's own shim, GRUB, stub and kernel."""

from __future__ import annotations

import pytest

from ironic_httpboot import config
from ironic_httpboot.blob import examine
from ironic_httpboot.demo import guest
from ironic_httpboot.errors import BadRecipe
from ironic_httpboot.image import loaders
from ironic_httpboot.image.compose import compose
from ironic_httpboot.image.loaders import Kind, Loader
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


def test_debians_signed_grub_for_the_network_has_no_http_and_is_refused() -> None:
    path = config.find_part(
        "usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed",
        package="grub-efi-amd64-signed",
        what="GRUB",
        roots=ROOTS,
    )
    found = loaders.look_into(examine(path))
    assert (found.kind, found.signed) == (Kind.GRUB, True)
    with pytest.raises(BadRecipe, match="this GRUB has no module http built in"):
        loaders.check_for_network(found, Arch.X64, secure_boot=True)


@pytest.mark.parametrize(
    ("loader", "kind"),
    [
        (Loader.SHIM, Kind.SHIM),
        (Loader.GRUB, Kind.GRUB),
        (Loader.EFI_STUB, Kind.EFI_STUB),
        (Loader.IPXE, Kind.IPXE),
        (Loader.IPXE_OWN_DRIVERS, Kind.IPXE),
    ],
)
def test_debians_loaders_are_what_they_are(loader: Loader, kind: Kind) -> None:
    assert loaders.look_into(loaders.find(loader, Arch.X64, ROOTS)).kind is kind


def test_debians_ipxe_speaks_http_and_not_https() -> None:
    features = loaders.look_into(loaders.find(Loader.IPXE, Arch.X64, ROOTS)).features
    assert "HTTP" in features
    assert "HTTPS" not in features
