"""UEFI variables that carry a boot entry: device paths, Boot####, BootNext.

Knows the binary forms of UEFI 2.10 (§3.1.3 load options, §3.3 variables, §10.3 device paths). Refuses to know where
variables are stored.
"""

from __future__ import annotations

import re
import struct
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from ironic_httpboot.errors import MalformedMessage

GLOBAL_VARIABLE = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
"""EFI_GLOBAL_VARIABLE, the vendor GUID of Boot####, BootNext and BootOrder."""

NON_VOLATILE, BOOTSERVICE_ACCESS, RUNTIME_ACCESS = 1, 2, 4
BOOT_VARIABLE_ATTRIBUTES = NON_VOLATILE | BOOTSERVICE_ACCESS | RUNTIME_ACCESS

LONGEST_URI_BYTES = 7 * 1024
"""With an entry's other fields it fits into the 8 KiB that EDK2 gives a variable (OvmfPkg, PcdMaxVariableSize)."""

_TLS_CA_VARIABLE = ("TlsCaCertificate", "fd2340d0-3dab-4349-a6c7-3b4f12b48eae")
_SECURE_BOOT_VARIABLE = ("SecureBootEnable", "f0a30bc7-af08-4556-99c4-001009c93a44")
_CERT_X509 = uuid.UUID("a5c059a1-94e4-4aa7-87b5-ab155c2bf072").bytes_le
_OWNER = uuid.UUID("7d6f4c5e-9d3b-4b5a-8f6e-6c0f7c1d2a3b").bytes_le
_FIRST_NUMBER = 0x0900
_LOAD_OPTION_ACTIVE = 0x0000_0001
_HARDWARE, _PCI = 1, 1
_ACPI, _ACPI_ROOT = 2, 1
_PCI_ROOT_BRIDGE = 0x0A03_41D0
_MESSAGING, _SCSI, _MAC, _IPV4, _URI = 3, 2, 11, 12, 24
_END_PATH = bytes([0x7F, 0xFF, 4, 0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A UEFI variable. guid: lower case with hyphens."""

    name: str
    guid: str
    attributes: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOption:
    """The content of a Boot#### variable. uri: the URI node's text where the path has one."""

    number: int
    description: str
    device_path: bytes
    uri: str | None


def uri_path(uri: str) -> bytes:
    """A device path of one URI node, which boots over any NIC. An empty uri means "take the URL from DHCP".

    Raises MalformedMessage where the uri is longer than LONGEST_URI_BYTES.
    """
    node = uri.encode("ascii")
    if len(node) > LONGEST_URI_BYTES:
        raise MalformedMessage(
            f"boot entry: a URI of {len(node)} bytes, more than the {LONGEST_URI_BYTES} that it may have"
        )
    return struct.pack("<BBH", _MESSAGING, _URI, 4 + len(node)) + node + _END_PATH


def scsi_path(slot: int, target: int) -> bytes:
    """The device path of a disk or drive behind a SCSI controller in a PCI slot."""
    return _pci_path(slot) + struct.pack("<BBHHH", _MESSAGING, _SCSI, 8, target, 0) + _END_PATH


def pxe_path(slot: int, mac: str) -> bytes:
    """The device path of PXE over IPv4 on a NIC in a PCI slot."""
    address = bytes.fromhex(mac.replace(":", ""))
    nic = struct.pack("<BBH32sB", _MESSAGING, _MAC, 37, address, 1)
    return _pci_path(slot) + nic + struct.pack("<BBH23x", _MESSAGING, _IPV4, 27) + _END_PATH


def _pci_path(slot: int) -> bytes:
    root = struct.pack("<BBHII", _ACPI, _ACPI_ROOT, 12, _PCI_ROOT_BRIDGE, 0)
    return root + struct.pack("<BBHBB", _HARDWARE, _PCI, 6, 0, slot)


def boot_option(number: int, description: str, path: bytes) -> Variable:
    """Boot#### with a device path."""
    data = struct.pack("<IH", _LOAD_OPTION_ACTIVE, len(path)) + description.encode("utf-16-le") + b"\0\0" + path
    return Variable(name=f"Boot{number:04X}", guid=GLOBAL_VARIABLE, attributes=BOOT_VARIABLE_ATTRIBUTES, data=data)


def boot_next(number: int) -> Variable:
    """BootNext: the entry that the firmware tries once, before all others, and forgets as it does."""
    return Variable(
        name="BootNext",
        guid=GLOBAL_VARIABLE,
        attributes=BOOT_VARIABLE_ATTRIBUTES,
        data=struct.pack("<H", number),
    )


def boot_order(numbers: Iterable[int]) -> Variable:
    """BootOrder: the entries that the firmware tries, in this order."""
    data = b"".join(struct.pack("<H", number) for number in numbers)
    return Variable(name="BootOrder", guid=GLOBAL_VARIABLE, attributes=BOOT_VARIABLE_ATTRIBUTES, data=data)


def decode_order(variables: Iterable[Variable]) -> tuple[int, ...]:
    """The numbers in BootOrder, as far as it is there."""
    for variable in variables:
        if (variable.name, variable.guid) == ("BootOrder", GLOBAL_VARIABLE):
            return tuple(number for (number,) in struct.iter_unpack("<H", variable.data[: len(variable.data) & ~1]))
    return ()


def tls_authorities(certificates: Iterable[bytes]) -> tuple[tuple[str, str], Variable | None]:
    """Name and GUID of the variable with the CAs of HTTPS boot, and the variable for those in DER; None for none.

    EFI_SIGNATURE_LIST (UEFI 2.10 §32.4.1), one for each certificate: lists hold signatures of one size only.
    """
    data = b""
    for der in certificates:
        size = 16 + len(der)
        data += _CERT_X509 + struct.pack("<III", 28 + size, 0, size) + _OWNER + der
    name, guid = _TLS_CA_VARIABLE
    attributes = NON_VOLATILE | BOOTSERVICE_ACCESS
    return _TLS_CA_VARIABLE, Variable(name=name, guid=guid, attributes=attributes, data=data) if data else None


def secure_boot_switch(*, on: bool) -> Variable:
    """EDK2's own switch: with keys enrolled, Secure Boot is on unless this says no."""
    name, guid = _SECURE_BOOT_VARIABLE
    return Variable(name=name, guid=guid, attributes=NON_VOLATILE | BOOTSERVICE_ACCESS, data=bytes([on]))


def decode_option(variable: Variable) -> LoadOption:
    """Read a Boot#### variable. Raises MalformedMessage, naming the variable and the offset."""
    data = variable.data
    try:
        number = int(variable.name.removeprefix("Boot"), 16)
        _, path_bytes = struct.unpack_from("<IH", data, 0)
        end = next(at for at in range(6, len(data) - 1, 2) if data[at : at + 2] == b"\0\0")
        description = data[6:end].decode("utf-16-le")
    except (struct.error, StopIteration, ValueError) as error:
        raise MalformedMessage(f"variable {variable.name}: is no load option") from error
    path = data[end + 2 : end + 2 + path_bytes]
    uri = next((node[4:].decode("ascii", "replace") for node in _nodes(path) if node[:2] == bytes([3, 24])), None)
    return LoadOption(number=number, description=description, device_path=path, uri=uri)


def is_boot_option(variable: Variable) -> bool:
    """Whether a variable is one of Boot0000 to BootFFFF."""
    return variable.guid == GLOBAL_VARIABLE and re.fullmatch(r"Boot[0-9A-F]{4}", variable.name) is not None


def free_number(variables: Iterable[Variable]) -> int:
    """A boot entry number that is free, and far from the lowest, which firmware takes for its own."""
    taken = {variable.name for variable in variables if variable.guid == GLOBAL_VARIABLE}
    return next(number for number in range(_FIRST_NUMBER, 0x10000) if f"Boot{number:04X}" not in taken)


def _nodes(path: bytes) -> Iterable[bytes]:
    at = 0
    while at + 4 <= len(path):
        (length,) = struct.unpack_from("<H", path, at + 2)
        if length < 4 or at + length > len(path):
            raise MalformedMessage(f"device path: node of {length} bytes at offset {at} of {len(path)}")
        yield path[at : at + length]
        at += length
