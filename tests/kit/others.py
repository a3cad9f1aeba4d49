"""Other DHCP servers in a host, with the configuration that `httpboot export` writes for them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from kit.commands import httpboot
from kit.network import Namespace, Program


def start_dnsmasq(host: Namespace, folder: Path, configuration: str) -> Program:
    """dnsmasq with a configuration, as far as that says; names are answered where it has a `port`."""
    file = folder / f"dnsmasq-{host.name}.conf"
    file.write_text(configuration)
    options = ["--keep-in-foreground", "--log-facility=-", "--log-dhcp", "--no-resolv", "--no-hosts", "--user=root"]
    if "\nport=" not in f"\n{configuration}":
        options.append("--port=0")
    leases = f"--dhcp-leasefile={file.with_suffix('.leases')}"
    # --pid-file= means none.
    program = host.start("dnsmasq", f"--conf-file={file}", "--pid-file=", leases, *options)
    program.until(r"started, |DHCP, ")
    return program


def exported_dnsmasq(host: Namespace, file: Path) -> None:
    """dnsmasq as `httpboot export` tells it. file: the one of `httpboot serve`."""
    start_dnsmasq(host, file.parent, _without_warnings(httpboot("export", "dnsmasq", "-c", file)))


def exported_kea(host: Namespace, file: Path) -> None:
    """Kea, both of its servers."""
    for version in (4, 6):
        text = _without_warnings(httpboot("export", f"kea{version}", "-c", file))
        content = json.loads(re.sub(r"^//.*$", "", text, flags=re.MULTILINE))
        # Its leases and its identity, which it would keep below /var, are no part of the test.
        content[f"Dhcp{version}"]["lease-database"] = {"type": "memfile", "persist": False}
        if version == 6:
            content["Dhcp6"]["server-id"] = {"type": "LL", "persist": False}
        made = file.parent / f"kea{version}.json"
        made.write_text(json.dumps(content))
        places = [f"{variable}={file.parent}" for variable in ("KEA_PIDFILE_DIR", "KEA_LOCKFILE_DIR")]
        host.start("env", *places, f"kea-dhcp{version}", "-c", made).until(rf"DHCP{version}_STARTED")


def exported_isc(host: Namespace, file: Path) -> None:
    """ISC dhcpd, once for each family, on the interfaces that its file names."""
    for version, form in ((4, "isc"), (6, "isc6")):
        made, leases = file.parent / f"dhcpd{version}.conf", file.parent / f"dhcpd{version}.leases"
        text = _without_warnings(httpboot("export", form, "-c", file))
        made.write_text(text)
        leases.touch()
        named = re.search(r"-cf THIS (.*)$", text, re.MULTILINE)
        assert named, text
        arguments = (f"-{version}", "-f", "-d", "--no-pid", "-cf", made, "-lf", leases, *named[1].split())
        host.start("dhcpd", *arguments).until("Server starting service")


def _without_warnings(said: str) -> str:
    return re.sub(r"^warning: .*\n", "", said, flags=re.MULTILINE)


EXPORTED: dict[str, Callable[[Namespace, Path], None]] = {
    "dnsmasq": exported_dnsmasq,
    "kea": exported_kea,
    "isc": exported_isc,
}
"""By name: each is told what a file of `httpboot serve` says, and started in a host."""
