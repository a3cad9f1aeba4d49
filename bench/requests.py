"""How many requests "boot this URL once, verified" takes, beside Ironic's own code and beside sushy's calls alone."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import sushy
from sushy.connector import Connector

from bench.inputs import Inputs
from bench.report import Finding, Goal
from ironic_httpboot.model import BootUrl
from ironic_httpboot.redfish import boot

_URL = "http://192.0.2.1:8080/x.iso"
_PATH = "/redfish/v1/Systems/1"
_LATENCY_SECONDS = 0.5
_MOST_REQUESTS = 5


@contextmanager
def _bmc() -> Iterator[tuple[str, list[float]]]:
    """A standard BMC that answers after half a second; its address, and when it was asked."""
    override = {
        "BootSourceOverrideEnabled": "Disabled",
        "BootSourceOverrideTarget": "None",
        "BootSourceOverrideTarget@Redfish.AllowableValues": ["None", "UefiHttp"],
        "BootSourceOverrideMode": "UEFI",
        "HttpBootUri": None,
    }
    reset = {"target": f"{_PATH}/Reset", "ResetType@Redfish.AllowableValues": ["On", "ForceRestart"]}
    actions = {"#ComputerSystem.Reset": reset}
    system: dict[str, Any] = {"Id": "1", "Name": "1", "PowerState": "Off", "Boot": override, "Actions": actions}
    root = {"Id": "r", "Name": "r", "RedfishVersion": "1.20.0", "Systems": {"@odata.id": "/redfish/v1/Systems"}}
    asked: list[float] = []

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "{}")
            asked.append(time.monotonic())
            time.sleep(_LATENCY_SECONDS)
            override.update(body.get("Boot", {}))
            system["PowerState"] = "On" if self.command == "POST" else system["PowerState"]
            data = json.dumps(system if self.path.startswith(_PATH) else root).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PATCH = do_POST = _serve  # noqa: N815  # the names of http.server

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _ours(url: str) -> None:
    boot(Connector(url), BootUrl.parse(_URL), system_id=_PATH)


def _ironics(url: str) -> None:
    """In a process of its own: it changes much of the one that it is imported into."""
    command = [sys.executable, "-m", "bench.ironic_calls", url, _PATH, _URL]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"bench: {' '.join(command)} → {done.returncode}\n{done.stderr[-2000:]}")


def _sushys(url: str) -> None:
    system = sushy.Sushy(url, connector=Connector(url)).get_system(_PATH)
    system.set_system_boot_options(
        target=sushy.BOOT_SOURCE_TARGET_UEFI_HTTP,
        enabled=sushy.BOOT_SOURCE_ENABLED_ONCE,
        mode=sushy.BOOT_SOURCE_MODE_UEFI,
        http_boot_uri=_URL,
    )
    system.refresh()
    system.reset_system(sushy.RESET_ON)
    system.refresh()


def run(inputs: Inputs) -> Finding:
    """Ask a BMC in each way."""
    rows, ours = [], 0
    ways: dict[str, Callable[[str], None]] = {"httpboot": _ours, "sushy's calls alone": _sushys}
    if importlib.util.find_spec("ironic") is not None:
        ways[f"Ironic {importlib.metadata.version('ironic')}, its own `redfish-https`"] = _ironics
    for name, ask in ways.items():
        with _bmc() as (url, asked):
            ask(url)
            rows.append((name, str(len(asked)), f"{asked[-1] + _LATENCY_SECONDS - asked[0]:.1f} s"))
            ours = ours or len(asked)
    goal = Goal(what="requests", figure=str(ours), goal=f"at most {_MOST_REQUESTS}", met=ours <= _MOST_REQUESTS)
    return Finding(
        title="requests: boot this URL once and power on, verified",
        how="A standard BMC, machine off, no login; each answer takes 0.5 s. Ironic's row is there where it is"
        " installed: what its boot and power interfaces ask, without a conductor, which adds more.",
        columns=("", "requests", "time"),
        rows=tuple(rows),
        goals=(goal,),
    )
