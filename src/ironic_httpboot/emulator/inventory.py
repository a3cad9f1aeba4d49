"""What else is there of a machine: its manager, network interfaces, boot entries, Secure Boot.

Knows the resources (DSP2046). Refuses to know where their content comes from.
"""

from __future__ import annotations

from dataclasses import replace

from ironic_httpboot.emulator import etags
from ironic_httpboot.emulator.state import ROOT, BootOption, Call, Json, Outcome, Refusal, SystemState, collection
from ironic_httpboot.emulator.tasks import jobs_link

NIC = "nic0"


def managers(call: Call) -> Outcome:
    """GET the collection of managers: one for each machine."""
    return call.answer(200, collection(f"{ROOT}/Managers", "Manager", call.state.systems))


def manager(call: Call) -> Outcome:
    """GET one manager. Raises Refusal."""
    system = call.system
    path = f"{ROOT}/Managers/{system.id}"
    links: Json = {"ManagerForServers": [{"@odata.id": system.path}]}
    if system.personality.jobs:
        links["Oem"] = jobs_link(system)
    body = {
        "@odata.id": path,
        "@odata.type": "#Manager.v1_19_0.Manager",
        "Id": system.id,
        "Name": f"BMC of {system.id}",
        "ManagerType": "BMC",
        "Manufacturer": system.personality.manufacturer,
        "PowerState": "On",
        "Status": {"State": "Enabled", "Health": "OK"},
        "VirtualMedia": {"@odata.id": f"{path}/VirtualMedia"},
        "Links": links,
    }
    return call.answer(200, body)


def nics(call: Call) -> Outcome:
    """GET the collection of network interfaces. Raises Refusal."""
    return call.answer(200, collection(f"{call.system.path}/EthernetInterfaces", "EthernetInterface", [NIC]))


def nic(call: Call) -> Outcome:
    """GET the network interface. Raises Refusal."""
    if call.member != NIC:
        raise Refusal(404, "ResourceNotFound", "EthernetInterface", call.member)
    body = {
        "@odata.id": f"{call.system.path}/EthernetInterfaces/{NIC}",
        "@odata.type": "#EthernetInterface.v1_12_3.EthernetInterface",
        "Id": NIC,
        "Name": "Network interface",
        "MACAddress": call.system.mac,
        "PermanentMACAddress": call.system.mac,
        "InterfaceEnabled": True,
        "Status": {"State": "Enabled", "Health": "OK"},
    }
    return call.answer(200, body)


def boot_options(call: Call) -> Outcome:
    """GET the collection of the firmware's boot entries. Raises Refusal."""
    names = [f"Boot{option.number}" for option in call.system.options]
    return call.answer(200, collection(f"{call.system.path}/BootOptions", "BootOption", names))


def boot_option(call: Call) -> Outcome:
    """GET one boot entry. Raises Refusal."""
    for option in call.system.options:
        if f"Boot{option.number}" == call.member:
            return call.answer(200, _option_body(call.system, option))
    raise Refusal(404, "ResourceNotFound", "BootOption", call.member)


def _option_body(system: SystemState, option: BootOption) -> Json:
    reference = f"Boot{option.number}"
    body = {
        "@odata.id": f"{system.path}/BootOptions/{reference}",
        "@odata.type": "#BootOption.v1_0_6.BootOption",
        "Id": reference,
        "Name": option.name,
        "DisplayName": option.name,
        "BootOptionReference": reference,
        "BootOptionEnabled": True,
        "UefiDevicePath": option.path,
    }
    return body if option.uri is None else {**body, "Alias": "UefiHttp"}


def secure_boot(call: Call) -> Outcome:
    """GET Secure Boot. Raises Refusal."""
    return call.answer(200, _secure_boot_body(_with_secure_boot(call)))


def patch_secure_boot(call: Call) -> Outcome:
    """PATCH Secure Boot: on or off from the next reset. Raises Refusal."""
    system = _with_secure_boot(call)
    body = _secure_boot_body(system)
    etags.check(call, body)
    asked = call.object()
    for name in asked.keys() - {"SecureBootEnable"}:
        message = "PropertyNotWritable" if name in body else "PropertyUnknown"
        raise Refusal(400, message, name, related=[f"#/{name}"])
    enable = asked.get("SecureBootEnable", system.kept.secure_boot)
    if not isinstance(enable, bool):
        raise Refusal(400, "PropertyValueTypeError", repr(enable), "SecureBootEnable", related=["#/SecureBootEnable"])
    changed = replace(system, kept=replace(system.kept, secure_boot=enable))
    return call.keep(changed.kept, 200, _secure_boot_body(changed))


def _with_secure_boot(call: Call) -> SystemState:
    if call.system.secure_boot is None:
        raise Refusal(404, "ResourceMissingAtURI", call.request.path)
    return call.system


def _secure_boot_body(system: SystemState) -> Json:
    return {
        "@odata.id": f"{system.path}/SecureBoot",
        "@odata.type": "#SecureBoot.v1_1_2.SecureBoot",
        "Id": "SecureBoot",
        "Name": "UEFI Secure Boot",
        "SecureBootEnable": system.kept.secure_boot,
        "SecureBootCurrentBoot": "Enabled" if system.secure_boot else "Disabled",
        "SecureBootMode": "UserMode",
    }
