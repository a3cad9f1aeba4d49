"""virsh itself, before a libvirt of the test's own; and what is said where there is neither."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ironic_httpboot.emulator import virsh
from ironic_httpboot.errors import HostError
from kit.libvirt import Libvirt, needs_libvirt


@pytest.fixture
def libvirt(tmp_path: Path) -> Iterator[Libvirt]:
    with Libvirt(tmp_path) as running:
        yield running


@needs_libvirt
def test_a_domain_is_switched_and_its_state_told_with_the_reason(libvirt: Libvirt) -> None:
    libvirt.define("node-1")
    assert not virsh.power(libvirt.uri, "node-1").on
    virsh.start(libvirt.uri, "node-1")
    assert virsh.power(libvirt.uri, "node-1") == virsh.Power(state="running", reason="booted")
    virsh.shut_down(libvirt.uri, "node-1")
    libvirt.virsh("suspend", "node-1")
    assert virsh.power(libvirt.uri, "node-1").on, "paused is on"
    virsh.destroy(libvirt.uri, "node-1")
    assert virsh.power(libvirt.uri, "node-1") == virsh.Power(state="shut off", reason="destroyed")
    assert virsh.keeping(libvirt.uri, "node-1") == virsh.Keeping(persistent=True, saved=False)
    assert "<name>node-1</name>" in virsh.definition(libvirt.uri, "node-1")


@needs_libvirt
def test_libvirts_own_words_are_told(libvirt: Libvirt) -> None:
    with pytest.raises(HostError, match=r"dumpxml → failed to get domain '--all'"):
        virsh.definition(libvirt.uri, "--all")
    libvirt.define("node-1")
    with pytest.raises(HostError, match=r"destroy → .*domain is not running"):
        virsh.destroy(libvirt.uri, "node-1")


@needs_libvirt
def test_a_libvirt_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        HostError, match=r"libvirt at qemu.*: domstate → failed to connect to the hypervisor"
    ) as failure:
        virsh.power(f"qemu+unix:///session?socket={tmp_path}/sock", "node-1")
    assert failure.value.hint is not None
    assert "machine.uri" in failure.value.hint


def test_a_virsh_that_is_not_there_is_named_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostError, match="virsh started → No such file") as failure:
        virsh.power("qemu:///system", "node-1")
    assert failure.value.hint is not None
    assert "libvirt-clients" in failure.value.hint


def test_a_virsh_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "virsh"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(HostError, match=r"start → no answer in 0\.2 s"):
        virsh.call("qemu:///system", "start", "node-1", seconds=0.2)
