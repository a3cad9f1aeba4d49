"""Redfish answers as values: what is read, and how what cannot be read is named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironic_httpboot.errors import MalformedAnswer
from ironic_httpboot.redfish.resources import Json, Resource, error_of, read_root, read_system


def resource(body: Json, path: str = "/redfish/v1/Systems/1") -> Resource:
    return Resource(path=path, etag='"1"', body=body)


SYSTEM = {
    "Id": "1",
    "Manufacturer": "Contoso",
    "Model": "X1",
    "PowerState": "Off",
    "Boot": {"BootSourceOverrideTarget@Redfish.AllowableValues": ["None", "UefiHttp", 7], "HttpBootUri": None},
    "Actions": {"#ComputerSystem.Reset": {"target": "/reset", "ResetType@Redfish.AllowableValues": ["On"]}},
}


def test_a_system_is_read() -> None:
    system = read_system(resource(SYSTEM))
    assert (system.id, system.model, system.power) == ("1", "Contoso X1", "Off")
    assert system.targets == ("None", "UefiHttp"), "what is no string cannot be a value"
    assert system.takes_uri, "a property that is null is there"
    assert (system.reset_path, system.reset_types) == ("/reset", ("On",))


def test_what_a_bmc_does_not_say_is_unknown_not_refused() -> None:
    system = read_system(resource({"Boot": {}}))
    assert (system.targets, system.reset_types, system.power, system.reset_path) == (None, None, None, None)
    assert system.id == "1", "the path names it where the resource does not"
    assert not system.takes_uri


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "/redfish/v1/Systems/1: Boot is missing"),
        ({"Boot": []}, r"/redfish/v1/Systems/1: Boot is \[\], not an object"),
        ({"Boot": {}, "PowerState": 1}, "PowerState is 1, not a string"),
        ({"Boot": {"BootSourceOverrideTarget@Redfish.AllowableValues": "Pxe"}}, "Boot/BootSource.*not a list"),
        ({"Boot": {}, "Actions": {"#ComputerSystem.Reset": 1}}, "Actions/#ComputerSystem.Reset is 1"),
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
]
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=4),
    max_leaves=12,
)


@given(_json)
def test_any_json_is_read_or_malformed(body: object) -> None:
    assert all(isinstance(each, str) for each in error_of(body))
    if not isinstance(body, dict):
        return
    for read in (read_root, read_system, Resource.members):
        try:
            read(resource(body))
        except MalformedAnswer as error:
            assert "/redfish/v1/Systems/1" in error.message
