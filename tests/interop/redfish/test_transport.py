"""Requests over real sockets: TLS, what is counted, and what stays hidden."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ironic_httpboot.emulator.serve import Emulator, Settings
from ironic_httpboot.errors import BmcTlsError, InputError
from ironic_httpboot.redfish.transport import Answer, Tls, Transport
from kit.hardware import Relay
from kit.judges import judge
from kit.lab import machine


@dataclass(frozen=True)
class Bmc:
    """An https service and the certificate that it shows."""

    url: str
    certificate: Path


@pytest.fixture(params=["IP:127.0.0.1", "DNS:bmc.example"])
async def bmc(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bmc]:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    judge(
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=bmc",
        "-addext", f"subjectAltName={request.param}", "-keyout", key, "-out", certificate,
    )  # fmt: skip
    settings = Settings(machines=[machine("node-1")], state=tmp_path / "bmc", port=0, certificate=certificate, key=key)
    async with Emulator(settings, install=Relay) as emulator:
        yield Bmc(emulator.url, certificate)


async def get(bmc: Bmc, tls: Tls | None = None) -> Answer:
    def ask() -> Answer:
        with Transport(bmc.url, tls) as transport:
            return transport.request("GET", "/redfish/v1/")

    return await asyncio.to_thread(ask)


async def test_a_certificate_is_verified_unless_told_otherwise(
    bmc: Bmc, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(BmcTlsError) as failure:
        await get(bmc)
    assert failure.value.hint is not None
    assert "--bmc-ca" in failure.value.hint
    trusted = Tls(ca_file=str(bmc.certificate))
    if "IP:127.0.0.1" in request.node.name:
        assert (await get(bmc, trusted)).status == 200
    else:
        with pytest.raises(BmcTlsError, match=r"127\.0\.0\.1"):
            await get(bmc, trusted)
    assert (await get(bmc, Tls(verify=False))).status == 200


async def test_a_ca_file_that_is_none_is_named(bmc: Bmc, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(BmcTlsError, match="TLS"):
        await get(bmc, Tls(ca_file=str(tmp_path / "ca.pem")))


async def test_what_is_hidden_is_in_no_log_line(bmc: Bmc, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    def ask() -> None:
        with Transport(bmc.url, Tls(verify=False)) as transport:
            transport.hide("s3cr3t")
            transport.request("PATCH", "/redfish/v1/Systems/node-1", {"Boot": {"HttpBootUri": "ftp://s3cr3t/"}})
            assert transport.requests == 1

    await asyncio.to_thread(ask)
    assert "PATCH" in caplog.text
    assert "s3cr3t" not in caplog.text


@pytest.mark.parametrize("behind", ["/redfish/v1", "?x", "/#y"])
def test_an_address_with_more_behind_it_is_refused(behind: str) -> None:
    with pytest.raises(InputError, match="https://host"):
        Transport(f"https://bmc7{behind}")


@pytest.mark.parametrize(
    "address",
    [
        "https://bmc/x@y:s3cr3t",
        "https://bmc/?token=s3cr3t",
        "https://bmc/#s3cr3t",
        "https://bmc/s3cr3t",
        "https://admin:s3cr3t/et@bmc",
        "https://admin:s3cr3t?et@bmc",
        "https://admin:s3cr3t@bmc",
        "https://admin:s3cr3t/",
        "admin:s3cr3t@bmc",
        "https://[bmc/s3cr3t",
        "ftp://bmc/s3cr3t",
    ],
)
def test_what_may_be_a_secret_in_an_address_is_not_repeated(address: str) -> None:
    with pytest.raises(InputError) as failure:
        Transport(address)
    assert "s3cr3t" not in str(failure.value)
    assert failure.value.hint


async def test_https_to_a_bmc_that_speaks_http_is_told_so(tmp_path: Path) -> None:
    async with Emulator(Settings(machines=[machine("node-1")], state=tmp_path, port=0), install=Relay) as emulator:
        with pytest.raises(BmcTlsError) as failure:
            await get(Bmc(emulator.url.replace("http:", "https:"), tmp_path))
    assert "does not speak TLS: is it http://" in str(failure.value)
