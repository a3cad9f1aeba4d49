"""Virtual media: what is asked for becomes an effect, what cannot be fetched is refused."""

from __future__ import annotations

import pytest

from ironic_httpboot.emulator.state import EjectMedium, InsertMedium
from kit.bmc import ask, message_id, one

INSERT = "/redfish/v1/{}/a/VirtualMedia/Cd/Actions/VirtualMedia.InsertMedia"
EJECT = "/redfish/v1/{}/a/VirtualMedia/Cd/Actions/VirtualMedia.EjectMedia"


@pytest.mark.parametrize("owner", ["Systems", "Managers"])
def test_the_drive_is_below_system_and_manager(owner: str) -> None:
    outcome = ask(one("standard"), "POST", INSERT.format(owner), {"Image": "http://h/x.iso"})
    assert outcome.effects == (InsertMedium(system_id="a", image="http://h/x.iso"),)
    assert ask(one("standard"), "POST", EJECT.format(owner), {}).effects == (EjectMedium(system_id="a"),)


@pytest.mark.parametrize(
    ("personality", "body", "said"),
    [
        ("standard", {}, "ActionParameterMissing"),
        ("standard", {"Image": "ftp://h/x.iso"}, "ActionParameterValueFormatError"),
        ("standard", {"Image": "http://[::1"}, "ActionParameterValueFormatError"),
        ("standard", {"Image": 7}, "ActionParameterValueFormatError"),
        ("standard", {"Image": "http://h/x.iso", "WriteProtected": False}, "ActionParameterValueNotInList"),
        ("standard", {"Image": "http://h/x.iso", "Color": 1}, "ActionParameterNotSupported"),
        ("openbmc", {"Image": "http://h/x.iso"}, "ActionParameterValueFormatError"),
    ],
)
def test_what_it_refuses_it_names(personality: str, body: object, said: str) -> None:
    outcome = ask(one(personality), "POST", INSERT.format("Systems"), body)
    assert (outcome.answer.status, message_id(outcome.answer), outcome.effects) == (400, said, ())
