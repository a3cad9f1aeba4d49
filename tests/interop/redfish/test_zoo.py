"""Our client against every BMC that the emulator can be: boot, boot twice, clear, probe, and a boot cut short."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ironic_httpboot.emulator.personalities import PERSONALITIES
from ironic_httpboot.emulator.serve import Emulator, Settings
from ironic_httpboot.emulator.state import Target
from ironic_httpboot.errors import BmcError, BmcRefused, OverrideNotTaken
from ironic_httpboot.events import Event, Reached, Stage
from ironic_httpboot.model import BootUrl
from ironic_httpboot.redfish import Capability, Credentials, Limits, Place, Transport, boot, clear, probe
from ironic_httpboot.redfish.session import Bmc
from kit.hardware import Relay
from kit.lab import ACCOUNT, machine

URL = BootUrl.parse("http://192.0.2.1:8080/s3cr3t/x.iso")
OTHER_URL = BootUrl.parse("http://192.0.2.1:8080/s3cr3t/y.iso")
WHO = Credentials(username=ACCOUNT.username, password=ACCOUNT.password)
REFUSES: dict[str, tuple[type[BmcError], str]] = {
    "openbmc": (BmcRefused, "not UefiHttp"),
    "lenovo": (BmcRefused, "not UefiHttp"),
    "liar-204": (OverrideNotTaken, "reading it back"),
}
PLACES = {
    **dict.fromkeys(("settings", "ami-sd"), Place.SETTINGS),
    **dict.fromkeys(("hpe", "dell"), Place.BIOS),
    **dict.fromkeys(("lenovo", "openbmc"), Place.NOWHERE),
}
BOOTING = sorted(PERSONALITIES.keys() - REFUSES.keys())


async def run(name: str, folder: Path, ask: Callable[[Transport], Any]) -> tuple[Any, Relay]:
    """Do something with a machine of one kind; return what came of it and its hardware. No session is left."""

    def within(url: str) -> Any:
        with Transport(url, limits=Limits(answer_seconds=5)) as transport:
            return ask(transport)

    settings = Settings(machines=[machine("node-1", personality=name)], state=folder, port=0, account=ACCOUNT)
    async with Emulator(settings, install=Relay) as emulator:
        try:
            said = await asyncio.to_thread(within, emulator.url)
        finally:
            assert emulator._state.sessions == ()
        hardware = emulator.hardware("node-1")
        assert isinstance(hardware, Relay)
        return said, hardware


class Abort(Exception):
    """The operator's power cut."""


def abort_when_read_back(event: Event) -> None:
    if isinstance(event, Reached) and event.stage is Stage.READ_BACK:
        raise Abort


def switch_on(bmc: Transport) -> None:
    """Reset by a request of its own, as another client would."""
    with Bmc(bmc, WHO) as session:
        session.post("/redfish/v1/Systems/node-1/Actions/ComputerSystem.Reset", {"ResetType": "On"})


def http_boots(hardware: Relay) -> list[str]:
    return [each.uri for each in hardware.boots if each.target is Target.UEFI_HTTP]


@pytest.mark.parametrize("name", sorted(PERSONALITIES))
async def test_a_probe_finds_where_the_url_goes(name: str, tmp_path: Path) -> None:
    found, hardware = await run(name, tmp_path, lambda bmc: probe(bmc, credentials=WHO))
    assert isinstance(found, Capability)
    assert found.place is PLACES.get(name, Place.SYSTEM)
    assert found.boots_urls is (found.place is not Place.NOWHERE)
    assert hardware.boots == []


@pytest.mark.parametrize("name", BOOTING)
async def test_it_boots_the_url_and_again_when_asked_again(name: str, tmp_path: Path) -> None:
    def twice(bmc: Transport) -> None:
        boot(bmc, URL, credentials=WHO)
        boot(bmc, URL, credentials=WHO)

    _, hardware = await run(name, tmp_path, twice)
    assert http_boots(hardware) == [URL.text] * 2


@pytest.mark.parametrize("name", BOOTING)
async def test_what_was_booted_is_taken_back(name: str, tmp_path: Path) -> None:
    def there_and_back(bmc: Transport) -> int:
        boot(bmc, URL, credentials=WHO)
        clear(bmc, credentials=WHO)
        return len(clear(bmc, credentials=WHO).steps)

    left, hardware = await run(name, tmp_path, there_and_back)
    assert left == 0, "there is nothing left to take back"
    assert http_boots(hardware) == [URL.text]
    kept = hardware.state.kept
    assert URL.text not in (kept.pending.uri if kept.pending else kept.override.uri)


@pytest.mark.parametrize("name", sorted(set(BOOTING) - {"supermicro", "slow"}))
async def test_what_was_set_and_not_yet_booted_is_taken_back_and_never_booted(name: str, tmp_path: Path) -> None:
    def there_and_back(bmc: Transport) -> int:
        boot(bmc, URL, credentials=WHO, reset=False)
        clear(bmc, credentials=WHO)
        left = len(clear(bmc, credentials=WHO).steps)
        switch_on(bmc)
        return left

    left, hardware = await run(name, tmp_path, there_and_back)
    assert left == 0, "there is nothing left to take back"
    assert len(hardware.boots) == 1
    assert http_boots(hardware) == []
    assert "http://" not in str((hardware.state.kept.override, hardware.state.kept.bios, hardware.state.kept.pending))


async def test_a_job_that_waits_stands_in_the_way_of_another_url_until_it_is_taken_back(tmp_path: Path) -> None:
    def twice(bmc: Transport) -> None:
        boot(bmc, URL, credentials=WHO, reset=False)
        with pytest.raises(BmcRefused, match="409") as failure:
            boot(bmc, OTHER_URL, credentials=WHO)
        assert "httpboot clear" in str(failure.value.hint)
        clear(bmc, credentials=WHO)
        boot(bmc, OTHER_URL, credentials=WHO)

    _, hardware = await run("dell", tmp_path, twice)
    assert http_boots(hardware) == [OTHER_URL.text]


@pytest.mark.parametrize("name", BOOTING)
async def test_a_boot_that_ended_half_way_is_done_again_as_a_whole(name: str, tmp_path: Path) -> None:
    def half(bmc: Transport) -> None:
        with pytest.raises(Abort):
            boot(bmc, URL, credentials=WHO, on_event=abort_when_read_back)
        boot(bmc, URL, credentials=WHO)

    _, hardware = await run(name, tmp_path, half)
    assert http_boots(hardware) == [URL.text]


@pytest.mark.parametrize("name", sorted(REFUSES))
async def test_what_cannot_boot_a_url_says_so_and_is_not_reset(name: str, tmp_path: Path) -> None:
    kind, said = REFUSES[name]

    def refused(bmc: Transport) -> None:
        for _ in range(2):
            with pytest.raises(kind, match=said) as failure:
                boot(bmc, URL, credentials=WHO)
            assert failure.value.hint
        assert clear(bmc, credentials=WHO).steps == (), "nothing was left behind"

    _, hardware = await run(name, tmp_path, refused)
    assert hardware.boots == []
    assert "http://" not in str((hardware.state.kept.override, hardware.state.kept.bios, hardware.state.kept.pending))
