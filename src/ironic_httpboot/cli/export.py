"""`httpboot export`: the same machines and URLs as configuration for another DHCP server."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from ironic_httpboot import config
from ironic_httpboot.cli import output
from ironic_httpboot.cli.machines import name_of
from ironic_httpboot.dhcp import export as exported
from ironic_httpboot.dhcp.export_dnsmasq import dnsmasq
from ironic_httpboot.dhcp.export_isc import isc, isc6
from ironic_httpboot.dhcp.export_kea import kea
from ironic_httpboot.dhcp.export_neutron import neutron, neutron_json
from ironic_httpboot.dhcp.policy import SERVER_MARK, Subnet, fits
from ironic_httpboot.errors import BadConfig


class Server(Enum):
    """For whom. kea4 and kea6 are two programs with a file each; isc and isc6 are one, started twice."""

    DNSMASQ = "dnsmasq"
    KEA4 = "kea4"
    KEA6 = "kea6"
    ISC = "isc"
    ISC6 = "isc6"
    NEUTRON = "neutron"
    NEUTRON_JSON = "neutron-json"


def export(
    server: Annotated[Server, typer.Argument(help="For whom to write.")],
    configuration: Annotated[
        Path, typer.Option("-c", "--config", help="The TOML file of `httpboot serve`.", metavar="FILE")
    ],
) -> None:
    """Write configuration for the DHCP server that you keep: the same machines, the same URLs.

    The text holds the URLs as they are, with what may be secret. Example: httpboot export kea6 -c httpboot.toml
    """
    file = config.read(configuration, config.ServeFile)
    site = exported.coherent(_site(configuration, file))
    for concern in (*_unnamed(file.dhcp), *exported.check(site), *exported.lost(site, server.value)):
        output.err.print(f"warning: {concern}", markup=False)
    text = {
        Server.DNSMASQ: lambda: dnsmasq(site),
        Server.KEA4: lambda: kea(site, 4),
        Server.KEA6: lambda: kea(site, 6),
        Server.ISC: lambda: isc(site),
        Server.ISC6: lambda: isc6(site),
        Server.NEUTRON: lambda: neutron(site),
        Server.NEUTRON_JSON: lambda: neutron_json(site),
    }[server]()
    typer.echo(text, nl=False)


def _site(path: Path, file: config.ServeFile) -> exported.Site:
    if file.dhcp is None:
        raise BadConfig(f"{path}: has no [dhcp]: there is nothing to export")
    return exported.Site(
        interfaces=tuple(dict.fromkeys(file.dhcp.interfaces)),
        default=_default(file.dhcp),
        subnets=tuple(
            Subnet(
                network=each.network,
                ranges=tuple(each.ranges),
                router=each.router,
                dns=each.dns,
                domain=each.domain,
                lease_seconds=each.lease_seconds,
            )
            for each in file.subnet
        ),
        hosts=tuple(_host(path, file.dhcp, each) for each in file.machine),
    )


def _default(dhcp: config.DhcpTable) -> exported.Default:
    """What machines boot that are not named, as far as another server can be told."""
    if dhcp.unknown == "ignore":
        return exported.Default()
    url, script = (each if each and SERVER_MARK not in each else None for each in (dhcp.url, dhcp.script))
    return exported.Default(
        url4=url if url and fits(url, 4) else None,
        url6=url if url and fits(url, 6) else None,
        script=script,
        script6=script if script and fits(script, 6) else None,
    )


def _unnamed(dhcp: config.DhcpTable | None) -> list[str]:
    """What is not exported of it, in words."""
    if dhcp is None:
        return []
    found = []
    if dhcp.machines:
        found.append(f"[dhcp] machines: those of the folder {dhcp.machines} are not exported")
    if dhcp.unknown == "ignore":
        return [*found, "[dhcp] unknown: is not exported: the other server leases to all who ask"]
    found += [
        f"[dhcp] {key}: holds {SERVER_MARK}, which only `httpboot serve` fills in: machines that are not named get none"
        for key, value in (("url", dhcp.url), ("script", dhcp.script))
        if value and SERVER_MARK in value
    ]
    if dhcp.loaders:
        found.append("[dhcp.loaders]: is exported for the machines that are named, and for no others")
    return found


def _host(path: Path, dhcp: config.DhcpTable, machine: config.BootedMachineTable) -> exported.Host:
    name = name_of(machine)
    if machine.mac is None:
        raise BadConfig(f"{path}: machine {name}: has no mac, by which other servers know it", hint="add mac")
    if machine.kernel is not None:
        raise BadConfig(
            f"{path}: machine {name}: its image is composed when `httpboot serve` starts, under a new URL each time",
            hint="compose the image, serve it, and give its url",
        )
    url = machine.url or dhcp.loaders.get(machine.arch.value) or dhcp.url
    script = machine.script or dhcp.script
    url6, script6 = machine.url6 or url, machine.script6 or script
    if any(SERVER_MARK in (each or "") for each in (url, script, url6, script6)):
        raise BadConfig(
            f"{path}: machine {name}: its URL holds {SERVER_MARK}, which only `httpboot serve` fills in",
            hint="write the address",
        )
    return exported.Host(
        name=name,
        mac=machine.mac,
        duid=machine.duid or "",
        url4=url if url and fits(url, 4) else None,
        url6=url6 if url6 and fits(url6, 6) else None,
        script=script,
        script6=script6 if script6 and fits(script6, 6) else None,
        addresses=machine.addresses,
    )
