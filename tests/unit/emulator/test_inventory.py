"""Boot entries, the NIC, Secure Boot: shown as the machine has them."""

from __future__ import annotations

from dataclasses import replace

from ironic_httpboot.emulator.state import BootOption
from kit.bmc import ask, message_id, one

A = "/redfish/v1/Systems/a"


def test_boot_entries_are_the_firmwares_own() -> None:
    option = BootOption(number="0900", name="HTTP boot (BMC)", path="0304", uri="http://h/x.iso")
    system = replace(one("standard").systems["a"], options=(option,), order=("0900",))
    state = replace(one("standard"), systems={"a": system})
    shown = ask(state, "GET", f"{A}/BootOptions/Boot0900").answer.body
    assert shown is not None
    assert (shown["DisplayName"], shown["Alias"]) == ("HTTP boot (BMC)", "UefiHttp")
    ordered = ask(state, "PATCH", A, {"Boot": {"BootOrder": ["Boot0900"]}})
    assert ordered.state.systems["a"].kept.boot_order == ("0900",)
    assert ask(state, "PATCH", A, {"Boot": {"BootOrder": ["Boot0001"]}}).answer.status == 400


def test_secure_boot_is_there_where_the_firmware_has_it_and_changes_at_the_next_start() -> None:
    assert ask(one("standard"), "GET", f"{A}/SecureBoot").answer.status == 404
    system = replace(one("standard").systems["a"], secure_boot=True)
    state = replace(one("standard"), systems={"a": system})
    changed = ask(state, "PATCH", f"{A}/SecureBoot", {"SecureBootEnable": False})
    assert changed.answer.body is not None
    assert (changed.answer.body["SecureBootEnable"], changed.answer.body["SecureBootCurrentBoot"]) == (False, "Enabled")
    refused = ask(state, "PATCH", f"{A}/SecureBoot", {"SecureBootMode": "SetupMode"}).answer
    assert message_id(refused) == "PropertyNotWritable"
