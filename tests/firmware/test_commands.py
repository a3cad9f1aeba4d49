"""The commands, each a process of its own, boot a machine as an operator would."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import pytest

from ironic_httpboot.demo import guest
from kit.commands import Running, httpboot, ordinary_user, qemu_processes
from kit.judges import judge

pytestmark = pytest.mark.firmware


def test_compose_serve_emulate_and_boot_over_https_with_a_password(tmp_path: Path) -> None:
    parts = guest.find_parts()
    guest.write_ramdisk(parts, tmp_path / "ramdisk")
    (tmp_path / "nonce").write_text("abc")
    image = tmp_path / "images" / "node-1.iso"
    image.parent.mkdir()
    printed = httpboot(
        "compose", "--kernel", parts.kernel, "--initrd", tmp_path / "ramdisk",
        "--append", f"etc/httpboot/nonce={tmp_path / 'nonce'}", "--cmdline", guest.cmdline("abc"), "-o", image,
    )  # fmt: skip
    assert f"{image}: {image.stat().st_size:,} bytes" in printed

    judge(
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=bmc",
        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", tmp_path / "key.pem", "-out", tmp_path / "certificate.pem",
    )  # fmt: skip
    (tmp_path / "password").write_text("correct horse\n")
    (tmp_path / "emulator.toml").write_text(
        f"""
        [emulator]
        listen = "127.0.0.1:0"
        state = "{tmp_path}/bmc"
        username = "operator"
        password_file = "{tmp_path}/password"
        certificate = "{tmp_path}/certificate.pem"
        key = "{tmp_path}/key.pem"

        [[machine]]
        id = "node-1"
        memory_mib = 768
        """
    )
    with (
        Running("serve", "--root", image.parent, "--listen", "127.0.0.1:0") as server,
        Running("emulate", "-c", tmp_path / "emulator.toml") as emulator,
    ):
        port = server.until(r"listening on 127\.0\.0\.1:(\d+)")[1]
        bmc = emulator.until(r"BMC at (https://127\.0\.0\.1:\d+)/redfish/v1")[1]
        url = f"http://10.0.2.2:{port}/node-1.iso"
        login = ("--bmc", bmc, "--username", "operator", "--password-file", tmp_path / "password")

        refused = httpboot("boot", url, *login, code=4)
        assert "--bmc-ca" in refused, "an unknown certificate is refused, and the hint says what to do"
        trusted = (*login, "--bmc-ca", tmp_path / "certificate.pem")
        planned = httpboot("boot", url, *trusted, "--dry-run")
        assert "1. PATCH /redfish/v1/Systems/node-1" in planned
        assert not (tmp_path / "bmc" / "node-1" / "state.json").exists(), "--dry-run changes nothing"
        done = json.loads(httpboot("boot", url, *trusted, "--json"))
        assert done["done"] is True
        assert [step["method"] for step in done["steps"]] == ["PATCH", "GET", "POST"]

        emulator.until("verdict: pass", seconds=180)
        server.until(r"HEAD /node-1\.iso → 200")
        server.until(rf"GET /node-1\.iso → 200, {image.stat().st_size} of {image.stat().st_size} bytes")
        assert "correct horse" not in emulator.printed + server.printed + refused + planned


STAGES = {
    "composed": r"[\d,]+ bytes, shim and GRUB, both signed by Debian, for x64",
    "published": r"http://10\.0\.2\.2:\d+/…/demo\.iso",
    "BMC asked": "PATCH /redfish/v1/Systems/demo: .*HttpBootUri",
    "read back": "the BMC shows what it was sent",
    "power on": "x64, 1024 MiB",
    "lease": r"10\.0\.2\.\d+",
    "HEAD": r"200 /…/demo\.iso",
    "GET": r"[\d,]+ bytes, 100%, .*MB/s",
    "loader": "firmware starts what it loaded",
    "kernel": r"Linux 6\.",
    "user space": "/init",
    "verdict": "pass: command line and appended files are this boot's, 2 files of the image intact",
}


def test_the_demonstration_shows_every_stage_in_order_to_an_ordinary_user() -> None:
    with ordinary_user() as user:
        printed = httpboot("demo", user=user)
        assert qemu_processes(user.home) == []
        assert list(user.home.iterdir()) == [], "nothing is left behind"
    places = []
    for stage, detail in STAGES.items():
        found = re.search(rf"^ *[0-9.]+ s  {stage} +{detail}", printed, re.MULTILINE)
        assert found, f"{stage} is missing:\n{printed}"
        places.append(found.start())
    assert places == sorted(places), printed
    composed, fetched = re.findall(r"  (?:composed|GET) +([\d,]+) bytes", printed)
    assert composed == fetched, "all of the image was fetched"
    assert "the guest says: pass" in printed.splitlines()[-1]


def test_the_demonstration_of_dhcp_shows_question_and_offer_and_ends_with_the_guests_verdict(tmp_path: Path) -> None:
    printed = httpboot("demo", "dhcp", "--chain", "uki", "--keep", tmp_path)
    assert re.search(r"^ *[0-9.]+ s  DISCOVER +HTTPClient x64 asks on QEMU's network$", printed, re.MULTILINE), printed
    assert re.search(r"^ *[0-9.]+ s  OFFER +a URL$", printed, re.MULTILINE), printed
    assert "the guest says: pass" in printed.splitlines()[-1]
    assert "verdict pass" in (tmp_path / "machine" / "console.log").read_text(), "it is kept"
    assert qemu_processes(tmp_path) == []


def test_the_demonstration_says_in_plain_words_where_it_stopped(tmp_path: Path) -> None:
    printed = httpboot("demo", "--chain", "grub", "--secure-boot", "--keep", tmp_path, code=5)
    assert "stopped before “loader”" in printed or "stopped before “GET”" in printed, printed
    assert "Secure Boot refused the loader" in printed
    assert "last lines of its console" in printed
    assert qemu_processes(tmp_path) == []


def test_interrupting_the_demonstration_leaves_nothing_running(tmp_path: Path) -> None:
    with Running("demo", "--keep", tmp_path) as demo:
        demo.until("power on", seconds=60)
        assert len(qemu_processes(tmp_path)) == 1
        demo.process.send_signal(signal.SIGINT)
        assert demo.end() == 130
    assert "interrupted" in demo.printed
    assert "Traceback" not in demo.printed
    assert qemu_processes(tmp_path) == []
    assert list((tmp_path / "store").iterdir()) == [], "the image is withdrawn"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_ending_the_demonstration_leaves_no_machine_and_no_folder(tmp_path: Path, number: signal.Signals) -> None:
    standing = signal.signal(number, signal.SIG_DFL)  # under nohup, the command would inherit that SIGHUP is ignored
    with Running("demo", environment={"TMPDIR": str(tmp_path)}) as demo:
        signal.signal(number, standing)
        demo.until("power on", seconds=60)
        assert len(qemu_processes(tmp_path)) == 1
        demo.process.send_signal(number)
        demo.process.send_signal(number)
        assert demo.end() == 130
    assert "Traceback" not in demo.printed
    assert qemu_processes(tmp_path) == []
    assert list(tmp_path.iterdir()) == []
