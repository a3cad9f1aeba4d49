"""What consoles say, seen on Debian's OVMF 2022.11, GRUB 2.06, shim 16.1 and Linux 6.1, and what it means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironic_httpboot.emulator.console import Milestone, Reader, Trouble, redact, sign
from ironic_httpboot.events import Stage


@pytest.mark.parametrize(
    ("line", "stage", "detail"),
    [
        ("  Station IP address is 10.0.2.15", Stage.LEASE, "10.0.2.15"),
        ('BdsDxe: starting BootFFFF "HTTP boot (BMC)" from Uri(http://h/x.iso)', Stage.LOADER, "firmware starts"),
        (
            "[    0.000000] Linux version 6.1.0-56-cloud-amd64 (debian-kernel",
            Stage.KERNEL,
            "Linux 6.1.0-56-cloud-amd64",
        ),
        ("[    3.1] Run /init as init process", Stage.USER_SPACE, "/init"),
        ("httpboot-guest: verdict pass: all is well", Stage.VERDICT, "pass: all is well"),
    ],
)
def test_a_line_shows_the_stage_that_is_reached(line: str, stage: Stage, detail: str) -> None:
    found = sign(line)
    assert isinstance(found, Milestone)
    assert found.stage is stage
    assert found.detail.startswith(detail)


@pytest.mark.parametrize(
    ("line", "said", "final"),
    [
        ("  Error: Server response timeout.", "no DHCP server made an offer", False),
        (
            "  Error: Could not retrieve NBP file size from HTTP server.",
            "DHCP gave no address, or the HEAD request did not",
            False,
        ),
        ("  Error: Unexpected network error.", "broke off", False),
        ("HTTP ERROR: Resource Redirected.", "never follows", False),
        ("Client Error: 404", "answered 404", False),
        ("Remote boot cancelled", "TLS handshake", False),
        ('BdsDxe: failed to load BootFFFF "HTTP boot (BMC)" from Uri(http://h/s/x.iso): Not Found', "Not Found", True),
        (
            'BdsDxe: failed to start BootFFFF "HTTP boot (BMC)" from Uri(http://h/x.iso): Access Denied',
            "Secure Boot",
            True,
        ),
        ("error: file `/boot/vmlinuz' not found.", "GRUB: file `/boot/vmlinuz' not found", False),
        ("[    1.0] Kernel panic - not syncing: VFS: Unable to mount root", "panicked: VFS", True),
        ("httpboot-guest: verdict fail: nothing was appended", "fail: nothing was appended", True),
    ],
)
def test_trouble_is_said_in_plain_words(line: str, said: str, final: bool) -> None:
    found = sign(line)
    assert isinstance(found, Trouble)
    assert said in found.reason
    assert found.final is final
    assert "http://" not in found.reason


@pytest.mark.parametrize("line", ["", "Booting in blind mode", "error: no suitable video mode found."])
def test_other_lines_mean_nothing(line: str) -> None:
    assert sign(line) is None


@given(st.lists(st.sampled_from(["one", "two words", "däß", "%"]), max_size=8), st.data())
def test_lines_come_whole_however_they_are_cut(lines: list[str], data: st.DataObject) -> None:
    stream = "".join(f"\x1b[2J\x1b[01;01H{line}\r\n" for line in lines).encode()
    reader = Reader()
    read: list[str] = []
    while stream:
        cut = data.draw(st.integers(1, len(stream)))
        read += reader.feed(stream[:cut])
        stream = stream[cut:]
    assert read == lines


def test_a_line_without_end_does_not_grow_for_ever() -> None:
    reader = Reader()
    for _ in range(100):
        assert list(reader.feed(b"x" * 10_000)) == []
    assert len(next(iter(reader.feed(b"\n")))) <= 4096


def test_the_secret_part_of_a_url_is_not_shown() -> None:
    assert redact("URI: http://10.0.2.2:8080/s3cr3t/x.iso") == "URI: http://10.0.2.2:8080/…/x.iso"
    assert redact("URI: http://10.0.2.2/x.iso") == "URI: http://10.0.2.2/x.iso"
