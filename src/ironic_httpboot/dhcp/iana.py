"""The numbers of DHCP: ports, message types, option codes, status codes, architecture types.

Knows what IANA has registered and this project uses. Refuses to know what stands inside an option.
Sources: IANA "BOOTP and DHCP parameters", "DHCPv6 parameters", "Processor Architecture Types" (RFC 5970 §3.3).
"""

from __future__ import annotations

from enum import IntEnum

from ironic_httpboot.model import Arch

SERVER_PORT4, CLIENT_PORT4 = 67, 68
SERVER_PORT6, CLIENT_PORT6 = 547, 546
ALL_RELAYS_AND_SERVERS, ALL_SERVERS = "ff02::1:2", "ff05::1:3"
"""RFC 8415 §7.1: to the one clients send, and to the other relays that are told no server's address."""
HOP_LIMIT4 = 16
"""RFC 1542 §4.1.1: a relay discards a request with more hops than this."""
HOP_LIMIT6 = 8
"""HOP_COUNT_LIMIT, RFC 8415 §7.6."""
LONGEST_CLIENT_ID4 = 255
"""What one option holds (RFC 2132 §9.14): who has a longer one, in several, is out to fill memory."""
LONGEST_DUID = 130
"""A type and 128 bytes (RFC 8415 §11.1)."""
ETHERNET = 1
MAGIC_COOKIE = bytes((99, 130, 83, 99))
"""RFC 2131 §3: what the options begin with."""
BROADCAST_FLAG = 0x8000

HTTP_CLIENT, PXE_CLIENT = b"HTTPClient", b"PXEClient"
"""How a vendor class identifier begins (UEFI 2.10 §24.7.2.1; PXE 2.1 §2.2)."""
IPXE_USER_CLASS = b"iPXE"
INTEL_ENTERPRISE = 343
"""The enterprise under which UEFI firmware sends its DHCPv6 vendor class (UEFI 2.10 §24.7.3.1)."""


class Op(IntEnum):
    """The first byte of a DHCPv4 message."""

    REQUEST = 1
    REPLY = 2


class Kind4(IntEnum):
    """DHCPv4 message types, option 53 (RFC 2132 §9.6)."""

    DISCOVER = 1
    OFFER = 2
    REQUEST = 3
    DECLINE = 4
    ACK = 5
    NAK = 6
    RELEASE = 7
    INFORM = 8


class Option4(IntEnum):
    """DHCPv4 option codes."""

    PAD = 0
    SUBNET_MASK = 1
    ROUTERS = 3
    DNS_SERVERS = 6
    HOST_NAME = 12
    DOMAIN_NAME = 15
    BROADCAST_ADDRESS = 28
    VENDOR_SPECIFIC = 43
    REQUESTED_ADDRESS = 50
    LEASE_SECONDS = 51
    OVERLOAD = 52
    KIND = 53
    SERVER_ID = 54
    PARAMETER_LIST = 55
    MESSAGE = 56
    LARGEST_MESSAGE = 57
    RENEWAL_SECONDS = 58
    REBINDING_SECONDS = 59
    VENDOR_CLASS = 60
    CLIENT_ID = 61
    TFTP_SERVER = 66
    BOOT_FILE = 67
    USER_CLASS = 77
    RELAY_AGENT = 82
    ARCHITECTURE = 93
    NETWORK_INTERFACE = 94
    MACHINE_ID = 97
    PATH_PREFIX = 210
    END = 255


class RelaySuboption(IntEnum):
    """Suboptions of option 82 (RFC 3046, 3527, 5107)."""

    CIRCUIT_ID = 1
    REMOTE_ID = 2
    LINK_SELECTION = 5
    SERVER_ID_OVERRIDE = 11


class Overload(IntEnum):
    """Which fields hold options too, option 52 (RFC 2132 §9.3). Both bits may be set."""

    FILE = 1
    SNAME = 2


class Kind6(IntEnum):
    """DHCPv6 message types (RFC 8415 §7.3)."""

    SOLICIT = 1
    ADVERTISE = 2
    REQUEST = 3
    CONFIRM = 4
    RENEW = 5
    REBIND = 6
    REPLY = 7
    RELEASE = 8
    DECLINE = 9
    RECONFIGURE = 10
    INFORMATION_REQUEST = 11
    RELAY_FORWARD = 12
    RELAY_REPLY = 13


class Option6(IntEnum):
    """DHCPv6 option codes."""

    CLIENT_ID = 1
    SERVER_ID = 2
    IA_NA = 3
    IA_TA = 4
    IA_ADDRESS = 5
    REQUESTED_OPTIONS = 6
    PREFERENCE = 7
    ELAPSED_TIME = 8
    RELAY_MESSAGE = 9
    STATUS = 13
    RAPID_COMMIT = 14
    USER_CLASS = 15
    VENDOR_CLASS = 16
    VENDOR_OPTIONS = 17
    INTERFACE_ID = 18
    DNS_SERVERS = 23
    DOMAIN_LIST = 24
    IA_PD = 25
    BOOT_URL = 59
    BOOT_PARAMETERS = 60
    ARCHITECTURE = 61
    NETWORK_INTERFACE = 62
    LINK_LAYER_ADDRESS = 79


class Status6(IntEnum):
    """DHCPv6 status codes, option 13 (RFC 8415 §21.13)."""

    SUCCESS = 0
    UNSPECIFIED_FAILURE = 1
    NO_ADDRESSES = 2
    NO_BINDING = 3
    NOT_ON_LINK = 4
    USE_MULTICAST = 5
    NO_PREFIXES = 6


class DuidKind(IntEnum):
    """The first two bytes of a DUID (RFC 8415 §11)."""

    LINK_LAYER_TIME = 1
    ENTERPRISE = 2
    LINK_LAYER = 3
    UUID = 4


class ArchType(IntEnum):
    """Processor architecture types, option 93 and DHCPv6 option 61."""

    X86_BIOS = 0x00
    X86_UEFI = 0x06
    X64_UEFI = 0x07
    EBC_UEFI = 0x08
    XSCALE_UEFI = 0x09
    ARM32_UEFI = 0x0A
    ARM64_UEFI = 0x0B
    X86_HTTP = 0x0F
    X64_HTTP = 0x10
    EBC_HTTP = 0x11
    ARM32_HTTP = 0x12
    ARM64_HTTP = 0x13
    PCAT_HTTP = 0x14
    ARM32_UBOOT = 0x15
    ARM64_UBOOT = 0x16
    ARM32_UBOOT_HTTP = 0x17
    ARM64_UBOOT_HTTP = 0x18
    RISCV32_UEFI = 0x19
    RISCV32_HTTP = 0x1A
    RISCV64_UEFI = 0x1B
    RISCV64_HTTP = 0x1C
    LOONGARCH32_UEFI = 0x25
    LOONGARCH32_HTTP = 0x26
    LOONGARCH64_UEFI = 0x27
    LOONGARCH64_HTTP = 0x28

    @property
    def http(self) -> bool:
        """Whether this is how a machine asks that boots from a URL."""
        return self.name.endswith("_HTTP")

    @property
    def label(self) -> str:
        """As configuration and logs call the machine: x64, arm64, riscv64, arm32-uboot, x86-bios…"""
        name = self.name.removesuffix("_HTTP").removesuffix("_UEFI")
        return name.lower().replace("_", "-")

    @property
    def arch(self) -> Arch | None:
        """The architecture where images can be composed for it."""
        return {"x64": Arch.X64, "arm64": Arch.ARM64}.get(self.label)
