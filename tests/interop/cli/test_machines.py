"""Machines of a file whose payload is a loader: what is published for them, and what they are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from ironic_httpboot import config
from ironic_httpboot.cli.machines import Images, policy_of
from ironic_httpboot.demo import guest
from ironic_httpboot.errors import BadConfig
from ironic_httpboot.http.store import Store

FILE = """
[http]
store = "store"

[dhcp]
interfaces = ["lo"]

[[machine]]
name = "one"
mac = "52:54:00:00:00:01"
kernel = "{kernel}"
payload = "{payload}"
"""


def read(folder: Path, payload: str) -> config.ServeFile:
    path = folder / "httpboot.toml"
    path.write_text(FILE.format(kernel=guest.find_parts().kernel, payload=payload))
    return config.read(path, config.ServeFile)


@pytest.mark.parametrize(("payload", "loader", "names"), [("grub", "grubx64.efi", 3), ("ipxe", "ipxex64.efi", 3)])
def test_each_piece_is_published_and_withdrawn_with_its_machine(
    payload: str, loader: str, names: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = read(tmp_path, payload)
    assert file.dhcp is not None
    monkeypatch.setattr(config, "made_folder", lambda: tmp_path / "made")
    images = Images(Store(tmp_path / "store"), 8080, "192.0.2.1")
    boot = images.boot_of(file.machine[0])
    assert boot.url is not None
    assert boot.url.startswith("http://192.0.2.1:8080/")
    assert boot.url.endswith(f"/{loader}")
    assert (boot.script is not None) is (payload == "ipxe")
    assert images.boot_of(file.machine[0]) == boot, "it is published once"
    assert len(list((tmp_path / "store").iterdir())) == names
    policy_of(file.model_copy(update={"machine": ()}), file.dhcp, images)
    assert list((tmp_path / "store").iterdir()) == []


def test_without_one_address_the_urls_cannot_be_written_down(tmp_path: Path) -> None:
    file = read(tmp_path, "ipxe")
    with pytest.raises(BadConfig, match="payload ipxe writes URLs down"):
        Images(Store(tmp_path / "store"), 8080).boot_of(file.machine[0])
