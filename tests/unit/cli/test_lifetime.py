"""How a service goes on, and what ends it."""

from __future__ import annotations

import asyncio
import logging

import pytest

from ironic_httpboot.cli import lifetime


async def test_a_task_that_should_go_on_and_does_not_ends_the_service_with_its_error() -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    told = asyncio.Event()
    going_on = asyncio.create_task(asyncio.sleep(3600))
    with pytest.raises(ZeroDivisionError):
        await lifetime.until_told(told, [going_on, asyncio.create_task(fail())])
    told.set()
    await lifetime.until_told(told, [going_on])
    going_on.cancel()


async def test_what_is_done_again_and_again_outlasts_a_bug_which_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    results: list[Exception | None] = [ValueError("a"), ValueError("a"), ValueError("b"), None, ValueError("b")]
    done = asyncio.Event()

    async def act() -> None:
        await asyncio.sleep(0)
        if not results:
            done.set()
            await asyncio.sleep(3600)
        elif (error := results.pop(0)) is not None:
            raise error

    with caplog.at_level(logging.ERROR):
        task = asyncio.create_task(lifetime.repeatedly("counting", act, pause_seconds=0))
        await done.wait()
    task.cancel()
    said = [(each.getMessage(), str(each.exc_info[1]) if each.exc_info else "") for each in caplog.records]
    what = "counting: went wrong unexpectedly, and is tried again"
    assert said == [(what, "a"), (what, "b"), (what, "b")]
