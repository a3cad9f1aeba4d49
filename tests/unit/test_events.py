"""Events: which stage they show, and the timeline that they make."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ironic_httpboot.events import Event, Failed, Reached, Stage, Transfer, progress, stage_of

DOWNLOAD = Transfer(
    at=10.0,
    machine="node-1",
    peer="192.0.2.9",
    method="GET",
    path="/…/node-1.iso",
    status=200,
    range=None,
    sent_bytes=1000,
    total_bytes=1000,
    elapsed_seconds=0.5,
    finished=True,
)
LOOK = replace(DOWNLOAD, method="HEAD", sent_bytes=0, total_bytes=0)


def reached(stage: Stage, at: float = 0.0) -> Reached:
    return Reached(at=at, machine="node-1", stage=stage)


def test_a_stage_that_was_reached_is_that_stage() -> None:
    assert [stage_of(reached(stage)) for stage in Stage] == list(Stage)


def test_a_failure_shows_no_stage() -> None:
    assert stage_of(Failed(at=0, machine="node-1", reason="no lease", final=True)) is None


@pytest.mark.parametrize(
    ("event", "stage"),
    [
        (LOOK, Stage.HEAD),
        (replace(LOOK, status=404), None),
        (replace(LOOK, finished=False), None),
        (DOWNLOAD, Stage.GET),
        (replace(DOWNLOAD, status=206, range="0-999"), Stage.GET),
        (replace(DOWNLOAD, sent_bytes=999), None),
        (replace(DOWNLOAD, finished=False), None),
        (replace(DOWNLOAD, sent_bytes=0, total_bytes=0), None),
        (replace(DOWNLOAD, status=404), None),
        (replace(DOWNLOAD, status=416), None),
        (replace(DOWNLOAD, status=304, sent_bytes=0, total_bytes=0), None),
    ],
)
def test_only_a_request_that_brought_what_was_asked_for_shows_a_stage(event: Event, stage: Stage | None) -> None:
    assert stage_of(event) is stage


def test_a_timeline_has_the_first_event_of_each_stage_in_the_order_of_the_road() -> None:
    kernel, kernel_again = reached(Stage.KERNEL, 30.0), reached(Stage.KERNEL, 40.0)
    published = reached(Stage.PUBLISHED, 1.0)
    trouble = Failed(at=2.0, machine="node-1", reason="no answer", final=False)
    events: list[Event] = [kernel, DOWNLOAD, replace(DOWNLOAD, at=50.0), trouble, kernel_again, LOOK, published]
    timeline = progress(events)
    assert list(timeline.items()) == [
        (Stage.PUBLISHED, published),
        (Stage.HEAD, LOOK),
        (Stage.GET, DOWNLOAD),
        (Stage.KERNEL, kernel),
    ]


def test_no_events_are_an_empty_timeline() -> None:
    assert progress([]) == {}
