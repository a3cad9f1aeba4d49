"""What an artifact server reports, read while it is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ironic_httpboot.cli.output import event_as_json
from ironic_httpboot.cli.server_log import ServerLog
from ironic_httpboot.errors import BootFailed, InputError
from ironic_httpboot.events import Stage, Transfer, stage_of
from ironic_httpboot.model import BootUrl

URL = BootUrl.parse("http://192.0.2.1:8080/s3cr3t/node-7.iso")
SHARED = BootUrl.parse("http://192.0.2.1:8080/images/rescue%20me.iso")


def line(
    path: str = "/…/node-7.iso", method: str = "GET", sent: int = 9, *, machine: str = "", peer: str = "192.0.2.7"
) -> str:
    transfer = Transfer(
        at=1.0,
        machine=machine,
        peer=peer,
        method=method,
        path=path,
        status=200,
        range=None,
        sent_bytes=sent,
        total_bytes=9,
        elapsed_seconds=0.1,
        finished=True,
    )
    return json.dumps(event_as_json(transfer)) + "\n"


def test_only_requests_for_the_file_count_and_only_from_now_on(tmp_path: Path) -> None:
    path = tmp_path / "served.jsonl"
    path.write_text(line())
    log = ServerLog(path, URL)
    assert log() == [], "an earlier boot's"
    with path.open("a") as stream:
        stream.write(line(method="HEAD") + line("/…/other.iso") + line(sent=3) + "no JSON\n[]\n{}\n" + line()[:40])
        stream.flush()
        assert [stage_of(event) for event in log()] == [Stage.HEAD], "neither another's file nor a part of it"
        stream.write(line()[40:])
    assert [stage_of(event) for event in log()] == [Stage.HEAD, Stage.GET]


def heard(tmp_path: Path, *lines: str, url: BootUrl = SHARED, **options: Any) -> list[str]:
    """Whose requests count."""
    path = tmp_path / "served.jsonl"
    path.write_text("")
    log = ServerLog(path, url, **options)
    path.write_text("".join(lines))
    return [transfer.machine or transfer.peer for transfer in log()]


def test_a_file_of_the_same_name_in_another_folder_is_another_file(tmp_path: Path) -> None:
    others = [line("/old/rescue me.iso", peer="192.0.2.8"), line("/old/images/rescue me.iso", peer="192.0.2.8")]
    assert heard(tmp_path, *others, line("/images/rescue me.iso"), line("/rescue me.iso")) == ["192.0.2.7"] * 2


def test_another_machines_request_for_the_same_file_is_not_this_ones(tmp_path: Path) -> None:
    path = "/images/rescue me.iso"
    both = [line(path, peer="192.0.2.8"), line(path, machine="node-7"), line(path, peer="192.0.2.9")]
    assert heard(tmp_path, *both, of="192.0.2.9") == ["192.0.2.9"]
    assert heard(tmp_path, *both, of="node-7") == ["node-7"]
    assert heard(tmp_path, *both, of="192.0.2.1") == []
    with pytest.raises(BootFailed, match=r"192\.0\.2\.8, 192\.0\.2\.9, node-7 all asked for /images/rescue me\.iso"):
        heard(tmp_path, *both)
    assert len(heard(tmp_path, *both, alone=False)) == 3


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--events .*none: read → No such file"):
        ServerLog(tmp_path / "none", URL)
