"""A config drive, in each form that Ironic takes, becomes files of the ramdisk."""

from __future__ import annotations

import base64
import gzip
import json

import pytest

from ironic_httpboot.errors import InputError
from ironic_httpboot.plugin.configdrive import files

LATEST = "config-drive/openstack/latest"


def test_parts_become_files_and_the_node_says_who_it_is() -> None:
    drive = {"meta_data": {"hostname": "a"}, "user_data": "#!/bin/sh", "network_data": {"links": []}}
    found = {each.path: each for each in files(drive, uuid="u-1", name="node-1")}
    assert json.loads(found[f"{LATEST}/meta_data.json"].data) == {"uuid": "u-1", "name": "node-1", "hostname": "a"}
    assert found[f"{LATEST}/user_data"].data == b"#!/bin/sh"
    assert json.loads(found[f"{LATEST}/network_data.json"].data) == {"links": []}
    assert {each.mode for each in found.values()} == {0o600}
    assert len(found) == 3


def test_what_meta_data_says_itself_stays_and_user_data_may_be_an_object() -> None:
    found = {
        each.path: each.data
        for each in files({"meta_data": {"uuid": "own"}, "user_data": {"a": 1}}, uuid="u", name=None)
    }
    assert json.loads(found[f"{LATEST}/meta_data.json"]) == {"uuid": "own"}
    assert json.loads(found[f"{LATEST}/user_data"]) == {"a": 1}


@pytest.mark.parametrize("kind", [str, bytes])
def test_an_image_is_unpacked(kind: type) -> None:
    packed = base64.b64encode(gzip.compress(b"an image"))
    (found,) = files(packed.decode() if kind is str else packed, uuid="u", name=None)
    assert (found.path, found.data, found.mode) == ("config-drive.iso", b"an image", 0o600)


def test_vendor_data_stands_where_ironics_own_image_has_it() -> None:
    found = {each.path: each.data for each in files({"vendor_data": {"a": {}}}, uuid="u", name=None)}
    assert json.loads(found[f"{LATEST}/vendor_data2.json"]) == {"a": {}}


@pytest.mark.parametrize("text", ["", "not an image", base64.b64encode(b"no gzip").decode(), "aGVsbG8"])
def test_what_is_no_image_is_refused_by_name(text: str) -> None:
    with pytest.raises(InputError, match="instance_info/configdrive"):
        files(text, uuid="u", name=None)
