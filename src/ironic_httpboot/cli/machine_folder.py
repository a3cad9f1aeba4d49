"""A folder of machine files beside the configuration: programs such as Ironic put files in and take them away.

Knows when something has changed in it, and that a file may be wrong or gone: the others count all the same. Refuses to
know what machines are for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from ironic_httpboot import config
from ironic_httpboot.cli import output
from ironic_httpboot.dhcp.policy import Address
from ironic_httpboot.errors import BadConfig

SUFFIX = ".toml"

Identity: TypeAlias = tuple[int, int, int]


class MachineFolder:
    """The machines of a folder, each file read once while it stays the same."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._read: dict[str, tuple[Identity, tuple[config.BootedMachineTable, ...]]] = {}
        self._missing = False
        self._said: frozenset[str] = frozenset()

    def changed(self) -> bool:
        """Read what is new or other than it was; whether anything is."""
        seen = self._look()
        before = {name: identity for name, (identity, _) in self._read.items()}
        if seen == before:
            return False
        # In the order in which they came: see `beside`.
        names = [name for name in before if name in seen] + [name for name in seen if name not in before]
        self._read = {
            name: self._read[name] if before.get(name) == seen[name] else (seen[name], self._machines(name))
            for name in names
        }
        return True

    def beside(
        self,
        path: Path | None,
        own: Sequence[config.BootedMachineTable],
        why_not: Callable[[Address], str | None] = lambda _: None,
    ) -> tuple[config.BootedMachineTable, ...]:
        """Those that have nothing of another machine's: neither of the main file's own, nor of a file that came before.

        path: the main file. why_not: the reason why an address can be no machine's. What is left out is said once, for
        as long as it is so.
        """
        if not self._read:
            return ()
        known = {value: f"{path}: machine.{index}.{key}" for index, key, value in _identities(own)}
        found, said = [], []
        for name, (_, machines) in self._read.items():
            apart = [True] * len(machines)
            for index, key, value in _identities(machines):
                if value in known:
                    apart[index] = False
                    said.append(f"{self._root / name}: machine.{index}.{key}: {value} is there already: {known[value]}")
            for index, address in ((index, each) for index, one in enumerate(machines) for each in one.addresses):
                if why := why_not(address):
                    apart[index] = False
                    said.append(f"{self._root / name}: machine.{index}.addresses: {why}")
            for index, key, value in _identities(machines):
                if apart[index]:
                    known[value] = f"{self._root / name}: machine.{index}.{key}"
            found += [machine for index, machine in enumerate(machines) if apart[index]]
        for complaint in said:
            if complaint not in self._said:
                output.err.print(f"left out: {complaint}", markup=False)
        self._said = frozenset(said)
        return tuple(found)

    def _look(self) -> dict[str, Identity]:
        found = {}
        try:
            with os.scandir(self._root) as entries:
                for entry in entries:
                    if entry.name.endswith(SUFFIX) and not entry.name.startswith("."):
                        found[entry.name] = _identity(entry)
            self._missing = False
        except FileNotFoundError:
            pass  # it is made by whoever puts the first file in
        except OSError as error:
            if not self._missing:
                output.err.print(f"warning: dhcp.machines {self._root}: read → {error.strerror}", markup=False)
            self._missing = True
            # That it cannot be looked into for a while takes no machine away.
            return {name: identity for name, (identity, _) in self._read.items()}
        return dict(sorted(found.items()))

    def _machines(self, name: str) -> tuple[config.BootedMachineTable, ...]:
        try:
            # os.path: what may not be looked at is no error here. Reading a FIFO would never end.
            if os.path.exists(self._root / name) and not os.path.isfile(self._root / name):
                raise BadConfig(f"{self._root / name}: is not a regular file")
            machines = config.read(self._root / name, config.MachinesFile).machine
            if any(machine.kernel is not None for machine in machines):
                raise BadConfig(f"{self._root / name}: machine.kernel: here a machine has a url")
        except BadConfig as error:
            output.err.print(f"left out: {error}", markup=False)
            return ()
        return machines


def _identities(machines: Sequence[config.BootedMachineTable]) -> Iterator[tuple[int, str, Hashable]]:
    return ((index, *identity) for index, machine in enumerate(machines) for identity in config.identities(machine))


def _identity(entry: os.DirEntry[str]) -> Identity:
    """What tells a file from the one that was read. Whatever cannot be examined differs from every file that can."""
    try:
        state = entry.stat()
    except OSError:
        return (0, 0, 0)  # gone while we look, or a link to nowhere: reading it says which
    return (state.st_ino, state.st_size, state.st_mtime_ns)
