"""The command line as a whole: help that teaches, errors that name what to change, exit codes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kit.commands import httpboot

COMMANDS = ("boot", "probe", "clear", "compose", "serve", "explain", "export", "emulate", "demo")


def test_without_arguments_it_says_what_it_can_do() -> None:
    printed = httpboot(code=2)
    for command in COMMANDS:
        assert command in printed


@pytest.mark.parametrize("options", [("--help",), ("-h", "boot"), ("-vh", "boot"), ("-v", "--help", "boot")])
def test_help_lists_all_commands_in_their_order(options: tuple[str, ...]) -> None:
    listed = httpboot(*options).partition("Commands")[2]
    assert tuple(re.findall(r"^│ ([a-z]+) ", listed, re.MULTILINE)) == COMMANDS


def test_an_option_before_the_command_is_for_all_commands() -> None:
    assert httpboot("-v", "probe", "--help") == httpboot("probe", "--help")


@pytest.mark.parametrize("arguments", [("bot",), ("-v", "bot"), ("bot", "boot")])
def test_a_command_that_does_not_exist_is_told_so_with_one_that_does(arguments: tuple[str, ...]) -> None:
    assert "Did you mean 'boot'?" in httpboot(*arguments, code=2)
    assert "Did you mean 'boot'?" in json.loads(httpboot(*arguments, "--json", code=2))["error"]["message"]


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(command: str) -> None:
    printed = httpboot(command, "--help")
    assert "Usage: httpboot" in printed
    assert len(printed.splitlines()) > 10


def test_the_version_is_told() -> None:
    assert httpboot("--version").startswith("httpboot 0.")


def test_an_error_is_one_sentence_with_a_hint_on_standard_error() -> None:
    printed = httpboot("boot", "http://user:s3cr3t@192.0.2.1/x.iso", "--bmc", "https://192.0.2.2", code=2)
    assert printed == ("error: boot URL: holds a user name or password\n  hint: put the secret into the path instead\n")


def test_with_json_an_error_is_data() -> None:
    error = json.loads(httpboot("boot", "x.iso", "--bmc", "https://192.0.2.2", "--json", code=2))["error"]
    assert error == {"kind": "BadUrl", "message": "boot URL: scheme is 'missing', not http or https", "hint": None}


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("boot", "--bmc", "https://192.0.2.2"), "Missing argument 'URL'."),
        (("compose", "--kernel", "k", "-o", "x.iso", "--chain", "bogus"), "'bogus' is not one of"),
        (("probe", "--nonsense"), "No such option"),
    ],
)
def test_with_json_a_wrong_use_is_data_as_well(command: tuple[str, ...], message: str) -> None:
    error = json.loads(httpboot(*command, "--json", code=2))["error"]
    assert error["kind"] == "InputError"
    assert message in error["message"]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("serve", "--root", "/", "--listen", "a..b:80"), "'a..b' can be no host's name"),
        (("emulate", "--state", "/dev/null/x", "--listen", f"{'a' * 80}:80"), "can be no host's name"),
        (("boot", "http://192.0.2.1/x.iso", "--bmc", "http://[::1"), "BMC address: is no URL"),
        (("boot", "http://192.0.2.1/x.iso", "--bmc", "http://a..b"), "'a..b' can be no host's name"),
        (("boot", "http://192.0.2.1/x.iso", "--bmc", "http://u:s3cr3t@h:81"), "BMC address: has credentials in it"),
    ],
)
def test_an_address_that_cannot_be_one_is_refused_in_words(command: tuple[str, ...], message: str) -> None:
    printed = httpboot(*command, code=2)
    assert message in printed
    assert "s3cr3t" not in printed


@pytest.mark.parametrize("module", ["typer", "ironic_httpboot.cli.output", "ironic_httpboot.cli.serve", "aiohttp"])
def test_ctrl_c_is_heeded_while_the_command_is_still_loading(module: str) -> None:
    script = f"""
import signal, sys
from ironic_httpboot.cli.start import main

class Impatient:
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Impatient())
sys.argv = ["httpboot", "serve", "--root", "/"]
main()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


def test_an_option_that_does_not_exist_is_told_so() -> None:
    assert "No such option" in httpboot("boot", "--nonsense", code=2)


def test_half_the_credentials_are_refused(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("x")
    common = ("boot", "http://192.0.2.1/x.iso", "--bmc", "https://127.0.0.1:9")
    assert "give --username as well" in httpboot(*common, "--password-file", tmp_path / "password", code=2)
    assert "HTTPBOOT_BMC_PASSWORD" in httpboot(*common, "--username", "operator", code=2)
    assert "read as password file" in httpboot(
        *common, "--username", "x", "--password-file", tmp_path / "missing", code=2
    )


def test_a_bmc_that_is_not_there_is_exit_code_4() -> None:
    printed = httpboot("boot", "http://192.0.2.1/x.iso", "--bmc", "http://127.0.0.1:9", code=4)
    assert "127.0.0.1: GET /redfish/v1/ → Connection refused" in printed


def test_a_missing_part_is_exit_code_3_and_named_with_its_package(tmp_path: Path) -> None:
    printed = httpboot("demo", code=3, environment={"HTTPBOOT_PARTS": str(tmp_path)})
    assert "install the package linux-image-cloud-amd64, or run `make setup`" in printed


def test_a_url_that_cannot_work_on_some_machines_is_warned_about() -> None:
    printed = httpboot("boot", "http://localhost/x.bin?s3cr3t", "--bmc", "http://127.0.0.1:9", code=4)
    assert "localhost is the machine itself" in printed
    assert "does not end in .efi, .iso or .img" in printed
    assert "s3cr3t" not in printed
