"""Who a server is to DHCPv6 clients: its DUID, which must not change while the server lives (RFC 8415 §11).

Knows what of a host stays when its network cards change. Refuses to know where a DUID is kept: in the lease file, where
there is one. A client's RENEW and RELEASE name the server by it, and to another one they are of no concern.
"""

from __future__ import annotations

import uuid
from pathlib import Path

from ironic_httpboot.dhcp.iana import ETHERNET, DuidKind

MACHINE_ID = Path("/etc/machine-id")


def derive(server: str, mac: bytes, machine_id: Path = MACHINE_ID) -> bytes:
    """The same DUID at every start, and for every server another.

    server: what tells it from others on this host. mac: for hosts that have no machine-id; a bridge's changes with what
    is plugged into it. The machine-id itself is not shown (machine-id(5)).
    """
    try:
        host = uuid.UUID(machine_id.read_text("ascii").strip())
    except (OSError, ValueError):
        return DuidKind.LINK_LAYER.to_bytes(2) + ETHERNET.to_bytes(2) + mac
    return DuidKind.UUID.to_bytes(2) + uuid.uuid5(host, f"ironic-httpboot DHCP {server}").bytes
