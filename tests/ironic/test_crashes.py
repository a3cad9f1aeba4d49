"""A conductor is killed in every state that matters, and started again: what is published is found again or withdrawn.

One conductor with a node in each state, killed once; a BMC whose machines switch at once, or not at all.
"""

from __future__ import annotations

import hashlib
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from openstack.baremetal.v1.node import Node

from ironic_httpboot.emulator.kept import Target
from ironic_httpboot.emulator.serve import Emulator
from ironic_httpboot.emulator.state import Reset
from ironic_httpboot.http.store import Store
from kit import conductor
from kit.hardware import Stuck
from kit.ironic import Ironic, Operator, boot_of, until, write_guest

pytestmark = pytest.mark.timeout(900)

_ON, _OFF = frozenset({Reset.ON, Reset.FORCE_ON}), frozenset({Reset.FORCE_OFF, Reset.GRACEFUL_SHUTDOWN})
_DISK = bytes(1 << 20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """How a node comes to the state in which the conductor is killed, what it must be in after that, and how on.

    sticks: the resets at which it is caught. kept: whether the URL still stands after the restart. out: verbs and the
    states that they end in, until it is available. disk: whether the BMC was told on that way to boot the disk, which
    lasts.
    """

    first: tuple[tuple[str, str], ...] = ()
    verb: str
    caught_in: str
    after: str
    sticks: frozenset[Reset] = frozenset()
    kept: bool = False
    out: tuple[tuple[str, str], ...]
    disk: bool = False
    fields: dict[str, Any] = field(default_factory=dict)

    @property
    def by_dhcp(self) -> bool:
        """Whether DHCP tells the URL."""
        return self.fields.get("boot") == "httpboot"


_STEPS = [{"interface": "deploy", "step": "erase_devices_metadata"}]
_MORE: dict[str, dict[str, Any]] = {
    "rescue": {"rescue_password": "correct horse"},
    "clean": {"clean_steps": _STEPS},
    "service": {"service_steps": _STEPS},
}
"""What a verb needs."""

_UP = (("manage", "manageable"), ("provide", "available"))
_ACTIVE = (("provide", "available"), ("active", "active"))
_ADOPTED = (("adopt", "active"),)
_DOWN = (("deleted", "available"),)
_AGENT = {"deploy_interface": "direct"}
_RESCUE: dict[str, Any] = {"rescue_interface": "agent"}
_INSPECT: dict[str, Any] = {"inspect_interface": "agent"}
_BACK = ("unrescue", "active")
_UNRESCUED = (*_ACTIVE, ("rescue", "rescue wait"), ("abort", "rescue failed"))
_DHCP = {"boot": "httpboot"}

CASES = {
    "deploying": Case(
        first=(("provide", "available"),),
        verb="active", sticks=_ON, caught_in="deploying", after="deploy failed", out=_DOWN,
    ),
    "wait call-back": Case(
        first=(("provide", "available"),),
        verb="active", caught_in="wait call-back", after="wait call-back", kept=True, out=_DOWN, fields=_AGENT,
    ),
    "active": Case(
        first=(("provide", "available"),), verb="active", caught_in="active", after="active", kept=True, out=_DOWN
    ),
    "deleting": Case(
        first=_ACTIVE, verb="deleted", sticks=_OFF, caught_in="deleting", after="error", out=_DOWN
    ),
    "cleaning": Case(
        verb="clean", sticks=_ON, caught_in="cleaning", after="clean failed", out=_UP,
        fields=_AGENT,
    ),
    "clean wait": Case(
        verb="clean", caught_in="clean wait", after="clean wait", kept=True, out=(("abort", "clean failed"), *_UP),
        fields=_AGENT,
    ),
    "rescuing": Case(
        first=_ACTIVE, verb="rescue", sticks=_ON, caught_in="rescuing", after="rescue failed", out=(_BACK, *_DOWN),
        fields=_RESCUE,
    ),
    "rescue wait": Case(
        first=_ACTIVE, verb="rescue", caught_in="rescue wait", after="rescue wait", kept=True,
        out=(("abort", "rescue failed"), _BACK, *_DOWN), fields=_RESCUE,
    ),
    "inspecting": Case(
        verb="inspect", sticks=_ON, caught_in="inspecting", after="inspect failed", out=_UP, fields=_INSPECT,
    ),
    "inspect wait": Case(
        verb="inspect", caught_in="inspect wait", after="inspect wait", kept=True,
        out=(("abort", "inspect failed"), *_UP), fields=_INSPECT,
    ),
    "unrescuing": Case(
        first=_UNRESCUED, verb="unrescue", sticks=_ON, caught_in="unrescuing", after="unrescue failed",
        out=(_BACK, *_DOWN), fields=_RESCUE,
    ),
    "servicing": Case(
        first=_ADOPTED, verb="service", sticks=_ON, caught_in="servicing", after="service failed", out=_DOWN,
        fields=_AGENT,
    ),
    "service wait": Case(
        first=_ADOPTED, verb="service", caught_in="service wait", after="service wait", kept=True,
        out=(("abort", "active"), *_DOWN), disk=True, fields=_AGENT,
    ),
}  # fmt: skip
_TOLD_BY_DHCP = ("deploying", "active", "deleting", "cleaning", "clean wait", "unrescuing", "servicing", "service wait")
CASES |= {f"{name} by dhcp": replace(CASES[name], fields={**CASES[name].fields, **_DHCP}) for name in _TOLD_BY_DHCP}


@dataclass(slots=True, kw_only=True)
class Seen:
    """What was found of a node, first when it was caught, then after the restart, and when it was out of it."""

    node: Node
    states: list[str] = field(default_factory=list)
    paths: list[list[str]] = field(default_factory=list)
    targets: list[tuple[str, str | None]] = field(default_factory=list)
    files: list[list[str]] = field(default_factory=list)
    folders: list[bool] = field(default_factory=list)
    errors: list[str | None] = field(default_factory=list)


def ask(operator: Operator, node: Node, verb: str) -> None:
    """Ask for a change of a node's state, with what that needs."""
    operator.api.get_node(node).set_provision_state(operator.api, verb, **_MORE.get(verb, {}))


class Crash:
    """Runs all cases at once."""

    def __init__(self, ironic: Ironic, emulator: Emulator, folder: Path) -> None:
        self.ironic = ironic
        self.emulator = emulator
        self.folder = folder
        self.seen: dict[str, Seen] = {}

    def system(self, state: str) -> str:
        return state.replace(" ", "-")

    def hardware(self, state: str) -> Stuck:
        found = self.emulator.hardware(self.system(state))
        assert isinstance(found, Stuck)
        return found

    def for_all(self, act: Any) -> None:
        with ThreadPoolExecutor(len(CASES)) as workers:
            for done in [
                workers.submit(act, state, case, Operator(self.ironic, pause_seconds=1))
                for state, case in CASES.items()
            ]:
                done.result()

    def catch(self, state: str, case: Case, operator: Operator) -> None:
        """Bring a node to where it is to be caught."""
        files = {
            part: f"file://{self.folder}/{name}" for part, name in (("kernel", "vmlinuz"), ("ramdisk", "ramdisk.cpio"))
        }
        agent = {f"{mode}_{part}": url for mode in ("deploy", "rescue") for part, url in files.items()}
        instance: dict[str, Any] = files
        if case.fields.get("deploy_interface") == "direct":
            instance = {
                "image_source": f"file://{self.folder}/disk.raw",
                "image_os_hash_algo": "sha256",
                "image_os_hash_value": hashlib.sha256(_DISK).hexdigest(),
                "image_disk_format": "raw",
                "image_type": "whole-disk",
            }
        made = operator.create(
            self.system(state),
            bmc=self.emulator.url,
            system=self.system(state),
            mac=conductor.mac_of(list(CASES).index(state)),
            driver_info=agent,
            instance_info=instance,
            **case.fields,
        )
        self.seen[state] = Seen(node=made)
        for verb, then in (("manage", "manageable"), *case.first):
            ask(operator, made, verb)
            operator.until(made, then, seconds=180, whatever=verb == "abort")
        self.hardware(state).sticks = case.sticks
        ask(operator, made, case.verb)
        if case.sticks:
            until(lambda: self.hardware(state).caught, seconds=180, what=f"{state}: the machine is being switched")
        operator.until(made, case.caught_in, seconds=180, whatever=True)

    def look(self) -> None:
        """Write down what there is now."""
        api = Operator(self.ironic).api
        published = Store(self.ironic.store).published()
        for state, seen in self.seen.items():
            now = api.get_node(seen.node)
            boot = boot_of(self.emulator.url, self.system(state))
            seen.states.append(now.provision_state)
            seen.errors.append(now.last_error)
            seen.paths.append([each.path for each in published.get(seen.node.id, ())])
            seen.targets.append((boot["BootSourceOverrideEnabled"], boot.get("HttpBootUri")))
            machine, images = (self.ironic.store.parent / name for name in ("machines", "images"))
            seen.files.append([path.read_text() for path in machine.glob(f"*{seen.node.id}*")])
            seen.folders.append((images / seen.node.id).exists())

    def leave(self, state: str, case: Case, operator: Operator) -> None:
        """Take the way out that Ironic has."""
        node = self.seen[state].node
        for verb, then in case.out:
            if operator.api.get_node(node).is_maintenance:
                operator.api.unset_node_maintenance(node)
            ask(operator, node, verb)
            operator.until(node, then, seconds=180, whatever=True)

    def deploy_again(self, state: str, case: Case, operator: Operator) -> None:
        """Deploy a node that is available again, with the ramdisk interface."""
        node = self.seen[state].node
        operator.api.update_node(node, deploy_interface="ramdisk")
        operator.deploy(node, self.folder / "vmlinuz", self.folder / "ramdisk.cpio")

    def settled(self) -> bool:
        """Whether what nobody needs is gone."""
        needed = {self.seen[state].node.id for state, case in CASES.items() if case.kept}
        told = [boot_of(self.emulator.url, self.system(state)) for state, case in CASES.items() if not case.kept]
        stay = any(boot["BootSourceOverrideEnabled"] != "Disabled" or boot.get("HttpBootUri") for boot in told)
        return set(Store(self.ironic.store).published()) == needed and not stay


@contextmanager
def web_of(folder: Path) -> Iterator[str]:
    """A web server for Ironic's http_root, where its agent would fetch a disk image; its address."""
    handler = partial(SimpleHTTPRequestHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def crash(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crash]:
    folder = tmp_path_factory.mktemp("crashes")
    write_guest(folder)
    (folder / "disk.raw").write_bytes(_DISK)
    options = {
        "DEFAULT": {"enabled_rescue_interfaces": "no-rescue,agent"},
        "httpboot": {"sweep_seconds": "1"},
        "dhcp": {"dhcp_provider": "httpboot"},
        # The test keeps the machines waiting for longer than it would take on an idle host.
        "conductor": {"heartbeat_timeout": "60"},
    }
    systems = [state.replace(" ", "-") for state in CASES]
    with (
        web_of(folder / "conductor-1" / "state" / "http") as web,
        conductor.emulated(folder / "bmc", systems, Stuck) as emulator,
        Ironic(folder / "conductor-1", url=conductor.URL4, options={**options, "deploy": {"http_url": web}}) as ironic,
    ):
        made = Crash(ironic, emulator, folder)
        made.for_all(made.catch)
        made.look()
        ironic.stop(signal.SIGKILL)
        for state in CASES:
            made.hardware(state).sticks = frozenset()
        ironic.start()
        until(made.settled, seconds=120, what="what nobody needs is gone", log=ironic.log)
        made.look()
        made.for_all(made.leave)
        made.look()
        made.for_all(made.deploy_again)
        made.look()
        yield made


@pytest.mark.parametrize("state", CASES)
def test_what_is_waited_for_stays_published_and_what_was_cut_off_is_taken_back(crash: Crash, state: str) -> None:
    case, seen = CASES[state], crash.seen[state]
    assert seen.states[:2] == [case.caught_in, case.after]
    if case.kept:
        assert seen.errors[1] is None
        assert len(seen.paths[0]) == 1
        assert seen.paths[1] == seen.paths[0]
        assert seen.targets[1] == seen.targets[0]
        assert len(seen.files[0]) == case.by_dhcp
        assert (seen.files[1], seen.folders[1]) == (seen.files[0], True)
    else:
        assert (
            seen.errors[1]
            == f"The {case.caught_in} state can't be resumed by conductor conductor-1. Moving to fail state."
        )
        assert len(seen.paths[0]) == (case.caught_in != "deleting")
        assert len(seen.files[0]) == (case.by_dhcp and case.caught_in != "deleting")
        assert (seen.paths[1], seen.targets[1]) == ([], ("Disabled", None))
        assert (seen.files[1], seen.folders[1]) == ([], False)


@pytest.mark.parametrize("state", CASES)
def test_a_node_gets_out_of_where_it_was_left_and_is_deployed_again(crash: Crash, state: str) -> None:
    case, seen = CASES[state], crash.seen[state]
    left = "Continuous" if case.disk else "Disabled"
    assert (seen.states[2], seen.paths[2], seen.targets[2]) == ("available", [], (left, None))
    assert (seen.files[2], seen.folders[2]) == ([], False)
    assert (seen.states[3], len(seen.paths[3])) == ("active", 1)
    (path,) = seen.paths[3]
    last = crash.hardware(state).boots[-1]
    if case.by_dhcp:
        assert seen.targets[3] == ("Continuous", None)
        assert last.target is Target.UEFI_HTTP
        (text,) = seen.files[3]
        assert path in text
    else:
        assert seen.targets[3] == ("Continuous", f"{conductor.URL4}{path}")
        assert last.uri == f"{conductor.URL4}{path}"
