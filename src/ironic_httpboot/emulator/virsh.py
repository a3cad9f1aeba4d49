"""virsh, libvirt's own client: the only module that starts it.

Knows how it is called, how long it may take, and how it says no. Refuses to know what a domain is for. A program and no
library, because libvirt's Python library is built against the very libvirt that a host has, by a compiler that most
hosts lack; virsh comes with libvirt and has kept its words since 2010.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass

from ironic_httpboot.errors import HostError

_ANSWER_SECONDS = 15.0
_PROGRAM = "virsh"


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """What `virsh domstate --reason` says, such as "shut off" and "destroyed"."""

    state: str
    reason: str

    @property
    def on(self) -> bool:
        """Whether there is a QEMU, be it paused or crashed."""
        return self.state != "shut off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """What is left of a domain that ends. persistent: its definition; saved: its memory, with which it would go on."""

    persistent: bool
    saved: bool


def call(uri: str, command: str, *arguments: str, seconds: float = _ANSWER_SECONDS) -> str:
    """Run one command of virsh; return what it printed. Blocks. Raises HostError with virsh's own words."""
    try:
        done = subprocess.run(
            [_PROGRAM, "--quiet", "--connect", uri, command, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={**os.environ, "LC_ALL": "C"},
            timeout=seconds,
            check=False,
        )
    except OSError as error:
        raise HostError(
            f"{_PROGRAM} started → {error.strerror}", hint="install the package libvirt-clients, and libvirt itself"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise HostError(
            f"libvirt at {uri}: {command} → no answer in {seconds:g} s", hint="see whether libvirtd hangs"
        ) from error
    if done.returncode != 0:
        said = [line.removeprefix("error: ") for line in done.stderr.decode("utf-8", "replace").splitlines() if line]
        unreachable = any("connect" in line for line in said)
        raise HostError(
            f"libvirt at {uri}: {command} → {'; '.join(said) or f'exit code {done.returncode}'}",
            hint="start libvirtd (package libvirt-daemon-system), or correct machine.uri" if unreachable else None,
        )
    return done.stdout.decode("utf-8", "replace")


def definition(uri: str, domain: str) -> str:
    """A domain's XML, as it will be at its next start."""
    return call(uri, "dumpxml", f"--domain={domain}", "--inactive")


def power(uri: str, domain: str) -> Power:
    """Whether a domain is on, and why."""
    state, _, reason = call(uri, "domstate", f"--domain={domain}", "--reason").strip().partition(" (")
    return Power(state=state, reason=reason.rstrip(")"))


def keeping(uri: str, domain: str) -> Keeping:
    """What libvirt keeps of a domain."""
    lines = call(uri, "dominfo", f"--domain={domain}").splitlines()
    words = [" ".join(line.split()) for line in lines]
    return Keeping(persistent="Persistent: yes" in words, saved="Managed save: yes" in words)


def start(uri: str, domain: str) -> None:
    """Switch a domain on."""
    call(uri, "start", f"--domain={domain}", seconds=60)


def destroy(uri: str, domain: str) -> None:
    """Switch a domain off at once; return when its QEMU has ended."""
    call(uri, "destroy", f"--domain={domain}", seconds=60)


def shut_down(uri: str, domain: str) -> None:
    """Press a domain's power button (ACPI)."""
    call(uri, "shutdown", f"--domain={domain}", "--mode=acpi")
