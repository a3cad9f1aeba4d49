"""The emulator's service over real sockets, judged by curl."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import ClassVar

import pytest

from ironic_httpboot.emulator.chassis import Chassis
from ironic_httpboot.emulator.serve import Emulator, Settings
from ironic_httpboot.emulator.state import Enabled, Kept, Override, Reset, Target
from ironic_httpboot.errors import HostError
from kit.hardware import Relay
from kit.judges import judge
from kit.lab import machine


def settings(folder: Path, port: int = 0) -> Settings:
    return Settings(machines=[machine("node-1")], state=folder, port=port)


@pytest.fixture
async def emulator(tmp_path: Path) -> AsyncIterator[Emulator]:
    async with Emulator(settings(tmp_path), install=Relay) as running:
        yield running


async def curl(*arguments: str) -> str:
    return (await asyncio.to_thread(judge, "curl", "-sS", *arguments)).decode()


async def test_curl_walks_from_the_root_to_the_machine(emulator: Emulator) -> None:
    root = json.loads(await curl(f"{emulator.url}/redfish/v1/"))
    systems = json.loads(await curl(emulator.url + root["Systems"]["@odata.id"]))
    (member,) = systems["Members"]
    system = json.loads(await curl(emulator.url + member["@odata.id"]))
    assert (system["Id"], system["PowerState"]) == ("node-1", "Off")


async def test_a_head_has_the_headers_of_a_get(emulator: Emulator) -> None:
    got = await curl("-D-", "-o/dev/null", f"{emulator.url}/redfish/v1/Systems/node-1")
    head = await curl("-I", f"{emulator.url}/redfish/v1/Systems/node-1")
    assert "ETag:" in head
    assert "OData-Version: 4.0" in head
    assert [line for line in head.splitlines() if not line.startswith("Date")] == [
        line for line in got.splitlines() if not line.startswith("Date")
    ]


async def test_no_page_of_another_site_speaks_to_it(emulator: Emulator) -> None:
    system = f"{emulator.url}/redfish/v1/Systems/node-1"
    change = ("-X", "PATCH", "--data-binary", '{"Boot": {"BootSourceOverrideEnabled": "Once"}}', "-w%{http_code}")
    assert "403" in await curl(*change, "-H", "Origin: http://elsewhere.example", system)
    assert emulator.hardware("node-1").state.override == Override()
    assert "403" not in await curl("-w%{http_code}", "-H", f"Origin: {emulator.url}", system)


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "[1",
        "x" * 2_000_000,
        "[" * 200_000,
        "[" * 200_000 + "]" * 200_000,
        '{"Boot": ' + "[" * 900 + "]" * 900 + "}",
        '{"Boot": {"BootOrder": ' + "[" * 31 + "]" * 31 + "}}",
    ],
    ids=["object", "array", "long", "deep", "deep and whole", "less deep", "not so deep"],
)
async def test_a_body_that_is_no_json_too_long_or_too_deep_is_refused(
    emulator: Emulator, tmp_path: Path, body: str
) -> None:
    (tmp_path / "body").write_text(body)
    said = await curl("-X", "PATCH", "--data-binary", f"@{tmp_path}/body", f"{emulator.url}/redfish/v1/Systems/node-1")
    assert "MalformedJSON" in said


class Stubborn(Relay):
    """Hardware that was left on, of which node-2 cannot be found again. stopped: which were switched off."""

    stopped: ClassVar[list[str]] = []
    trouble: ClassVar[BaseException]

    async def resume(self) -> None:
        if self.state.id == "node-2":
            raise self.trouble

    async def stop(self) -> None:
        self.stopped.append(self.state.id)
        if self.state.id == "node-0":
            raise HostError("node-0 does not stop")


@pytest.mark.parametrize("trouble", [OSError(), asyncio.CancelledError(), HostError("QEMU")], ids=repr)
async def test_an_emulator_that_does_not_come_up_leaves_no_machine_on(tmp_path: Path, trouble: BaseException) -> None:
    Stubborn.trouble = trouble
    Stubborn.stopped.clear()
    three = Settings(machines=[machine("node-1"), machine("node-2"), machine("node-3")], state=tmp_path, port=0)
    with pytest.raises(type(trouble)):
        await Emulator(three, install=Stubborn).start()
    assert Stubborn.stopped == ["node-1", "node-2"]
    async with Emulator(settings(tmp_path), install=Relay):
        pass  # the folder is free again


async def test_a_machine_that_does_not_stop_holds_up_no_other(tmp_path: Path) -> None:
    Stubborn.stopped.clear()
    two = Emulator(Settings(machines=[machine("node-0"), machine("node-1")], state=tmp_path, port=0), install=Stubborn)
    await two.start()
    with pytest.raises(HostError, match="node-0 does not stop"):
        await two.stop()
    assert Stubborn.stopped == ["node-0", "node-1"]
    async with Emulator(settings(tmp_path), install=Relay):
        pass  # the folder is free again


class Faulty(Relay):
    """Hardware with a bug in it."""

    async def reset(self, kind: Reset) -> None:
        raise ZeroDivisionError(kind)


async def test_a_bug_is_logged_and_whoever_asked_hears_of_it_as_redfish_has_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Emulator(settings(tmp_path), install=Faulty) as running:
        system = f"{running.url}/redfish/v1/Systems/node-1"
        reset = f"{system}/Actions/ComputerSystem.Reset"
        said = json.loads(await curl("--json", '{"ResetType": "On"}', reset))
        assert said["error"]["code"].endswith("InternalError")
        assert "ZeroDivisionError" in caplog.text
        assert json.loads(await curl(system))["PowerState"] == "Off", "the service goes on"


async def test_a_uri_that_fits_into_no_boot_entry_is_refused(emulator: Emulator, tmp_path: Path) -> None:
    boot = {"HttpBootUri": "http://h/" + "a" * 70_000}
    (tmp_path / "body").write_text(json.dumps({"Boot": boot}))
    system = f"{emulator.url}/redfish/v1/Systems/node-1"
    said = json.loads(await curl("-X", "PATCH", "--json", f"@{tmp_path}/body", system))
    (info,) = said["error"]["@Message.ExtendedInfo"]
    assert (info["MessageId"], info["RelatedProperties"]) == ("Base.1.18.StringValueTooLong", ["#/Boot/HttpBootUri"])
    assert json.loads(await curl(system))["Boot"]["HttpBootUri"] is None


async def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(HostError) as failure:
            await Emulator(settings(tmp_path, port), install=Relay).start()
    assert failure.value.message == f"listen on 127.0.0.1:{port} → Address already in use"
    assert failure.value.hint == "another program listens there; give another port"


@pytest.mark.parametrize("host", ["a" * 80, "nowhere.invalid", "192.0.2.1"])
async def test_a_host_that_is_not_this_ones_is_named_with_what_to_do(tmp_path: Path, host: str) -> None:
    wrong = Settings(machines=[machine("node-1")], state=tmp_path, port=0, host=host)
    with pytest.raises(HostError, match=f"listen on {host}:0 → ") as failure:
        await Emulator(wrong, install=Relay).start()
    assert failure.value.hint


async def test_two_emulators_do_not_share_a_folder(emulator: Emulator, tmp_path: Path) -> None:
    other = Emulator(settings(tmp_path), install=Relay)
    with pytest.raises(HostError, match="another emulator runs on this folder"):
        await other.start()
    await other.stop()
    assert "node-1" in await curl(f"{emulator.url}/redfish/v1/Systems")


async def test_an_override_is_there_after_a_restart(tmp_path: Path) -> None:
    override = Override(enabled=Enabled.ONCE, target=Target.UEFI_HTTP, uri="http://192.0.2.1/x.iso")
    async with Emulator(settings(tmp_path)) as first:
        first.hardware("node-1").remember(Kept(override=override))
    async with Emulator(settings(tmp_path)) as second:
        assert isinstance(second.hardware("node-1"), Chassis)
        assert second.hardware("node-1").state.override == override


async def test_a_damaged_state_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "node-1").mkdir()
    (tmp_path / "node-1" / "state.json").write_text("{")
    with pytest.raises(HostError, match=r"state\.json: cannot be read") as failure:
        await Emulator(settings(tmp_path)).start()
    assert failure.value.hint == "remove it"


async def test_a_certificate_that_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_text("no certificate")
    bad = Settings(machines=[machine("node-1")], state=tmp_path, port=0, certificate=tmp_path / "bad.pem")
    with pytest.raises(HostError, match=r"bad\.pem: loaded as certificate"):
        await Emulator(bad, install=Relay).start()
