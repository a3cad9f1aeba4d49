"""The Redfish client: ask a BMC to boot a URL once, see that it understood, take it back.

`boot`, `clear` and `probe` are its three verbs; docs/how-to/boot-through-a-bmc.md shows them at work.
"""

from ironic_httpboot.redfish.capability import Capability, Place
from ironic_httpboot.redfish.client import Report, boot, clear, probe
from ironic_httpboot.redfish.session import Credentials
from ironic_httpboot.redfish.transport import Limits, Tls, Transport

__all__ = ["Capability", "Credentials", "Limits", "Place", "Report", "Tls", "Transport", "boot", "clear", "probe"]
