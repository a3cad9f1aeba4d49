"""URLs and recipes: what no firmware could boot is refused before anything is touched, and no secret is shown."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironic_httpboot.errors import BadRecipe, BadUrl
from ironic_httpboot.model import Arch, BootRecipe, BootUrl, Chain, Container, ImageKind

SECRET = "Zk3vQ1-8hxT0aWm5bN2c9w"


def recipe(**changes: object) -> BootRecipe:
    return BootRecipe(kernel=Path("vmlinuz"), **changes)  # type: ignore[arg-type]  # a test names the fields


@pytest.mark.parametrize(
    ("text", "host", "name"),
    [
        ("http://192.0.2.1/x.iso", "192.0.2.1", "x.iso"),
        ("https://192.0.2.1:8443/folder/x.efi", "192.0.2.1", "x.efi"),
        ("http://[2001:db8::1]/x.iso", "2001:db8::1", "x.iso"),
        ("http://[2001:DB8::1]:8080/x.iso", "2001:db8::1", "x.iso"),
        ("http://[fe80::1%25eth0]/x.iso", "fe80::1%25eth0", "x.iso"),
        ("http://boot.example.org/a%20b.iso", "boot.example.org", "a b.iso"),
        ("HTTP://Boot_Server/x.iso?node=1", "boot_server", "x.iso"),
        ("http://192.0.2.1", "192.0.2.1", ""),
    ],
)
def test_a_url_is_taken_apart_and_goes_to_the_machine_as_given(text: str, host: str, name: str) -> None:
    url = BootUrl.parse(text)
    assert (url.text, url.host, url.name) == (text, host, name)
    assert url.scheme == text.partition(":")[0].lower()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "scheme is 'missing', not http or https"),
        ("192.0.2.1/x.iso", "scheme is 'missing', not http or https"),
        ("tftp://192.0.2.1/x.efi", "scheme is 'tftp', not http or https"),
        ("http:///x.iso", "names no host"),
        ("http://:8080/x.iso", "names no host"),
        ("http://192.0.2.1:0/x.iso", "port 0 is no port"),
        ("http://192.0.2.1:65536/x.iso", "its host or port cannot be read"),
        ("http://192.0.2.1:http/x.iso", "its host or port cannot be read"),
        ("http://2001:db8::1/x.iso", "its host or port cannot be read"),
        ("http://[2001:db8::1/x.iso", "its host or port cannot be read"),
        ("http://[2001:db8::1]8080/x.iso", "its host or port cannot be read"),
        ("http://x[2001:db8::1]/x.iso", "its host or port cannot be read"),
        ("http://[boot]/x.iso", "its host or port cannot be read"),
        ("http://boot|server/x.iso", "its host or port cannot be read"),
        ("http://boot%20server/x.iso", "its host or port cannot be read"),
        ("http://operator@192.0.2.1/x.iso", "holds a user name or password"),
        ("http://operator:secret@192.0.2.1/x.iso", "holds a user name or password"),
        ("http://@192.0.2.1/x.iso", "holds a user name or password"),
        ("http://192.0.2.1/x.iso#top", "holds a fragment"),
        ("http://192.0.2.1/x.iso#", "holds a fragment"),
        ("http://192.0.2.1/a b.iso", "holds a space, a control or a non-ASCII character"),
        ("http://192.0.2.1/x.iso\n", "holds a space, a control or a non-ASCII character"),
        ("http://192.0.2.1/ü.iso", "holds a space, a control or a non-ASCII character"),
        ('http://192.0.2.1/a".iso', 'holds ", which no URL may hold'),
        ("http://192.0.2.1/a\\b.iso", "holds \\, which no URL may hold"),
        ("http://192.0.2.1/{mac}.iso", "holds {, which no URL may hold"),
        ("http://192.0.2.1/\x7f.iso", "holds a space, a control or a non-ASCII character"),
        (f"http://192.0.2.1/{'x' * 235}.iso", "256 bytes, more than the 255 that firmware reads"),
    ],
)
def test_a_url_that_no_firmware_could_use_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(BadUrl) as caught:
        BootUrl.parse(text)
    assert caught.value.message.startswith(f"boot URL: {complaint}")


def test_the_longest_url_that_firmware_reads_is_taken() -> None:
    assert len(BootUrl.parse(f"http://192.0.2.1/{'x' * 234}.iso").text) == 255


@pytest.mark.parametrize(
    "secret", ["correct/horse", "correct:horse", "correct?horse", "correct horse", "correct#horse"]
)
def test_a_password_in_a_url_is_not_in_the_error(secret: str) -> None:
    with pytest.raises(BadUrl) as caught:
        BootUrl.parse(f"http://operator:{secret}@192.0.2.1/x.iso")
    assert "correct" not in str(caught.value)
    assert "horse" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"http://192.0.2.1:8080/{SECRET}/node-1.iso", "http://192.0.2.1:8080/…/node-1.iso"),
        (f"https://[2001:db8::1]:8443/{SECRET}/node-1.iso", "https://[2001:db8::1]:8443/…/node-1.iso"),
        (f"http://192.0.2.1/a/{SECRET}/node-1.iso", "http://192.0.2.1/…/node-1.iso"),
        (f"http://192.0.2.1/node-1.iso?{SECRET}", "http://192.0.2.1/node-1.iso?…"),
        ("http://192.0.2.1/node-1.iso", "http://192.0.2.1/node-1.iso"),
        (f"http://192.0.2.1/{SECRET}/", "http://192.0.2.1/…/"),
        (f"http://192.0.2.1/{SECRET}/.", "http://192.0.2.1/…/."),
        ("http://192.0.2.1/x/a%0Ab%1B.iso", "http://192.0.2.1/…/a%0Ab%1B.iso"),
        ("http://192.0.2.1", "http://192.0.2.1/"),
    ],
)
def test_a_url_is_shown_without_what_may_be_secret(text: str, shown: str) -> None:
    url = BootUrl.parse(text)
    assert url.redacted == shown
    assert SECRET not in repr(url)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("http://192.0.2.1/x.iso", ip_address("192.0.2.1")),
        ("http://[2001:db8::1]:80/x.iso", ip_address("2001:db8::1")),
        ("http://[fe80::1%25eth0]/x.iso", ip_address("fe80::1")),
        ("http://boot.example.org/x.iso", None),
    ],
)
def test_a_host_is_an_address_or_a_name(text: str, address: object) -> None:
    assert BootUrl.parse(text).address == address


@pytest.mark.parametrize("text", ["http://192.0.2.1:8080/token/x.iso", "https://[2001:db8::1]/token/x.EFI"])
def test_a_url_with_an_address_and_a_known_ending_is_of_no_concern(text: str) -> None:
    assert list(BootUrl.parse(text).concerns()) == []


@pytest.mark.parametrize(
    ("text", "concern"),
    [
        ("http://localhost/x.iso", "localhost is the machine itself"),
        ("http://127.0.0.1/x.iso", "127.0.0.1 is the machine itself"),
        ("http://[::1]/x.iso", "::1 is the machine itself"),
        ("http://0.0.0.0/x.iso", "0.0.0.0 is the machine itself"),
        ("http://[::]/x.iso", ":: is the machine itself"),
        ("http://169.254.1.1/x.iso", "a link-local address"),
        ("http://[fe80::1]/x.iso", "a link-local address"),
        ("http://[fe80::1%25eth0]/x.iso", "a link-local address"),
        ("http://192.0.2.1/x", "the path does not end in .efi, .iso or .img"),
        ("http://192.0.2.1/x.iso/", "the path does not end in .efi, .iso or .img"),
        ("http://192.0.2.1", "the path does not end in .efi, .iso or .img"),
        ("http://192.0.2.1/x.iso?a=b", "a query string"),
        ("http://192.0.2.1/x.iso?", "a query string"),
        (f"http://192.0.2.1/{'x' * 107}.iso", "128 bytes: some BMCs and DHCP's file field take no more than 127"),
        ("http://boot.example.org/x.iso", "a host name needs a DNS server"),
    ],
)
def test_what_may_stop_some_machine_is_said(text: str, concern: str) -> None:
    concerns = list(BootUrl.parse(text).concerns())
    assert [each for each in concerns if each.startswith(concern)]


@given(st.text(st.characters(max_codepoint=0x7F)).map(lambda text: f"http://{text}"))
def test_any_text_is_a_url_or_refused(text: str) -> None:
    try:
        url = BootUrl.parse(text)
    except BadUrl:
        return
    assert url.text == text
    assert url.host
    assert urlsplit(url.redacted).hostname == url.host
    assert all(isinstance(concern, str) for concern in url.concerns())


@given(st.ip_addresses(), st.integers(1, 65535))
def test_any_address_and_port_make_a_url(address: object, port: int) -> None:
    host = f"[{address}]" if ":" in str(address) else str(address)
    assert BootUrl.parse(f"http://{host}:{port}/x.iso").address == address


@pytest.mark.parametrize(
    ("name", "kind"),
    [("x.iso", ImageKind.ISO), ("X.EFI", ImageKind.EFI), ("a.iso.img", ImageKind.IMG), ("x.gz", None), ("iso", None)],
)
def test_a_file_name_promises_a_kind(name: str, kind: ImageKind | None) -> None:
    assert ImageKind.of_name(name) is kind


def test_firmware_looks_for_the_removable_loader_of_its_architecture() -> None:
    assert [arch.removable_path for arch in Arch] == ["EFI/BOOT/BOOTX64.EFI", "EFI/BOOT/BOOTAA64.EFI"]


@pytest.mark.parametrize("character", ["\n", "\r", "\0", "\t", "\x1b", "\x7f"])
def test_a_command_line_with_a_control_character_is_refused(character: str) -> None:
    with pytest.raises(BadRecipe) as caught:
        recipe(cmdline=f"quiet{character}splash")
    assert caught.value.message == f"kernel command line: holds the control character {character!r}"
    assert caught.value.hint == "give it as one line"


@pytest.mark.parametrize("cmdline", ["name=Jürgen", "a\x80b", "nbsp\xa0", "\udcff"])
def test_a_command_line_that_is_not_ascii_is_refused(cmdline: str) -> None:
    with pytest.raises(BadRecipe, match="kernel command line: holds a character that is not ASCII"):
        recipe(cmdline=cmdline)


@pytest.mark.parametrize("chain", [Chain.SHIM_GRUB, Chain.GRUB])
def test_only_a_unified_kernel_image_can_be_one_efi_file(chain: Chain) -> None:
    with pytest.raises(BadRecipe, match=r"cannot be one .efi file") as caught:
        recipe(chain=chain, container=Container.EFI)
    assert caught.value.hint == "use chain uki, or an .iso"
    assert recipe(chain=Chain.UKI, container=Container.EFI).kind is ImageKind.EFI


def test_an_efi_file_has_no_root_for_further_files() -> None:
    with pytest.raises(BadRecipe, match=r"an .efi file has no root"):
        recipe(chain=Chain.UKI, container=Container.EFI, files=(("a", Path("a")),))


def test_an_iso_is_an_iso() -> None:
    assert recipe().kind is ImageKind.ISO
    assert (ImageKind.ISO.content_type, ImageKind.ISO.suffix) == ("application/vnd.efi-iso", ".iso")
