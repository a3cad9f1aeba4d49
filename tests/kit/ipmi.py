"""A BMC that speaks IPMI, OpenIPMI's `ipmi_sim`, in front of a machine of our emulator.

What IPMI is told of power goes on to the machine. What it is told of boots is written down and no more: IPMI has no
word for HTTP boot, and the machine follows its own boot order, as one does whose firmware has no PXE.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kit.ironic import free_port
from kit.lab import ACCOUNT

OPTIONS = {
    "DEFAULT": {
        "enabled_hardware_types": "redfish-httpboot,ipmi-httpboot",
        "enabled_management_interfaces": "redfish,ipmitool",
        "enabled_power_interfaces": "redfish,ipmitool",
    },
    "ipmi": {"min_command_interval": "1"},
}
"""What ironic.conf needs for a node to be moved from Redfish to IPMI."""

INTERFACES = {
    "driver": "ipmi-httpboot",
    "power_interface": "ipmitool",
    "management_interface": "ipmitool",
    "inspect_interface": "no-inspect",
}
"""What moves it."""

_PASSWORD = "correct-horse"
"""ipmi_sim takes no blank in a password."""

_CONFIGURATION = """
name "machine"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 {port}
    priv_limit admin
    allowed_auths_admin md5
    guid a123456789abcdefa123456789abcdef
  endlan
  chassis_control "{folder}/chassis"
  user 2 true "{user}" "{password}" admin 10 md5
"""
_COMMANDS = """
mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
mc_enable 0x20
"""
_CHASSIS = """#!/bin/sh
# chassis get NAME… → NAME:VALUE for each; chassis set NAME VALUE …
echo "$@" >> "{folder}/asked"
redfish() {{ curl -sf -u "{user}:{password}" "$@"; }}
reset() {{
    redfish -X POST -H "Content-Type: application/json" -d "{{\\"ResetType\\": \\"$1\\"}}" \\
        "{system}/Actions/ComputerSystem.Reset"
}}
verb=$1
shift
while [ $# -gt 0 ]; do
    case "$verb $1 $2" in
    "get power "*) if redfish "{system}" | grep -q '"PowerState": *"On"'; then echo power:1; else echo power:0; fi ;;
    "get boot "*) echo boot:default ;;
    "set power 1") reset On ;;
    "set power 0") reset ForceOff ;;
    "set reset "*) reset ForceRestart ;;
    esac
    shift
    if [ "$verb" = set ]; then shift; fi
done
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bmc:
    """driver_info: what an operator gives a node."""

    driver_info: dict[str, object]
    folder: Path

    @property
    def asked(self) -> list[str]:
        """What it was asked to have the chassis do, in order."""
        return (self.folder / "asked").read_text().splitlines()


@contextmanager
def bmc(folder: Path, redfish: str, system: str) -> Iterator[Bmc]:
    """Start it. folder: to be made. redfish, system: the emulator and its machine."""
    (folder / "state").mkdir(parents=True)
    port = free_port()
    given = {"folder": folder, "user": ACCOUNT.username}
    (folder / "lan.conf").write_text(_CONFIGURATION.format(port=port, password=_PASSWORD, **given))
    (folder / "commands").write_text(_COMMANDS)
    chassis = folder / "chassis"
    url = f"{redfish}/redfish/v1/Systems/{system}"
    chassis.write_text(_CHASSIS.format(system=url, password=ACCOUNT.password, **given))
    chassis.chmod(0o755)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["ipmi_sim", "-n", "-c", folder / "lan.conf", "-f", folder / "commands", "-s", folder / "state"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    info = {"ipmi_address": "127.0.0.1", "ipmi_port": port, "ipmi_username": ACCOUNT.username}
    # Its cipher suites cannot be asked for, as ipmitool does where none is named.
    more = {"ipmi_password": _PASSWORD, "ipmi_cipher_suite": "3"}
    try:
        yield Bmc(driver_info={**info, **more}, folder=folder)
    finally:
        process.terminate()
        process.wait(20)
