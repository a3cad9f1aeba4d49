"""Error bodies, as Redfish wants them."""

from __future__ import annotations

from ironic_httpboot.emulator.messages import error_body


def test_a_message_has_arguments_severity_resolution_and_where() -> None:
    body = error_body("PropertyValueNotInList", "Floppy", "Boot/Target", related=["#/Boot/Target"])["error"]
    (info,) = body["@Message.ExtendedInfo"]
    assert body["code"] == info["MessageId"] == "Base.1.18.PropertyValueNotInList"
    assert info["Message"].startswith("The value 'Floppy' for the property Boot/Target")
    assert info["MessageArgs"] == ["Floppy", "Boot/Target"]
    assert info["RelatedProperties"] == ["#/Boot/Target"]
    assert info["Severity"] == "Warning"
    assert info["Resolution"]


def test_a_vendors_message_keeps_its_own_registry() -> None:
    code = error_body("iLO.2.19.UnableToModifyDuringSystemPOST")["error"]["code"]
    assert code == "iLO.2.19.UnableToModifyDuringSystemPOST"
