"""The CAs that a machine's firmware trusts for HTTPS boot: `Boot/Certificates` of its system.

Knows `Certificate` (DSP2046) and PEM. Refuses to know the firmware's variable.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import replace

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from ironic_httpboot.emulator.kept import Certificate
from ironic_httpboot.emulator.state import Answer, Call, Json, Outcome, Refusal, SystemState, collection

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)
_NAMES = {
    x509.NameOID.COMMON_NAME: "CommonName",
    x509.NameOID.ORGANIZATION_NAME: "Organization",
    x509.NameOID.ORGANIZATIONAL_UNIT_NAME: "OrganizationalUnit",
    x509.NameOID.LOCALITY_NAME: "City",
    x509.NameOID.STATE_OR_PROVINCE_NAME: "State",
    x509.NameOID.COUNTRY_NAME: "Country",
}


def der(certificate: Certificate) -> bytes:
    """A certificate as the firmware wants it."""
    return x509.load_pem_x509_certificate(certificate.pem.encode()).public_bytes(serialization.Encoding.DER)


def members(call: Call) -> Outcome:
    """GET the collection. Raises Refusal."""
    system = _with_certificates(call)
    body = collection(_folder(system), "Certificate", [each.id for each in system.kept.certificates])
    return call.answer(200, {**body, "@Redfish.SupportedCertificates": ["PEM"]})


def read(call: Call) -> Outcome:
    """GET one. Raises Refusal."""
    return call.answer(200, _body(call.system, _find(call)))


def create(call: Call) -> Outcome:
    """POST one, as PEM. Raises Refusal."""
    system, asked = _with_certificates(call), call.object()
    for name in ("CertificateString", "CertificateType"):
        if name not in asked:
            raise Refusal(400, "PropertyMissing", name, related=[f"#/{name}"])
    if asked["CertificateType"] != "PEM":
        told = str(asked["CertificateType"])
        raise Refusal(400, "PropertyValueNotInList", told, "CertificateType", related=["#/CertificateType"])
    number = system.kept.numbered + 1
    made = Certificate(id=str(number), pem=_pem(asked["CertificateString"]))
    kept = replace(system.kept, numbered=number, certificates=(*system.kept.certificates, made))
    return call.keep(kept, 201, _body(system, made), Location=f"{_folder(system)}/{made.id}")


def delete(call: Call) -> Outcome:
    """DELETE one. Raises Refusal."""
    gone = _find(call)
    kept = call.system.kept
    left = tuple(each for each in kept.certificates if each is not gone)
    return Outcome(state=call.state.with_kept(call.system, replace(kept, certificates=left)), answer=Answer(status=204))


def _with_certificates(call: Call) -> SystemState:
    if not call.system.personality.certificates:
        raise Refusal(404, "ResourceMissingAtURI", call.request.path)
    return call.system


def _folder(system: SystemState) -> str:
    return f"{system.path}/Boot/Certificates"


def _find(call: Call) -> Certificate:
    for certificate in _with_certificates(call).kept.certificates:
        if certificate.id == call.member:
            return certificate
    raise Refusal(404, "ResourceNotFound", "Certificate", call.member)


def _pem(value: object) -> str:
    """The one certificate that a string holds."""
    found = _PEM.findall(value) if isinstance(value, str) else []
    try:
        (text,) = found
        data = base64.b64decode("".join(text.split()), validate=True)
        loaded = x509.load_der_x509_certificate(data)
    except (ValueError, binascii.Error):
        told = "…" if isinstance(value, str) else repr(value)
        raise Refusal(
            400, "PropertyValueFormatError", told, "CertificateString", related=["#/CertificateString"]
        ) from None
    return loaded.public_bytes(serialization.Encoding.PEM).decode()


def _body(system: SystemState, certificate: Certificate) -> Json:
    loaded = x509.load_pem_x509_certificate(certificate.pem.encode())
    return {
        "@odata.id": f"{_folder(system)}/{certificate.id}",
        "@odata.type": "#Certificate.v1_9_0.Certificate",
        "Id": certificate.id,
        "Name": "CA for HTTPS boot",
        "CertificateString": certificate.pem,
        "CertificateType": "PEM",
        "Issuer": _named(loaded.issuer),
        "Subject": _named(loaded.subject),
        "SerialNumber": f"{loaded.serial_number:X}",
        "ValidNotBefore": f"{loaded.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}",
        "ValidNotAfter": f"{loaded.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}",
        "Fingerprint": loaded.fingerprint(hashes.SHA256()).hex(":").upper(),
        "FingerprintHashAlgorithm": "TPM_ALG_SHA256",
    }


def _named(name: x509.Name) -> Json:
    return {_NAMES[each.oid]: str(each.value) for each in name if each.oid in _NAMES}
