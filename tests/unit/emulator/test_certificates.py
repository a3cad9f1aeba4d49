"""CAs for HTTPS boot: put in as PEM, read back, taken out."""

from __future__ import annotations

import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ironic_httpboot.emulator.certificates import der
from kit.bmc import ask, message_id, one

FOLDER = "/redfish/v1/Systems/a/Boot/Certificates"


def authority() -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "A test's CA")])
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(7)
    return made.not_valid_before(start).not_valid_after(start.replace(year=2036)).sign(key, hashes.SHA256())


def test_one_is_put_in_read_back_and_taken_out() -> None:
    loaded = authority()
    pem = loaded.public_bytes(serialization.Encoding.PEM).decode()
    made = ask(one("standard"), "POST", FOLDER, {"CertificateString": pem, "CertificateType": "PEM"})
    assert made.answer.status == 201
    read = ask(made.state, "GET", made.answer.headers["Location"]).answer.body
    assert read is not None
    assert (read["CertificateString"], read["Subject"]) == (pem, {"CommonName": "A test's CA"})
    (kept,) = made.state.systems["a"].kept.certificates
    assert der(kept) == loaded.public_bytes(serialization.Encoding.DER)
    gone = ask(made.state, "DELETE", made.answer.headers["Location"])
    assert gone.state.systems["a"].kept.certificates == ()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"CertificateType": "PEM"}, "PropertyMissing"),
        ({"CertificateString": "x", "CertificateType": "PKCS7"}, "PropertyValueNotInList"),
        ({"CertificateString": "x", "CertificateType": "PEM"}, "PropertyValueFormatError"),
        ({"CertificateString": 7, "CertificateType": "PEM"}, "PropertyValueFormatError"),
    ],
)
def test_what_is_no_certificate_is_refused(body: object, said: str) -> None:
    outcome = ask(one("standard"), "POST", FOLDER, body)
    assert (outcome.answer.status, message_id(outcome.answer)) == (400, said)
