"""What a node boots may stand in Glance: by UUID, by URL, or as an image that names its ISO, or kernel and ramdisk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ironic.common import exception, states
from ironic.conf import CONF
from ironic.objects.node import Node

from ironic_httpboot.http.store import Store
from kit.conductor import FILES, at_work
from kit.glance import Glance, glance


@pytest.fixture
def images(tmp_path: Path) -> Iterator[Glance]:
    with glance(tmp_path / "glance") as made:
        given = {"auth_type": "none", "endpoint_override": made.endpoint}
        for name, value in given.items():
            CONF.set_override(name, value, group="glance")
        yield made
        for name in given:
            CONF.clear_override(name, group="glance")


def test_kernel_and_ramdisk_come_from_glance(node: Node, folder: Path, images: Glance) -> None:
    kinds = {"kernel": "aki", "ramdisk": "ari"}
    data = {part: (folder / name).read_bytes() for part, name in FILES}
    ids = {part: images.add(part, kinds[part], data[part]) for part, _ in FILES}
    whole = images.add("whole", "ami", b"its file is not looked at", {f"{part}_id": ids[part] for part in ids})
    for given in (
        {"kernel": ids["kernel"], "ramdisk": f"glance://{ids['ramdisk']}"},
        {"image_source": whole},
    ):
        with at_work(node, states.DEPLOYING, instance_info=given) as task:
            task.driver.boot.validate(task)
            task.driver.boot.prepare_instance(task)
            (published,) = Store(folder / "store").published()[node.uuid]
            assert published.path.endswith("/boot.iso")
            fetched = {part: (folder / "images" / node.uuid / part).read_bytes() for part in ids}
            assert fetched == data
            task.driver.boot.clean_up_instance(task)


@pytest.mark.parametrize("more", [{}, {"kernel_id": "a", "ramdisk_id": "b"}], ids=["alone", "before a kernel"])
def test_an_image_may_name_the_iso_that_is_booted(
    node: Node, folder: Path, images: Glance, more: dict[str, str]
) -> None:
    data = b"an ISO of the operator's own"
    iso = images.add("iso", "ami", data)
    whole = images.add("whole", "ami", b"its file is not looked at", {"boot_iso_id": iso, **more})
    with at_work(node, states.DEPLOYING, instance_info={"image_source": whole}) as task:
        task.driver.boot.validate(task)
        task.driver.boot.prepare_instance(task)
        (published,) = Store(folder / "store").published()[node.uuid]
        found = Store(folder / "store").find((published.token, published.name))
        assert found is not None
        assert found.blob.read_at(0, found.blob.size_bytes) == data


def test_an_image_that_names_nothing_to_boot_is_refused_with_what_it_lacks(node: Node, images: Glance) -> None:
    whole = images.add("whole", "ami", b"its file is not looked at", {"kernel_id": "a"})
    with (
        at_work(node, states.DEPLOYING, instance_info={"image_source": whole}) as task,
        pytest.raises(exception.MissingParameterValue, match=f"Image {whole} .*ramdisk"),
    ):
        task.driver.boot.validate(task)
