"""Where each kind of BMC keeps the URL, read from answers of its shape, and how many requests that takes."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironic_httpboot.errors import BmcRefused, MalformedAnswer
from ironic_httpboot.model import BootUrl
from ironic_httpboot.redfish import plan as plans
from ironic_httpboot.redfish.capability import Capability, Place, examine, find_job
from ironic_httpboot.redfish.resources import read_system
from ironic_httpboot.redfish.steps import Patch
from kit.mockups import NAMES, Mockup, mockup


def look(name: str, *, whole: bool = False, **changes: Any) -> tuple[Capability, Mockup]:
    bmc = mockup(name)
    system = read_system(bmc.read(bmc.system))
    return examine(bmc, replace(system, **changes), whole=whole), bmc


@pytest.mark.parametrize(
    ("name", "place", "path", "boots", "requests"),
    [
        ("standard", Place.SYSTEM, "", True, 1),
        ("bare", Place.SYSTEM, "", True, 1),
        ("settings", Place.SETTINGS, "/Settings", True, 2),
        ("ami-sd", Place.SETTINGS, "/SD", True, 2),
        ("supermicro", Place.SYSTEM, "", True, 1),
        ("hpe", Place.BIOS, "", True, 3),
        ("dell", Place.BIOS, "", True, 3),
        ("lenovo", Place.NOWHERE, "", False, 2),
        ("openbmc", Place.NOWHERE, "", False, 1),
    ],
)
def test_where_the_url_goes(name: str, place: Place, path: str, boots: bool, requests: int) -> None:
    found, bmc = look(name)
    assert found.quirk.name in (name, "standard")
    assert (found.place, found.override.path) == (place, bmc.system + path)
    assert found.boots_urls is boots
    assert len(bmc.asked) == requests, bmc.asked


def test_every_answer_that_is_written_down_is_looked_at() -> None:
    assert NAMES == ["ami-sd", "bare", "dell", "hpe", "lenovo", "openbmc", "settings", "standard", "supermicro"]


def test_of_two_lists_of_targets_the_union_holds() -> None:
    found, _ = look("settings")
    assert found.override.targets == ("None", "Pxe", "UefiHttp", "UefiTarget")
    assert found.offers_http


def test_missing_lists_are_unknown() -> None:
    found, _ = look("bare")
    assert found.override.targets is None
    assert found.offers_http


def test_where_there_is_no_link_the_rows_own_name_is_tried() -> None:
    found, bmc = look("ami-sd", settings=None)
    assert found.override.path == f"{bmc.system}/SD"


@pytest.mark.parametrize("maker", ["ASRockRack", "HPE", "Dell Inc.", "Nokia", "Lenovo"])
def test_what_a_system_shows_goes_before_what_its_maker_is_known_for(maker: str) -> None:
    found, bmc = look("standard", manufacturer=maker)
    assert (found.place, found.override.path, found.boots_urls) == (Place.SYSTEM, bmc.system, True)
    url = BootUrl.parse("http://192.0.2.1/x.iso")
    patch = plans.plan(found, url).steps[0]
    assert isinstance(patch, Patch)
    assert patch.values["HttpBootUri"] == url.text
    assert len(bmc.asked) <= 2, bmc.asked


def test_a_bmc_that_offers_http_and_takes_no_url_leaves_it_to_dhcp() -> None:
    found, _ = look("openbmc", targets=("None", "UefiHttp"))
    assert found.place is Place.DHCP
    assert not found.boots_urls


def test_pending_attributes_count_as_set() -> None:
    bmc = mockup("dell")
    bmc.resources[f"{bmc.system}/Bios/Settings"]["body"]["Attributes"]["HttpDev1EnDis"] = "Enabled"
    found = examine(bmc, read_system(bmc.read(bmc.system)))
    assert found.bios is not None
    assert found.bios.attributes == {"HttpDev1EnDis": "Enabled", "HttpDev1Uri": "", "HttpDev1TlsMode": "OneWay"}


def test_a_dell_without_these_attributes_is_read_as_any_other_bmc() -> None:
    bmc = mockup("dell")
    bmc.resources[f"{bmc.system}/Bios"]["body"]["Attributes"].clear()
    assert examine(bmc, read_system(bmc.read(bmc.system))).place is Place.DHCP


@pytest.mark.parametrize("name", ["lenovo", "supermicro"])
def test_a_whole_probe_finds_the_switch_that_is_off(name: str) -> None:
    found, _ = look(name, whole=True)
    (concern,) = found.concerns
    assert "IPv4HTTPSupport is 'Disabled', and must be Enabled" in concern
    assert look(name)[0].concerns == (), "a boot spends no request on it"


def test_supermicro_needs_a_boot_in_uefi_mode_until_it_offers_http() -> None:
    assert look("supermicro")[0].needs_uefi_first
    assert look("supermicro", boot={"BootSourceOverrideMode": "UEFI", "HttpBootUri": ""})[0].needs_uefi_first
    assert not look("supermicro", targets=("None", "UefiHttp"))[0].needs_uefi_first


@pytest.mark.parametrize(("name", "manner"), [("standard", "strong"), ("hpe", "weak"), ("dell", "none")])
def test_the_manner_of_its_etags(name: str, manner: str) -> None:
    assert look(name)[0].etags == manner


MANAGER, JOBS = "/redfish/v1/Managers/1", "/redfish/v1/Managers/1/Oem/Dell/Jobs"


def with_jobs(**jobs: tuple[str, str]) -> tuple[Capability, Mockup]:
    """A Dell on which attributes wait. jobs: state and type of each, in the order of the queue."""
    found, bmc = look("dell", manager=MANAGER)
    assert found.bios is not None
    queue: dict[str, Any] = {
        JOBS: {"etag": None, "body": {"Members": [{"@odata.id": f"{JOBS}/{id_}"} for id_ in jobs]}}
    }
    for id_, (state, kind) in jobs.items():
        queue[f"{JOBS}/{id_}"] = {"etag": None, "body": {"JobState": state, "JobType": kind}}
    bmc.asked.clear()
    waits = replace(found, bios=replace(found.bios, waiting=("HttpDev1Uri",)))
    return waits, Mockup(bmc.system, {**bmc.resources, **queue}, bmc.asked)


def test_the_job_that_waits_is_found_from_the_newest_on() -> None:
    done, firmware = ("Completed", "BIOSConfiguration"), ("Scheduled", "FirmwareUpdate")
    found, bmc = with_jobs(JID_1=done, JID_2=("Scheduled", "BIOSConfiguration"), JID_3=firmware)
    assert find_job(bmc, found) == f"{JOBS}/JID_2"
    assert bmc.asked == [JOBS, f"{JOBS}/JID_3", f"{JOBS}/JID_2"]
    found, bmc = with_jobs(JID_1=done, JID_3=firmware)
    assert find_job(bmc, found) is None


def test_a_job_on_a_later_page_of_the_queue_is_found() -> None:
    found, bmc = with_jobs(JID_1=("Completed", "BIOSConfiguration"), JID_2=("Scheduled", "BIOSConfiguration"))
    queue = bmc.resources[JOBS]["body"]
    later = {"etag": None, "body": {"Members": [queue["Members"].pop()]}}
    queue["Members@odata.nextLink"] = f"{JOBS}?$skip=1"
    paged = Mockup(bmc.system, {**bmc.resources, f"{JOBS}?$skip=1": later}, bmc.asked)
    assert find_job(paged, found) == f"{JOBS}/JID_2"


def test_no_job_is_looked_for_where_nothing_waits() -> None:
    found, bmc = with_jobs(JID_1=("Scheduled", "BIOSConfiguration"))
    assert found.bios is not None
    assert find_job(bmc, replace(found, bios=replace(found.bios, waiting=()))) is None
    assert bmc.asked == []


def attributes(body: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to all attributes of a resource."""
    inner = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    return [each for key, value in inner for each in [(*path, key), *attributes(value, (*path, key))]]


ALL = [
    (name, path, way)
    for name in NAMES
    for path, resource in mockup(name).resources.items()
    for way in attributes(resource["body"])
]
JUNK: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.text("a:") | st.just([]) | st.just({}) | st.just([[], 1])
)


@given(st.sampled_from(ALL), JUNK)
def test_one_attribute_of_another_kind_is_no_harm_or_named_with_its_resource(
    where: tuple[str, str, tuple[Any, ...]], junk: Any
) -> None:
    name, path, way = where
    bmc = mockup(name)
    changed = copy.deepcopy(bmc.resources[path]["body"])
    inner = changed
    for key in way[:-1]:
        inner = inner[key]
    inner[way[-1]] = junk
    broken = Mockup(bmc.system, {**bmc.resources, path: {"etag": None, "body": changed}}, [])
    try:
        found = examine(broken, read_system(broken.read(bmc.system)), whole=True)
        plans.clear(found)
        plans.plan(found, BootUrl.parse("http://192.0.2.1/x.iso"))
    except MalformedAnswer as error:
        assert error.message.startswith(f"{path}: "), error.message
        assert str(way[-1]) in error.message or "@odata.id is missing" in error.message, error.message
    except BmcRefused as error:
        assert error.message.startswith("/redfish/v1/Systems/"), error.message
        assert any(each in error.message for each in ("Boot/", "Boot has", "Actions/", "ResetType")), error.message
