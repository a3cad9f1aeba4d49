"""How long a BMC boots what it is told: the node's own word goes before ours, whoever tells the URL."""

from __future__ import annotations

from pathlib import Path

import pytest
from ironic.common import states
from ironic.objects.node import Node

from ironic_httpboot.emulator.serve import Emulator
from kit.conductor import FILES, SYSTEM, at_work
from kit.ironic import boot_of


@pytest.mark.parametrize("interface", ["redfish-http-url", "httpboot"])
@pytest.mark.parametrize(
    ("word", "agent", "instance"),
    [
        (None, "Once", "Continuous"),
        ("Default", "Once", "Continuous"),
        ("Always", "Continuous", "Continuous"),
        ("Never", "Once", "Once"),
        ("True", "Continuous", "Continuous"),
        (False, "Once", "Continuous"),
    ],
)
def test_a_node_says_how_long_its_bmc_boots_a_url(
    node: Node, folder: Path, emulator: Emulator, interface: str, word: str | bool | None, agent: str, instance: str
) -> None:
    info = node.driver_info if word is None else {**node.driver_info, "force_persistent_boot_device": word}
    given = {
        "instance_info": {part: f"file://{folder}/{name}" for part, name in FILES},
        "driver_info": info,
        "boot_interface": interface,
    }
    with at_work(node, states.AVAILABLE, **given) as task:
        task.driver.boot.validate(task)
    with at_work(node, states.CLEANING) as task:
        task.driver.boot.prepare_ramdisk(task, {})
        assert told(emulator) == ("UefiHttp", agent)
        task.driver.boot.clean_up_ramdisk(task)
    with at_work(node, states.DEPLOYING) as task:
        task.driver.boot.prepare_instance(task)
        assert told(emulator) == ("UefiHttp", instance)


def told(emulator: Emulator) -> tuple[str, str]:
    boot = boot_of(emulator.url, SYSTEM)
    return boot["BootSourceOverrideTarget"], boot["BootSourceOverrideEnabled"]
