"""As much of Neutron's REST API as Ironic's DHCP provider `neutron` asks for: a port, and changes of its options.

It stands in for Neutron's server. What that does with `extra_dhcp_opts` is done here by the same rule (Neutron 29,
db/extradhcpopt_db.py): an option that is not named in a change stays, one whose value is null goes.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from kit.neutron import MACHINE, SUBNET4, SUBNET6


@dataclass
class Port:
    """A port with an address of each family. options: its extra_dhcp_opts. changes: how often they were changed."""

    id: str
    options: list[dict[str, Any]] = field(default_factory=list)
    changes: int = 0

    def as_json(self) -> dict[str, Any]:
        """As the API shows it."""
        subnets = zip((SUBNET4, SUBNET6), MACHINE, strict=True)
        fixed = [{"subnet_id": subnet, "ip_address": address} for subnet, address in subnets]
        return {"id": self.id, "fixed_ips": fixed, "extra_dhcp_opts": self.options, "binding:host_id": ""}

    def change(self, options: list[dict[str, Any]]) -> None:
        """Change those that are named."""
        self.changes += 1
        for option in options:
            named = (option["opt_name"], option.get("ip_version", 4))
            self.options = [each for each in self.options if (each["opt_name"], each["ip_version"]) != named]
            if option["opt_value"]:
                self.options.append({"opt_name": named[0], "opt_value": option["opt_value"], "ip_version": named[1]})


@contextmanager
def neutron_api(port: Port) -> Iterator[str]:
    """Serve one port; the endpoint for [neutron]endpoint_override."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer()

        def do_PUT(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            port.change(body["port"]["extra_dhcp_opts"])
            self._answer()

        def log_message(self, *arguments: object) -> None:
            pass

        def _answer(self) -> None:
            base = f"http://{self.headers['Host']}/v2.0/"
            known: dict[str, dict[str, Any]] = {
                "/": {"versions": [{"id": "v2.0", "status": "CURRENT", "links": [{"rel": "self", "href": base}]}]},
                f"/v2.0/ports/{port.id}": {"port": port.as_json()},
            }
            body = json.dumps(known.get(self.path, {})).encode()
            self.send_response(200 if self.path in known else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
