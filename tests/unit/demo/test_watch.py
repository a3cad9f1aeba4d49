"""Waiting for a machine: what counts as reached, and what is said when it does not come."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from ironic_httpboot.demo.watch import LIMITS, Watch, last_lines
from ironic_httpboot.emulator.console import CANCELLED, NO_SIZE
from ironic_httpboot.errors import BootFailed
from ironic_httpboot.events import Event, Failed, Reached, Stage, Transfer

QUICK = dict.fromkeys(LIMITS, 0.05)


def reached(stage: Stage, machine: str = "node-1") -> Reached:
    return Reached(at=0, machine=machine, stage=stage)


def failed(reason: str, *, final: bool) -> Failed:
    return Failed(at=0, machine="node-1", reason=reason, final=final)


def transfer(method: str, sent_bytes: int = 9, *, finished: bool = True, status: int = 200) -> Transfer:
    return Transfer(
        at=0,
        machine="node-1",
        peer="192.0.2.7",
        method=method,
        path="/…/x.iso",
        status=status,
        range=None,
        sent_bytes=sent_bytes,
        total_bytes=9,
        elapsed_seconds=1,
        finished=finished,
    )


async def test_it_returns_when_every_stage_has_come_in_whatever_order() -> None:
    watch = Watch("node-1", QUICK)
    for stage in (Stage.READ_BACK, Stage.BMC_ASKED, Stage.LEASE, Stage.POWER_ON):
        watch.hear(reached(stage))
    watch.hear(transfer("GET"))
    watch.hear(transfer("HEAD", 0))
    await watch.until(Stage.GET)


async def test_another_machines_events_do_not_count() -> None:
    watch = Watch("node-1", QUICK)
    watch.hear(reached(Stage.BMC_ASKED, "node-2"))
    with pytest.raises(BootFailed, match="node-1: stopped before “BMC asked”"):
        await watch.until(Stage.BMC_ASKED)


async def test_a_download_that_breaks_off_is_none() -> None:
    watch = Watch("node-1", {Stage.GET: 0.05})
    watch.hear(transfer("GET", 5))
    watch.hear(transfer("GET", 9, finished=False))
    with pytest.raises(BootFailed, match="no GET within"):
        await watch.until(Stage.GET)


async def test_a_stage_that_does_not_come_is_named_with_what_the_machine_said(tmp_path: Path) -> None:
    console = tmp_path / "console.log"
    console.write_bytes(b"early\r\n" * 100 + b"\x1b[2JURI: http://192.0.2.1/s3cr3t/x.iso\r\nlast words")
    watch = Watch("node-1", {Stage.LEASE: 0.05})
    watch.hear(failed("no DHCP server made an offer", final=False))
    watch.hear(failed("no DHCP server made an offer", final=False))
    with pytest.raises(BootFailed) as failure:
        await watch.until(Stage.LEASE, console)
    said = str(failure.value)
    assert "stopped before “lease”: no lease within 0.05 s" in said
    assert said.count("the machine said: no DHCP server made an offer") == 1
    assert "last words" in said
    assert "\x1b" not in said
    assert "s3cr3t" not in said


async def test_what_is_final_ends_the_waiting_at_once() -> None:
    watch = Watch("node-1", {Stage.LEASE: 60})
    waiting = asyncio.ensure_future(watch.until(Stage.LEASE))
    await asyncio.sleep(0)
    watch.hear(failed("the kernel panicked", final=True))
    async with asyncio.timeout(5):
        with pytest.raises(BootFailed, match="the kernel panicked"):
            await waiting


async def test_what_the_console_said_before_a_request_comes_before_it() -> None:
    watch = Watch("node-1", {Stage.HEAD: 5})
    watch.look_first(lambda at: watch.hear(replace(reached(Stage.LEASE), at=at)))
    watch.hear(transfer("HEAD", 0))
    await watch.until(Stage.HEAD)
    assert watch.events == [reached(Stage.LEASE), transfer("HEAD", 0)]


async def test_events_may_come_from_another_thread() -> None:
    watch = Watch("node-1", {Stage.LEASE: 5})
    seen: list[Event] = []
    watch.tell(seen.append)
    await asyncio.to_thread(watch.hear, reached(Stage.LEASE))
    await watch.until(Stage.LEASE)
    assert seen == [reached(Stage.LEASE)]


def test_a_console_that_is_not_there_has_no_last_lines(tmp_path: Path) -> None:
    assert last_lines(tmp_path / "none") == []


@pytest.mark.parametrize(
    ("reason", "before", "said"),
    [
        (NO_SIZE, [], "the machine has no address, and no HEAD request came: no DHCP offer was accepted"),
        (NO_SIZE, [reached(Stage.LEASE)], "the machine has an address, but no HEAD request came"),
        (NO_SIZE, [reached(Stage.LEASE), transfer("HEAD", 0, status=404)], "answered the HEAD request with 404"),
        (NO_SIZE, [reached(Stage.LEASE), transfer("HEAD", 0)], "Content-Type and the URL's suffix are no boot image's"),
        (CANCELLED, [], "no DHCP offer was accepted"),
        (CANCELLED, [reached(Stage.LEASE)], "the TLS handshake failed"),
    ],
)
async def test_what_the_console_cannot_tell_is_told_by_what_the_server_saw(
    reason: str, before: list[Event], said: str
) -> None:
    watch = Watch("node-1", {Stage.VERDICT: 5})
    for event in (*before, failed(reason, final=True)):
        watch.hear(event)
    with pytest.raises(BootFailed) as caught:
        await watch.until(Stage.VERDICT)
    assert said in caught.value.message
