"""The computer system and its settings object: what they show, what of them may be changed, how a system is reset.

Knows `ComputerSystem` and `Settings` (DSP2046, DSP0266 §9.10). Refuses to know boot entries and machines.
"""

from __future__ import annotations

from dataclasses import replace

from ironic_httpboot.emulator import etags, overrides
from ironic_httpboot.emulator.kept import Kept, Override
from ironic_httpboot.emulator.personalities import Place
from ironic_httpboot.emulator.state import (
    ROOT,
    Answer,
    Call,
    Json,
    Outcome,
    Refusal,
    Reset,
    ResetMachine,
    SystemState,
    collection,
)

_TYPE = "#ComputerSystem.v1_22_0.ComputerSystem"


def members(call: Call) -> Outcome:
    """GET the collection."""
    return call.answer(200, collection(f"{ROOT}/Systems", "ComputerSystem", call.state.systems))


def read(call: Call) -> Outcome:
    """GET one system."""
    return call.answer(200, _system_body(call.system))


def _system_body(system: SystemState) -> Json:
    path, manners = system.path, system.personality
    boot = overrides.show(system, manners.system, system.override)
    boot["BootOptions"] = {"@odata.id": f"{path}/BootOptions"}
    if manners.certificates:
        boot["Certificates"] = {"@odata.id": f"{path}/Boot/Certificates"}
    body = {
        "@odata.id": path,
        "@odata.type": _TYPE,
        "Id": system.id,
        "Name": system.id,
        "SystemType": "Virtual",
        "Manufacturer": manners.manufacturer,
        "Model": f"QEMU {system.arch}",
        "UUID": system.uuid,
        "PowerState": system.power.value,
        "Status": {"State": "Enabled", "Health": "OK"},
        "MemorySummary": {"TotalSystemMemoryGiB": system.memory_mib / 1024},
        "BootProgress": {"LastState": system.progress},
        "Boot": boot,
        "EthernetInterfaces": {"@odata.id": f"{path}/EthernetInterfaces"},
        "VirtualMedia": {"@odata.id": f"{path}/VirtualMedia"},
        "Actions": {
            "#ComputerSystem.Reset": {
                "target": f"{path}/Actions/ComputerSystem.Reset",
                "ResetType@Redfish.AllowableValues": [each.value for each in Reset],
            }
        },
        "Links": {"ManagedBy": [{"@odata.id": f"{ROOT}/Managers/{system.id}"}]},
    }
    if manners.bios:
        body["Bios"] = {"@odata.id": f"{path}/Bios"}
    if system.secure_boot is not None:
        body["SecureBoot"] = {"@odata.id": f"{path}/SecureBoot"}
    if manners.settings is not None:
        body["@Redfish.Settings"] = settings_link(f"{path}/{manners.settings_name}")
    return body


def settings_link(path: str) -> Json:
    """What a resource says of its settings object."""
    return {
        "@odata.type": "#Settings.v1_3_7.Settings",
        "SettingsObject": {"@odata.id": path},
        "SupportedApplyTimes": ["OnReset"],
    }


def patch(call: Call) -> Outcome:
    """PATCH one system: its boot override is all that can be changed. Raises Refusal."""
    system = call.system
    body = _system_body(system)
    etags.check(call, body)
    made = _change(call, system.personality.system, system.override, body)
    changed = replace(system, kept=replace(system.kept, override=made.override, boot_order=made.order))
    return call.keep(changed.kept, 200, _system_body(changed))


def read_settings(call: Call) -> Outcome:
    """GET a system's settings object: what will stand after the next reset. Raises Refusal."""
    return call.answer(200, _settings_body(call.system, _settings_place(call)))


def patch_settings(call: Call) -> Outcome:
    """PATCH a system's settings object. Raises Refusal."""
    system, place = call.system, _settings_place(call)
    body = _settings_body(system, place)
    etags.check(call, body, needed=place.need_etag)
    made = _change(call, place, _waiting(system.kept), body)
    kept = replace(system.kept, boot_order=made.order)
    if made.override != _waiting(system.kept):
        kept = replace(kept, pending=made.override)
    return call.keep(kept, 200, _settings_body(replace(system, kept=kept), place))


def _settings_place(call: Call) -> Place:
    manners = call.system.personality
    if manners.settings is None or call.member != manners.settings_name:
        raise Refusal(404, "ResourceMissingAtURI", call.request.path)
    return manners.settings


def _waiting(kept: Kept) -> Override:
    return kept.override if kept.pending is None else kept.pending


def _settings_body(system: SystemState, place: Place) -> Json:
    return {
        "@odata.id": f"{system.path}/{system.personality.settings_name}",
        "@odata.type": _TYPE,
        "Id": system.personality.settings_name,
        "Name": f"{system.id} after its next reset",
        "Boot": overrides.show(system, place, _waiting(system.kept)),
    }


def _change(call: Call, place: Place, standing: Override, body: Json) -> overrides.Change:
    asked = call.object()
    for name in asked:
        if name.startswith("@") or name == "Boot":
            continue
        message = "PropertyNotWritable" if name in body else "PropertyUnknown"
        raise Refusal(400, call.system.personality.not_writable or message, name, related=[f"#/{name}"])
    return overrides.change(call.system, place, standing, asked.get("Boot", {}))


def reset(call: Call) -> Outcome:
    """POST its reset. Raises Refusal."""
    system, value = call.system, call.object().get("ResetType", "On")
    if value not in [each.value for each in Reset]:
        raise Refusal(
            400,
            "ActionParameterValueNotInList",
            value if isinstance(value, str) else repr(value),
            "ResetType",
            "ComputerSystem.Reset",
            related=["#/ResetType"],
        )
    effect = ResetMachine(system_id=system.id, reset=Reset(value))
    return Outcome(state=call.state, answer=Answer(status=204), effects=(effect,))
