"""The oldest Ironic that is supported, through its API: a node is told its URL, on each path, and nothing is left."""

from __future__ import annotations

from pathlib import Path

import requests

from ironic_httpboot import config
from ironic_httpboot.emulator.kept import Target
from ironic_httpboot.http.store import Store
from kit.conductor import MAC, SYSTEM, URL4, emulated
from kit.hardware import Relay
from kit.ironic import OLDEST, Ironic, Operator, boot_of, write_guest


def test_the_oldest_supported_ironic_deploys_a_node_on_each_path_and_leaves_nothing(tmp_path: Path) -> None:
    assert OLDEST.is_dir(), f"{OLDEST} is missing: run `make setup-test`"
    kernel, ramdisk = write_guest(tmp_path)
    options = {"dhcp": {"dhcp_provider": "httpboot"}}
    with (
        emulated(tmp_path / "bmc") as emulator,
        Ironic(tmp_path / "conductor-1", url=URL4, options=options, programs=OLDEST) as ironic,
    ):
        release = requests.get(f"{ironic.endpoint}/v1", timeout=10).json()["version"]["version"]
        assert release == OLDEST_API, f"this is another Ironic: {release}"
        hardware = emulator.hardware(SYSTEM)
        assert isinstance(hardware, Relay)
        operator, store, machines = Operator(ironic), Store(ironic.store), ironic.store.parent / "machines"
        node = operator.enroll("alpha", bmc=emulator.url, system=SYSTEM, mac=MAC)
        for interface in ("redfish-http-url", "httpboot"):
            operator.api.update_node(node, boot_interface=interface)
            operator.deploy(node, kernel, ramdisk, config_drive={"meta_data": {"by": interface}})
            ((published,),) = store.published().values()
            url = f"{URL4}{published.path}"
            assert hardware.boots[-1].target is Target.UEFI_HTTP
            if interface == "httpboot":
                (told,) = config.read(machines / f"{node.id}.toml", config.MachinesFile).machine
                assert told.url == url.replace(URL4, "http://{server}:8080")
            else:
                assert hardware.boots[-1].uri == url

            operator.provision(node, "deleted", "available")
            assert boot_of(emulator.url, SYSTEM)["BootSourceOverrideEnabled"] == "Disabled"
            assert (store.published(), list(machines.glob("*"))) == ({}, [])


OLDEST_API = "1.111"
"""The API of Ironic 35; that of 36 is 1.112."""
