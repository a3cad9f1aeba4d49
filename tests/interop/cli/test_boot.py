"""The commands that ask a BMC: boot, probe, clear, each a process of its own, against machines that switch at once."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ironic_httpboot.emulator.serve import Emulator, Settings
from ironic_httpboot.emulator.state import Override
from kit.commands import Running, httpboot
from kit.hardware import Relay
from kit.lab import ACCOUNT, machine
from kit.mockups import Obliging
from kit.scripted import Asked, Say, ScriptedBmc

URL = "http://192.0.2.1:8080/s3cr3t/x.iso"


@pytest.fixture
async def emulator(tmp_path: Path) -> AsyncIterator[Emulator]:
    settings = Settings(machines=[machine("node-1")], state=tmp_path / "bmc", port=0, account=ACCOUNT)
    async with Emulator(settings, install=Relay) as running:
        yield running


async def ask(emulator: Emulator, *arguments: str | Path, code: int = 0) -> str:
    environment = {
        "HTTPBOOT_BMC": emulator.url,
        "HTTPBOOT_BMC_USERNAME": ACCOUNT.username,
        "HTTPBOOT_BMC_PASSWORD": ACCOUNT.password,
    }
    printed = await asyncio.to_thread(httpboot, *arguments, code=code, environment=environment)
    assert "s3cr3t" not in printed
    assert ACCOUNT.password not in printed
    return printed


async def test_a_plan_is_shown_in_words_with_what_would_take_it_back(emulator: Emulator) -> None:
    said = await ask(emulator, "boot", URL, "--dry-run")
    assert "1. PATCH /redfish/v1/Systems/node-1 if it is still" in said
    assert "HttpBootUri = http://192.0.2.1:8080/…/x.iso" in said
    assert "3. POST /redfish/v1/Systems/node-1/Actions/ComputerSystem.Reset: On" in said
    assert "httpboot clear would take it back" in said
    data = json.loads(await ask(emulator, "boot", URL, "--dry-run", "--json"))
    assert data["done"] is False
    assert [step["method"] for step in data["steps"]] == ["PATCH", "GET", "POST"]
    assert data["undo"][0]["body"]["Boot"]["BootSourceOverrideEnabled"] == "Disabled"
    assert emulator.hardware("node-1").state.override == Override()


async def test_what_boot_sets_clear_takes_back_and_does_so_once(emulator: Emulator) -> None:
    await ask(emulator, "--verbose", "boot", URL, "--no-reset")
    assert emulator.hardware("node-1").state.override.uri == URL
    assert "boots as it always does" in await ask(emulator, "clear")
    assert emulator.hardware("node-1").state.override == Override()
    assert "there was nothing to take back" in await ask(emulator, "clear")
    assert json.loads(await ask(emulator, "clear", "--json"))["steps"] == []


async def test_a_probe_says_where_the_url_goes(emulator: Emulator) -> None:
    said = await ask(emulator, "probe")
    assert "url goes to: system" in said
    assert "boots urls: yes" in said
    data = json.loads(await ask(emulator, "probe", "--json"))
    assert (data["system"], data["power"], data["etags"]) == ("node-1", "Off", "strong")
    assert "UefiHttp" in data["override_targets"]


async def test_waiting_ends_at_its_stage_or_says_how_far_it_came(emulator: Emulator, tmp_path: Path) -> None:
    assert "power on On: PowerState is On" in await ask(emulator, "boot", URL, "--wait", "power-on")
    log = tmp_path / "served.jsonl"
    log.write_text("")
    said = await ask(emulator, "boot", URL, "--wait", "get", "--wait-seconds", "1", "--events", log, code=5)
    assert "waited for 'GET'; the machine did not come to it in 1 s, and came as far as 'power on'" in said


async def test_what_cannot_be_waited_for_is_said_before_anything_is_sent(emulator: Emulator, tmp_path: Path) -> None:
    assert "there are power-on, head, get" in await ask(emulator, "boot", URL, "--wait", "tea", code=2)
    assert "only one" in await ask(emulator, "boot", URL, "--wait", "get", "--no-reset", code=2)
    await ask(emulator, "boot", URL, "--wait", "get", "--events", tmp_path / "none", code=2)
    assert emulator.hardware("node-1").state.override == Override()


REQUESTS = ["GET root", "POST login", "GET system", "PATCH", "GET again", "POST reset", "GET power", "DELETE session"]


@pytest.mark.parametrize("point", range(len(REQUESTS)), ids=REQUESTS)
def test_ctrl_c_at_any_point_leaves_no_session(point: int) -> None:
    obliging, sessions = Obliging("standard"), list[str]()

    def answer(asked: Asked) -> Say:
        if len(bmc.asked) == point + 1:
            command.process.send_signal(signal.SIGINT)
            bmc.wait_seconds(0.5)
        if asked.path == "/redfish/v1/":
            links = {"Sessions": {"@odata.id": "/sessions"}}
            return Say(200, {"Systems": {"@odata.id": "/redfish/v1/Systems"}, "Links": links})
        if asked.path == "/sessions":
            sessions.append("/sessions/1")
            return Say(201, {}, {"X-Auth-Token": "t0ken", "Location": "/sessions/1"})
        if asked.method == "DELETE":
            sessions.remove(asked.path)
            return Say(204)
        return obliging(asked)

    with ScriptedBmc(answer) as bmc:
        who = {"HTTPBOOT_BMC_USERNAME": "operator", "HTTPBOOT_BMC_PASSWORD": "correct horse"}
        arguments = ("boot", URL, "--bmc", bmc.url, "--system", obliging.system)
        with Running(*arguments, environment=who) as command:
            assert command.end() == 130
    # By now the BMC has answered all that it was asked, also what nobody waits for any more.
    assert "interrupted" in command.printed
    assert "Traceback" not in command.printed
    assert sessions == []
    assert len(bmc.said("POST", "/sessions")) == (1 if point else 0)
