"""The DHCP provider `httpboot`: a file for each node, in a folder that `httpboot serve` watches.

Knows how options become machine files. Refuses to know sockets and who asks: that is the server's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from ironic.common import exception
from ironic.conductor.task_manager import TaskManager
from ironic.conf import CONF
from ironic.dhcp import base

from ironic_httpboot.dhcp.iana import Option4, Option6
from ironic_httpboot.dhcp.policy import SERVER_MARK
from ironic_httpboot.model import BootUrl
from ironic_httpboot.plugin import conf
from ironic_httpboot.plugin.dhcp_options import SCRIPT, Option

_URLS = (str(int(Option4.BOOT_FILE)), str(int(Option6.BOOT_URL)))

conf.register(CONF)


class HTTPBootDHCPApi(base.BaseDHCP):
    """Machine files instead of a DHCP server's interface: nothing is asked over the network."""

    def update_port_dhcp_opts(self, port_id: str, dhcp_options: Sequence[Option], context: object = None) -> None:
        """Nothing: a node's ports are written together."""

    def update_dhcp_opts(
        self, task: TaskManager, options: Sequence[Option], vifs: Mapping[str, Mapping[str, str]] | None = None
    ) -> None:
        """Write a node's machine file. Raises FailedToUpdateDHCPOptOnPort."""
        macs = [port.address for port in task.ports if port.pxe_enabled]
        text = machine_file(task.node.uuid, macs, options)
        target = _file(task.node.uuid)
        partial = target.with_name(f".{target.name}.part")
        try:
            conf.folder(CONF.httpboot.machines)
            # Its URL is secret, wherever the operator's folder lets others in.
            with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640), "w") as stream:
                stream.write(text)
            partial.replace(target)
        except OSError as error:
            with suppress(OSError):
                partial.unlink()
            raise exception.FailedToUpdateDHCPOptOnPort(
                f"Node {task.node.uuid}: [httpboot]machines {CONF.httpboot.machines}: written → {error.strerror}"
            ) from error

    def clean_dhcp_opts(self, task: TaskManager) -> None:
        """Remove a node's machine file. Raises FailedToCleanDHCPOpts."""
        try:
            forget(task.node.uuid)
        except OSError as error:
            raise exception.FailedToCleanDHCPOpts(
                f"Node {task.node.uuid}: [httpboot]machines {CONF.httpboot.machines}: removed → {error.strerror}"
            ) from error


def remembered() -> set[str]:
    """The nodes that have a machine file."""
    root = Path(CONF.httpboot.machines)
    return {path.stem for path in root.glob("[!.]*.toml")} if root.is_dir() else set()


def forget(uuid: str) -> None:
    """Remove a node's machine file, where there is one. Raises OSError."""
    _file(uuid).unlink(missing_ok=True)


def machine_file(name: str, macs: Sequence[str], options: Sequence[Option]) -> str:
    """The text of a machine file: a table for each port, with a URL of its own for each family where they differ."""
    urls = [each for each in options if each["opt_name"] in _URLS]
    scripts = [each for each in options if each["opt_name"].removeprefix(SCRIPT) in _URLS and each not in urls]
    keys = {**_by_family("url", urls), **_by_family("script", scripts)}
    lines = []
    for mac in macs:
        lines += ["[[machine]]", f"name = {json.dumps(name)}", f"mac = {json.dumps(mac)}"]
        lines += [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
    return "\n".join([*lines, ""])


def _by_family(key: str, options: Sequence[Option]) -> dict[str, str]:
    """A key of machine files, and the one for IPv6 beside it where that says something else."""
    told = {option["ip_version"]: _of_server(option["opt_value"]) for option in options}
    first = told.get(4, told.get(6))
    if first is None:
        return {}
    return {key: first, **({f"{key}6": told[6]} if told.get(6, first) != first else {})}


def _of_server(url: str) -> str:
    """A URL of ours with the DHCP server's own address on whichever network the machine is, where that can be meant.

    A name stays, and so does https, whose certificate names one host, and a port that one family alone has.
    """
    bases = [BootUrl.parse(base) for base in (conf.base_url(CONF, 4), conf.base_url(CONF, 6)) if base]
    parts = urlsplit(url)
    if not any(url.startswith(f"{base.text}/") for base in bases):
        return url
    if any(base.address is None or base.scheme != "http" or _port(base.text) != _port(url) for base in bases):
        return url
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit(parts._replace(netloc=f"{SERVER_MARK}{port}"))


def _port(url: str) -> int:
    return urlsplit(url).port or 80


def _file(uuid: str) -> Path:
    return Path(CONF.httpboot.machines) / f"{os.path.basename(uuid)}.toml"
