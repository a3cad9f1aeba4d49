"""Redfish answers as values: what is read, and how what cannot be read is named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironic_httpboot.errors import MalformedAnswer
from ironic_httpboot.redfish.resources import (
    Json,
    Progress,
    Resource,
    error_of,
    message_ids,
    read_bios,
    read_job,
    read_root,
    read_settings,
    read_system,
    read_task,
    related,
)


def resource(body: Json, path: str = "/redfish/v1/Systems/1") -> Resource:
    return Resource(path=path, etag='"1"', body=body)


SYSTEM = {
    "Id": "1",
    "Manufacturer": "Contoso",
    "Model": "X1",
    "PowerState": "Off",
    "Oem": {"Contoso": {}},
    "BootProgress": {"LastState": "OSRunning", "LastStateTime": "2026-11-01T10:00:00Z"},
    "Bios": {"@odata.id": "/bios"},
    "@Redfish.Settings": {"SettingsObject": {"@odata.id": "/sd"}},
    "Boot": {
        "BootSourceOverrideEnabled@Redfish.AllowableValues": ["Disabled", "Once"],
        "BootSourceOverrideTarget@Redfish.AllowableValues": ["None", "UefiHttp", 7],
        "HttpBootUri": None,
        "Certificates": {"@odata.id": "/certificates"},
    },
    "Actions": {"#ComputerSystem.Reset": {"target": "/reset", "ResetType@Redfish.AllowableValues": ["On"]}},
}


def test_a_system_is_read() -> None:
    system = read_system(resource(SYSTEM))
    assert (system.id, system.manufacturer, system.model, system.power) == ("1", "Contoso", "X1", "Off")
    assert (system.settings, system.bios, system.certificates) == ("/sd", "/bios", "/certificates")
    assert system.oem == ("Contoso",)
    assert system.progress == Progress(state="OSRunning", since="2026-11-01T10:00:00Z")
    assert system.enableds == ("Disabled", "Once")
    assert system.targets == ("None", "UefiHttp"), "what is no string cannot be a value"
    assert (system.reset_path, system.reset_types) == ("/reset", ("On",))


def test_what_a_bmc_does_not_say_is_unknown_not_refused() -> None:
    system = read_system(resource({"Boot": {}}))
    assert (system.targets, system.reset_types, system.power, system.reset_path) == (None, None, None, None)
    assert system.id == "1", "the path names it where the resource does not"
    assert (system.enableds, system.progress, system.settings, system.bios) == (None, None, None, None)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "/redfish/v1/Systems/1: Boot is missing"),
        ({"Boot": []}, r"/redfish/v1/Systems/1: Boot is a list, not an object"),
        ({"Boot": {}, "PowerState": 1}, "PowerState is a number, not a string"),
        ({"Boot": {"BootSourceOverrideTarget@Redfish.AllowableValues": "Pxe"}}, "Boot/BootSource.*not a list"),
        ({"Boot": {}, "Actions": {"#ComputerSystem.Reset": 1}}, "Actions/#ComputerSystem.Reset is a number"),
        ({"Boot": {}, "Bios": "/bios"}, "Bios is a string, not an object"),
        ({"Boot": {}, "@Redfish.Settings": {"SettingsObject": {}}}, "@Redfish.Settings/SettingsObject/@odata.id"),
        ({"Boot": {}, "BootProgress": {"LastState": 3}}, "BootProgress/LastState is a number"),
        ({"Boot": {"Certificates": {}}}, "Boot/Certificates/@odata.id is missing"),
    ],
)
def test_what_cannot_be_read_is_named_by_resource_and_attribute(body: Json, said: str) -> None:
    with pytest.raises(MalformedAnswer, match=said):
        read_system(resource(body))


def test_the_root_says_where_systems_and_sessions_are() -> None:
    root = read_root(
        resource({"Systems": {"@odata.id": "/s"}, "Links": {"Sessions": {"@odata.id": "/l"}}}, "/redfish/v1/")
    )
    assert (root.systems, root.sessions) == ("/s", "/l")
    assert read_root(resource({"Systems": {"@odata.id": "/s"}})).sessions is None


@pytest.mark.parametrize("body", [{}, {"Systems": {}}, {"Systems": "/s"}, {"Systems": {"@odata.id": 1}}])
def test_a_root_without_systems_is_refused(body: Json) -> None:
    with pytest.raises(MalformedAnswer, match="Systems"):
        read_root(resource(body))


def test_settings_and_bios_are_read() -> None:
    settings = read_settings(resource(SYSTEM, "/sd"))
    assert (settings.path, settings.targets, settings.boot["HttpBootUri"]) == ("/sd", ("None", "UefiHttp"), None)
    assert read_settings(resource({})).boot == {}
    link = {"SettingsObject": {"@odata.id": "/bios/settings"}}
    bios = read_bios(resource({"Attributes": {"UrlBootFile": ""}, "@Redfish.Settings": link}))
    assert (bios.attributes, bios.settings) == ({"UrlBootFile": ""}, "/bios/settings")
    assert read_bios(resource({})).settings is None


def test_a_task_tells_its_state_as_far_as_it_does() -> None:
    body = {"TaskState": "Exception", "TaskStatus": "Critical", "Messages": [{"Message": "no"}]}
    task = read_task(body)
    assert (task.state, task.status, task.said) == ("Exception", "Critical", "no")
    assert read_task(None).state == read_task({"Messages": [1]}).said == ""


def test_members_of_a_collection_are_paths() -> None:
    assert resource({"Members": [{"@odata.id": "/a"}, {"@odata.id": "/b"}]}).members() == ("/a", "/b")
    bodies: tuple[Json, ...] = ({}, {"Members": {}}, {"Members": ["/a"]}, {"Members": [{}]})
    for bad in bodies:
        with pytest.raises(MalformedAnswer, match="Members"):
            resource(bad).members()


def test_an_errors_first_message_is_found() -> None:
    info = {"MessageId": "Base.1.18.PropertyNotWritable", "Message": "HttpBootUri is read-only."}
    body = {"error": {"code": "Base.1.18.GeneralError", "message": "See.", "@Message.ExtendedInfo": [info]}}
    assert error_of(body) == ("PropertyNotWritable", "HttpBootUri is read-only.")
    assert error_of({"error": {"code": "Base.1.18.GeneralError", "message": "See."}}) == ("GeneralError", "See.")
    assert message_ids(body) == ("PropertyNotWritable",)
    assert message_ids([]) == ()


def test_a_success_among_an_errors_messages_is_not_its_reason() -> None:
    infos = [{"MessageId": "Base.1.5.Success"}, {"MessageId": "IDRAC.2.1.SYS403", "Message": "no such thing"}]
    assert error_of({"error": {"@Message.ExtendedInfo": infos}}) == ("SYS403", "no such thing")


_NAMES = [
    "Systems",
    "Links",
    "Sessions",
    "@odata.id",
    "Boot",
    "Actions",
    "#ComputerSystem.Reset",
    "target",
    "Id",
    "Members",
    "error",
    "message",
    "code",
    "@Message.ExtendedInfo",
    "MessageId",
    "Message",
    "BootSourceOverrideTarget@Redfish.AllowableValues",
    "@Redfish.Settings",
    "SettingsObject",
    "BootProgress",
    "LastState",
    "Bios",
    "Attributes",
    "Oem",
    "TaskState",
]
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=4),
    max_leaves=12,
)


@given(_json)
def test_any_json_is_read_or_malformed(body: object) -> None:
    task = read_task(body)
    assert all(isinstance(each, str) for each in (*error_of(body), *message_ids(body), task.state, task.said))
    if not isinstance(body, dict):
        return
    for read in (read_root, read_system, read_settings, read_bios, Resource.members):
        try:
            read(resource(body))
        except MalformedAnswer as error:
            assert "/redfish/v1/Systems/1" in error.message


@pytest.mark.parametrize("where", ["https://elsewhere.example/x", "//elsewhere.example/", "", "Systems"])
def test_a_link_that_leads_off_the_bmc_is_refused(where: str) -> None:
    link = {"@odata.id": where}
    with pytest.raises(MalformedAnswer, match=r"Systems/@odata.id is .*, not a path"):
        read_root(resource({"Systems": link}))
    with pytest.raises(MalformedAnswer, match=r"Members/0/@odata.id is .*, not a path"):
        resource({"Members": [link]}).members()
    if where:
        with pytest.raises(MalformedAnswer, match=r"Actions/#ComputerSystem.Reset/target is .*, not a path"):
            read_system(resource({"Boot": {}, "Actions": {"#ComputerSystem.Reset": {"target": where}}}))


def test_an_error_tells_which_attributes_it_is_about() -> None:
    infos = [{"RelatedProperties": ["#/Boot/HttpBootUri", 7]}, {"RelatedProperties": "x"}, {}]
    assert related({"error": {"@Message.ExtendedInfo": infos}}) == ("Boot/HttpBootUri",)
    assert related(None) == related({"error": []}) == ()


def test_a_system_says_by_whom_it_is_managed_and_a_job_what_it_is() -> None:
    links = {"ManagedBy": [{"@odata.id": "/managers/1"}, {"@odata.id": "/managers/2"}]}
    assert read_system(resource({"Boot": {}, "Links": links})).manager == "/managers/1"
    assert read_system(resource({"Boot": {}, "Links": {"ManagedBy": []}})).manager is None
    job = read_job(resource({"JobState": "Scheduled", "JobType": "BIOSConfiguration"}, "/jobs/1"))
    assert (job.path, job.state, job.kind) == ("/jobs/1", "Scheduled", "BIOSConfiguration")
