"""Our client against our emulator, over real sockets, with hardware that switches at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from ironic_httpboot.emulator.serve import Emulator, Settings
from ironic_httpboot.emulator.state import Enabled, Override, Target
from ironic_httpboot.errors import (
    BmcAccessDenied,
    BmcRefused,
    BmcUnreachable,
    HttpBootError,
    InputError,
    MalformedAnswer,
    OverrideNotTaken,
)
from ironic_httpboot.model import BootUrl
from ironic_httpboot.redfish import client
from ironic_httpboot.redfish.transport import Limits, Transport
from kit.hardware import Relay
from kit.lab import ACCOUNT, machine

URL = BootUrl.parse("http://192.0.2.1:8080/s3cr3t/x.iso")
GOOD = client.Credentials(username=ACCOUNT.username, password=ACCOUNT.password)


@pytest.fixture
async def emulator(tmp_path: Path) -> AsyncIterator[Emulator]:
    machines = [machine("node-1"), machine("node-2")]
    async with Emulator(Settings(machines=machines, state=tmp_path, port=0, account=ACCOUNT), install=Relay) as running:
        yield running


async def boot(address: str, **options: Any) -> tuple[client.Report, int]:
    """Ask in a thread, as the command line does; return the report and the number of requests."""

    def ask() -> tuple[client.Report, int]:
        with Transport(address, limits=Limits(connect_seconds=2, answer_seconds=2)) as transport:
            report = client.boot(transport, URL, **{"credentials": GOOD, "system_id": "node-1", **options})
            return report, transport.requests

    return await asyncio.to_thread(ask)


def relay(emulator: Emulator, name: str = "node-1") -> Relay:
    hardware = emulator.hardware(name)
    assert isinstance(hardware, Relay)
    return hardware


async def test_the_machine_boots_the_url_once_and_the_session_is_closed(emulator: Emulator) -> None:
    report, requests = await boot(emulator.url)
    assert (report.system, report.done) == ("node-1", True)
    assert relay(emulator).boots == [Override(enabled=Enabled.ONCE, target=Target.UEFI_HTTP, uri=URL.text)]
    assert relay(emulator, "node-2").boots == []
    assert emulator._state.sessions == ()
    assert requests == 8, "root, login, system, change, reading, reset, power, logout"


async def test_asking_twice_gives_the_same_state(emulator: Emulator) -> None:
    for _ in range(2):
        await boot(emulator.url, reset=False)
    assert relay(emulator).state.override == Override(enabled=Enabled.ONCE, target=Target.UEFI_HTTP, uri=URL.text)
    assert relay(emulator).boots == []


async def test_a_dry_run_changes_nothing(emulator: Emulator) -> None:
    report, _ = await boot(emulator.url, dry_run=True)
    assert len(report.steps) == 3
    assert relay(emulator).state.override == Override()
    assert relay(emulator).boots == []


async def test_a_running_machine_is_restarted(emulator: Emulator) -> None:
    await boot(emulator.url)
    report, _ = await boot(emulator.url, persistent=True)
    assert report.power == "On"
    assert [each.enabled for each in relay(emulator).boots] == [Enabled.ONCE, Enabled.CONTINUOUS]


async def test_a_wrong_password_says_so_and_does_not_repeat_it(emulator: Emulator) -> None:
    with pytest.raises(BmcAccessDenied) as failure:
        await boot(emulator.url, credentials=client.Credentials(username="operator", password="wr0ng-s3cr3t"))
    assert "401" in failure.value.message
    assert "wr0ng-s3cr3t" not in str(failure.value)
    with pytest.raises(BmcAccessDenied, match="401"):
        await boot(emulator.url, credentials=None)


async def test_several_systems_need_a_name_and_a_wrong_one_lists_the_right_ones(emulator: Emulator) -> None:
    with pytest.raises(InputError, match="has 2 systems: node-1, node-2"):
        await boot(emulator.url, system_id=None)
    with pytest.raises(InputError, match="none is named 'node-3'"):
        await boot(emulator.url, system_id="node-3")
    assert emulator._state.sessions == ()


async def test_no_secret_reaches_the_log(emulator: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await boot(emulator.url)
    assert "HTTP request: PATCH" in caplog.text, "sushy's connector did log the request"
    for secret in ("s3cr3t", ACCOUNT.password):
        assert secret not in caplog.text


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "http://[::1]:9", "http://bmc.invalid"])
async def test_a_bmc_that_is_not_there_is_named(address: str) -> None:
    with pytest.raises(BmcUnreachable) as failure:
        await boot(address)
    assert "GET /redfish/v1/" in failure.value.message
    assert "127.0.0.1" in str(failure.value) or "::1" in str(failure.value) or "bmc.invalid" in str(failure.value)


@pytest.mark.parametrize("address", ["bmc7", "ftp://bmc7", "https://user:secret@bmc7", "https://"])
async def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(InputError) as failure:
        await boot(address)
    assert "secret" not in str(failure.value)


class Liar:
    """A BMC whose answers are what a test says, by method and path."""

    def __init__(self, answers: dict[str, tuple[int, object]]) -> None:
        self._answers = answers

    async def __aenter__(self) -> str:
        self._runner = web.ServerRunner(web.Server(self._answer, access_log=None))
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def __aexit__(self, *exception: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        status, body = self._answers.get(f"{request.method} {request.path}", (404, None))
        if isinstance(body, bytes):
            return web.Response(status=status, body=body, content_type="text/html")
        return web.json_response(body, status=status) if body is not None else web.Response(status=status)


ROOT = {"Systems": {"@odata.id": "/redfish/v1/Systems"}}
SYSTEM = {
    "Boot": {"HttpBootUri": None},
    "PowerState": "Off",
    "Actions": {"#ComputerSystem.Reset": {"target": "/reset"}},
}
PLAIN: dict[str, tuple[int, object]] = {
    "GET /redfish/v1/": (200, ROOT),
    "GET /redfish/v1/Systems/node-1": (200, SYSTEM),
}
NOT_WRITABLE = {
    "error": {
        "@Message.ExtendedInfo": [
            {
                "MessageId": "Base.1.18.PropertyNotWritable",
                "Message": f"HttpBootUri is read-only and cannot be {URL.text}",
            }
        ]
    }
}


async def test_a_bmc_that_accepts_and_changes_nothing_is_found_out_and_not_reset() -> None:
    answers = {**PLAIN, "PATCH /redfish/v1/Systems/node-1": (204, None), "POST /reset": (500, None)}
    async with Liar(answers) as address:
        with pytest.raises(OverrideNotTaken, match="BootSourceOverrideTarget is None, not 'UefiHttp'"):
            await boot(address)


async def test_a_refusal_is_told_in_the_bmcs_words_without_the_secret() -> None:
    async with Liar({**PLAIN, "PATCH /redfish/v1/Systems/node-1": (400, NOT_WRITABLE)}) as address:
        with pytest.raises(BmcRefused) as failure:
            await boot(address)
    assert "127.0.0.1: PATCH /redfish/v1/Systems/node-1 → 400 PropertyNotWritable" in failure.value.message
    assert "s3cr3t" not in str(failure.value)


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ({"GET /redfish/v1/": (200, b"<html>hello")}, MalformedAnswer),
        ({"GET /redfish/v1/": (200, [])}, MalformedAnswer),
        ({"GET /redfish/v1/": (200, None)}, MalformedAnswer),
        ({"GET /redfish/v1/": (500, b"oops")}, BmcRefused),
        ({"GET /redfish/v1/": (400, [1])}, BmcRefused),
        ({"GET /redfish/v1/": (302, None)}, BmcRefused),
        ({**PLAIN, "GET /redfish/v1/Systems/node-1": (200, {"Boot": 1})}, MalformedAnswer),
        ({}, BmcRefused),
    ],
)
async def test_whatever_is_answered_only_our_own_errors_come_out(
    answers: dict[str, tuple[int, object]], error: type[HttpBootError]
) -> None:
    async with Liar(answers) as address:
        with pytest.raises(error):
            await boot(address)


async def test_a_bmc_that_never_answers_is_given_up() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        with pytest.raises(BmcUnreachable, match="timed out"):
            await boot(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
