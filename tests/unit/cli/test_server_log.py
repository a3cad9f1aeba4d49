"""What an artifact server reports, read while it is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ironic_httpboot.cli.output import event_as_json
from ironic_httpboot.cli.server_log import ServerLog
from ironic_httpboot.errors import InputError
from ironic_httpboot.events import Stage, Transfer, stage_of


def line(path: str = "/…/node-7.iso", method: str = "GET", sent: int = 9) -> str:
    transfer = Transfer(
        at=1.0,
        machine="node-7",
        peer="192.0.2.7",
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
    log = ServerLog(path, "node-7.iso")
    assert log() == [], "an earlier boot's"
    with path.open("a") as stream:
        stream.write(line(method="HEAD") + line("/…/other.iso") + line(sent=3) + "no JSON\n[]\n{}\n" + line()[:40])
        stream.flush()
        assert [stage_of(event) for event in log()] == [Stage.HEAD], "neither another's file nor a part of it"
        stream.write(line()[40:])
    assert [stage_of(event) for event in log()] == [Stage.HEAD, Stage.GET]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--events .*none: read → No such file"):
        ServerLog(tmp_path / "none", "x.iso")
