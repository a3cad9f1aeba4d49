"""What is seen of a boot, and what cannot be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ironic_httpboot.errors import BmcRefused, InputError
from ironic_httpboot.events import Stage
from ironic_httpboot.redfish.resources import Progress, Resource, System, read_system
from ironic_httpboot.redfish.wait import WAITABLE, Follower, Until, demand_signs


def system(progress: Progress | None) -> System:
    return replace(read_system(Resource(path="/1", etag=None, body={"Boot": {}})), progress=progress)


RUNNING = Progress(state="OSRunning")


def test_progress_of_the_boot_before_is_not_taken_for_this_one() -> None:
    follower = Follower(RUNNING)
    assert follower.see(RUNNING) is None
    assert follower.see(Progress(state="MemoryInitializationStarted")) is None
    assert follower.see(Progress(state="OSBootStarted")) is Stage.LOADER
    assert follower.see(RUNNING) is Stage.USER_SPACE


def test_another_time_makes_the_same_state_a_new_one() -> None:
    follower = Follower(Progress(state="OSRunning", since="10:00"))
    assert follower.see(Progress(state="OSRunning", since="10:07")) is Stage.USER_SPACE


def test_a_machine_that_was_off_has_no_past() -> None:
    assert Follower(Progress(state="None")).see(RUNNING) is Stage.USER_SPACE
    assert Follower(None).see(None) is None


def test_what_nothing_would_show_is_said_before_the_machine_is_touched() -> None:
    with pytest.raises(InputError, match="wait for 'verdict'"):
        demand_signs(Until(stage=Stage.VERDICT), system(RUNNING))
    with pytest.raises(BmcRefused, match="has no BootProgress"):
        demand_signs(Until(stage=Stage.USER_SPACE, events=lambda: ()), system(None))
    with pytest.raises(BmcRefused, match="has no BootProgress"):
        demand_signs(Until(stage=Stage.GET), system(None))
    demand_signs(Until(stage=Stage.GET, events=lambda: ()), system(None))
    demand_signs(Until(stage=Stage.POWER_ON), system(None))
    for stage in WAITABLE:
        demand_signs(Until(stage=stage), system(RUNNING))
