"""`httpboot probe`: what a BMC can do with a boot URL."""

from __future__ import annotations

from typing import Any

from ironic_httpboot.cli import bmc as reach
from ironic_httpboot.cli import output
from ironic_httpboot.redfish import Capability, client


def probe(
    bmc: reach.Address,
    system: reach.SystemId = None,
    username: reach.Username = None,
    password_file: reach.PasswordFile = None,
    bmc_ca: reach.CaFile = None,
    insecure: reach.Insecure = False,
    timeout: reach.Timeout = reach.TIMEOUT_SECONDS,
    patience: reach.Patience = reach.PATIENCE_SECONDS,
    as_json: output.AsJson = False,
) -> None:
    """Say what a BMC can do with a boot URL: where the URL goes, what is offered. Changes nothing.

    Example: httpboot probe --bmc https://bmc7 --username admin
    """
    with reach.transport(bmc, ca=bmc_ca, insecure=insecure, timeout=timeout, patience=patience) as transport:
        found = client.probe(transport, credentials=reach.credentials(username, password_file), system_id=system)
    data = _as_data(transport.name, found)
    if as_json:
        output.print_json(data)
        return
    for name, value in data.items():
        shown = value if not isinstance(value, list) else ", ".join(value)
        words = {None: "unknown", True: "yes", False: "no", "": "none"}.get(shown, shown)
        output.out.print(f"{name.replace('_', ' ')}: {words}", markup=False)


def _as_data(name: str, found: Capability) -> dict[str, Any]:
    """A capability for programs. Lists are null where the BMC does not say."""
    system, override = found.system, found.override
    return {
        "bmc": name,
        "system": system.id,
        "manufacturer": system.manufacturer,
        "model": system.model,
        "power": system.power,
        "boot_progress": system.progress.state if system.progress else None,
        "behaves_like": found.quirk.name,
        "boots_urls": found.boots_urls,
        "url_goes_to": found.place.value,
        "resource": found.bios.path if found.bios else override.path,
        "override_targets": None if override.targets is None else list(override.targets),
        "override_enabled": None if system.enableds is None else list(system.enableds),
        "reset_types": None if system.reset_types is None else list(system.reset_types),
        "etags": found.etags,
        "certificates": system.certificates or "",
        "concerns": list(found.concerns),
        "instead": "" if found.boots_urls else found.quirk.instead,
    }
