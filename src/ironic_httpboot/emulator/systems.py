"""ComputerSystem: what is read of a machine, its boot override, its reset.

Knows the resource (DSP2046, ComputerSystem v1.22) and which changes it takes. Refuses to know how a reset is done.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from ironic_httpboot.emulator.state import (
    ROOT,
    Answer,
    Call,
    Enabled,
    Json,
    Outcome,
    Override,
    Refusal,
    Reset,
    ResetMachine,
    SystemState,
    Target,
    collection,
    etag_of,
)


def members(call: Call) -> Outcome:
    """GET the collection."""
    return call.answer(200, collection(f"{ROOT}/Systems", "ComputerSystem", list(call.state.systems)))


def read(call: Call) -> Outcome:
    """GET one system."""
    return call.answer(200, _system_body(call.system))


def _system_body(system: SystemState) -> Json:
    path = f"{ROOT}/Systems/{system.id}"
    return {
        "@odata.id": path,
        "@odata.type": "#ComputerSystem.v1_22_0.ComputerSystem",
        "Id": system.id,
        "Name": system.id,
        "SystemType": "Virtual",
        "Manufacturer": "httpboot",
        "Model": f"QEMU {system.arch}",
        "UUID": system.uuid,
        "PowerState": system.power.value,
        "Status": {"State": "Enabled", "Health": "OK"},
        "MemorySummary": {"TotalSystemMemoryGiB": system.memory_mib / 1024},
        "BootProgress": {"LastState": system.progress},
        "Boot": {
            "BootSourceOverrideEnabled": system.override.enabled.value,
            "BootSourceOverrideEnabled@Redfish.AllowableValues": [each.value for each in Enabled],
            "BootSourceOverrideMode": "UEFI",
            "BootSourceOverrideMode@Redfish.AllowableValues": ["UEFI"],
            "BootSourceOverrideTarget": system.override.target.value,
            "BootSourceOverrideTarget@Redfish.AllowableValues": [each.value for each in Target],
            "HttpBootUri": system.override.uri or None,
        },
        "Actions": {
            "#ComputerSystem.Reset": {
                "target": f"{path}/Actions/ComputerSystem.Reset",
                "ResetType@Redfish.AllowableValues": [each.value for each in Reset],
            }
        },
        "Links": {"ManagedBy": [{"@odata.id": f"{ROOT}/Managers/{system.id}"}]},
    }


def patch(call: Call) -> Outcome:
    """PATCH one system: its boot override is all that can be changed. Raises Refusal."""
    system, change = call.system, call.object()
    if_match = call.request.headers.get("if-match")
    if if_match is not None and if_match.strip() not in ("*", etag_of(_system_body(system))):
        raise Refusal(412, "PreconditionFailed", "The ETag supplied did not match the ETag of the resource.")
    for name in change.keys() - {"Boot"}:
        if name in _system_body(system):
            raise Refusal(400, "PropertyNotWritable", f"The property {name} is a read-only property.")
        raise Refusal(400, "PropertyUnknown", f"The property {name} is not in the list of valid properties.")
    boot = change.get("Boot", {})
    if not isinstance(boot, dict):
        raise Refusal(400, "PropertyValueTypeError", "The value of the property Boot is not an object.")
    changed = replace(system, override=_changed_override(system.override, boot))
    state = replace(call.state, systems={**call.state.systems, system.id: changed})
    return Outcome(state=state, answer=Answer(status=200, body=_system_body(changed)))


def _changed_override(override: Override, boot: Json) -> Override:
    for name, value in boot.items():
        match name:
            case "BootSourceOverrideEnabled":
                override = replace(override, enabled=_choice(name, value, Enabled))
            case "BootSourceOverrideTarget":
                override = replace(override, target=_choice(name, value, Target))
            case "BootSourceOverrideMode":
                if value != "UEFI":
                    raise _not_in_list(name, value)
            case "HttpBootUri":
                override = replace(override, uri=_uri(name, value))
            case _:
                raise Refusal(
                    400, "PropertyUnknown", f"The property Boot/{name} is not in the list of valid properties."
                )
    if override.enabled is Enabled.DISABLED:
        return replace(override, target=Target.NONE)
    return override


def _choice(name: str, value: object, kind: type[Any]) -> Any:
    if value not in [each.value for each in kind]:
        raise _not_in_list(name, value)
    return kind(value)


def _not_in_list(name: str, value: object) -> Refusal:
    return Refusal(
        400,
        "PropertyValueNotInList",
        f"The value {value!r} for the property {name} is not in the list of acceptable values.",
    )


def _uri(name: str, value: object) -> str:
    if value is None or value == "":
        return ""
    if not isinstance(value, str):
        raise Refusal(400, "PropertyValueTypeError", f"The value of the property {name} is not a string.")
    if not value.isascii() or urlsplit(value).scheme not in ("http", "https"):
        raise Refusal(400, "PropertyValueFormatError", f"The value of the property {name} is no http or https URI.")
    return value


def reset(call: Call) -> Outcome:
    """POST its reset. Raises Refusal."""
    system, value = call.system, call.object().get("ResetType", "On")
    if value not in [each.value for each in Reset]:
        raise Refusal(
            400,
            "ActionParameterNotSupported",
            f"The parameter ResetType with the value {value!r} for the action Reset is not supported.",
        )
    effect = ResetMachine(system_id=system.id, reset=Reset(value))
    return Outcome(state=call.state, answer=Answer(status=204), effects=(effect,))
