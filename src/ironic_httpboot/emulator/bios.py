"""BIOS attributes: as they stand, as they will be after the next reset, and the registry that describes them.

Knows `Bios`, its settings object and `AttributeRegistry` (DSP2046). Refuses to know what the attributes do.
"""

from __future__ import annotations

from dataclasses import replace

from ironic_httpboot.emulator import etags, overrides, tasks
from ironic_httpboot.emulator.handover import attributes
from ironic_httpboot.emulator.personalities import Attribute, Personality
from ironic_httpboot.emulator.state import ROOT, Call, Json, Outcome, Refusal, SystemState, collection
from ironic_httpboot.emulator.systems import settings_link

_TYPE = "#Bios.v1_2_3.Bios"
_APPLY_TIME = "@Redfish.SettingsApplyTime"


def read(call: Call) -> Outcome:
    """GET the attributes as they stand. Raises Refusal."""
    system = _with_bios(call)
    path = f"{system.path}/Bios"
    body = {
        "@odata.id": path,
        "@odata.type": _TYPE,
        "Id": "Bios",
        "Name": "BIOS attributes",
        "AttributeRegistry": _registry_name(system.personality),
        "Attributes": attributes(system.personality, system.kept),
        "Actions": {"#Bios.ResetBios": {"target": f"{path}/Actions/Bios.ResetBios"}},
        "@Redfish.Settings": settings_link(f"{path}/{system.personality.bios_settings_name}"),
    }
    return call.answer(200, body)


def read_settings(call: Call) -> Outcome:
    """GET the attributes as they will be. Raises Refusal."""
    return call.answer(200, _settings_body(_with_settings(call)))


def patch_settings(call: Call) -> Outcome:
    """PATCH attributes for the next reset. Where they need a job, an apply time makes one. Raises Refusal."""
    system = _with_settings(call)
    etags.check(call, _settings_body(system))
    overrides.refuse_in_post(system)
    asked = call.object()
    for name in asked.keys() - {"Attributes", _APPLY_TIME}:
        raise Refusal(400, "PropertyUnknown", name, related=[f"#/{name}"])
    wanted = asked.get("Attributes", {})
    if not isinstance(wanted, dict):
        raise Refusal(400, "PropertyValueTypeError", repr(wanted), "Attributes", related=["#/Attributes"])
    if system.personality.jobs and system.kept.job_waits:
        raise Refusal(409, "ResourceInUse")
    known = {each.name: each for each in system.personality.bios}
    future = {**_future(system), **wanted}
    for name, value in wanted.items():
        _check(known.get(name), name, value, future)
    kept = replace(system.kept, bios_pending={**system.kept.bios_pending, **wanted})
    if system.personality.jobs and _APPLY_TIME in asked:
        return tasks.begin(call, kept, "Configure: BIOS")
    changed = replace(system, kept=kept)
    return call.keep(kept, 200, _settings_body(changed))


def reset(call: Call) -> Outcome:
    """POST the reset of all attributes to their defaults, at the next reset of the machine. Raises Refusal."""
    system = _with_bios(call)
    defaults = {each.name: each.default for each in system.personality.bios}
    kept = replace(system.kept, bios_pending=defaults)
    return tasks.begin(call, kept, "Reset: BIOS") if system.personality.jobs else call.keep(kept)


def registries(call: Call) -> Outcome:
    """GET the collection of registries: one for each kind of BIOS that is here."""
    return call.answer(200, collection(f"{ROOT}/Registries", "MessageRegistryFile", _registries(call)))


def registry_file(call: Call) -> Outcome:
    """GET where one registry is. Raises Refusal."""
    found = _registry(call)
    body = {
        "@odata.id": f"{ROOT}/Registries/{_registry_name(found)}",
        "@odata.type": "#MessageRegistryFile.v1_1_4.MessageRegistryFile",
        "Id": _registry_name(found),
        "Name": "BIOS attribute registry",
        "Languages": ["en"],
        "Registry": _registry_name(found),
        "Location": [{"Language": "en", "Uri": f"{ROOT}/Registries/{_registry_name(found)}/Registry"}],
    }
    return call.answer(200, body)


def registry(call: Call) -> Outcome:
    """GET one registry. Raises Refusal."""
    found = _registry(call)
    body = {
        "@odata.id": f"{ROOT}/Registries/{_registry_name(found)}/Registry",
        "@odata.type": "#AttributeRegistry.v1_3_8.AttributeRegistry",
        "Id": _registry_name(found),
        "Name": "BIOS attribute registry",
        "Language": "en",
        "OwningEntity": found.manufacturer,
        "RegistryVersion": "1.0.0",
        "RegistryEntries": {
            "Attributes": [_described(each) for each in found.bios],
            "Dependencies": [_dependency(each) for each in found.bios if each.needs is not None],
        },
    }
    return call.answer(200, body)


def _with_bios(call: Call) -> SystemState:
    if not call.system.personality.bios:
        raise Refusal(404, "ResourceMissingAtURI", call.request.path)
    return call.system


def _with_settings(call: Call) -> SystemState:
    system = _with_bios(call)
    if call.member != system.personality.bios_settings_name:
        raise Refusal(404, "ResourceMissingAtURI", call.request.path)
    return system


def _future(system: SystemState) -> dict[str, object]:
    return {**attributes(system.personality, system.kept), **system.kept.bios_pending}


def _settings_body(system: SystemState) -> Json:
    return {
        "@odata.id": f"{system.path}/Bios/{system.personality.bios_settings_name}",
        "@odata.type": _TYPE,
        "Id": system.personality.bios_settings_name,
        "Name": "BIOS attributes after the next reset",
        "AttributeRegistry": _registry_name(system.personality),
        "Attributes": _future(system),
    }


def _check(known: Attribute | None, name: str, value: object, future: dict[str, object]) -> None:
    pointer = [f"#/Attributes/{name}"]
    if known is None:
        raise Refusal(400, "PropertyUnknown", name, related=pointer)
    if not isinstance(value, str):
        raise Refusal(400, "PropertyValueTypeError", repr(value), name, related=pointer)
    if known.values and value not in known.values:
        raise Refusal(400, "PropertyValueNotInList", value, name, related=pointer)
    overrides.refuse_too_long(value, pointer)
    if not value.isascii():
        raise Refusal(400, "PropertyValueFormatError", value, name, related=pointer)
    if known.needs is not None and future[known.needs[0]] != known.needs[1]:
        raise Refusal(400, "PropertyNotWritable", name, related=[*pointer, f"#/Attributes/{known.needs[0]}"])


def _registry_name(personality: Personality) -> str:
    return f"BiosAttributeRegistry.{personality.name}.v1_0_0"


def _registries(call: Call) -> dict[str, Personality]:
    kinds = (system.personality for system in call.state.systems.values())
    return {_registry_name(kind): kind for kind in kinds if kind.bios}


def _registry(call: Call) -> Personality:
    try:
        return _registries(call)[call.member]
    except KeyError:
        raise Refusal(404, "ResourceNotFound", "MessageRegistryFile", call.member) from None


def _described(attribute: Attribute) -> Json:
    body: Json = {
        "AttributeName": attribute.name,
        "DisplayName": attribute.name,
        "Type": "Enumeration" if attribute.values else "String",
        "DefaultValue": attribute.default,
        "ReadOnly": False,
        "ResetRequired": True,
    }
    if attribute.help:
        body["HelpText"] = attribute.help
    if attribute.values:
        body["Value"] = [{"ValueName": value, "ValueDisplayName": value} for value in attribute.values]
    return body


def _dependency(attribute: Attribute) -> Json:
    assert attribute.needs is not None
    name, value = attribute.needs
    condition = {"MapFromAttribute": name, "MapFromCondition": "NEQ", "MapFromProperty": "CurrentValue"}
    return {
        "DependencyFor": attribute.name,
        "Type": "Map",
        "Dependency": {
            "MapFrom": [{**condition, "MapFromValue": value}],
            "MapToAttribute": attribute.name,
            "MapToProperty": "ReadOnly",
            "MapToValue": True,
        },
    }
