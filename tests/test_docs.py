"""The documentation does what it says: its commands run, its examples parse, its tables agree with the code."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import BaseModel

from ironic_httpboot import config, errors
from ironic_httpboot.demo import guest
from ironic_httpboot.dhcp import capture, message4
from ironic_httpboot.dhcp.iana import Kind4, Option4
from ironic_httpboot.events import Stage
from ironic_httpboot.http import manifest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = "--- block {number} ---"


@dataclass(frozen=True)
class Fence:
    """A fenced block. kind: what stands behind the opening fence."""

    kind: str
    text: str


def fences(page: Path) -> list[Fence]:
    return [Fence(kind, text) for kind, text in _FENCE.findall(page.read_text())]


def with_fences(*kinds: str) -> list[object]:
    """The pages that hold such blocks; those that boot a machine are marked."""
    found = [page for page in PAGES if any(fence.kind in kinds for fence in fences(page))]
    return [
        pytest.param(
            page,
            id=page.name,
            marks=[pytest.mark.firmware, pytest.mark.timeout(600)] if page.parent.name == "tutorial" else [],
        )
        for page in found
    ]


@pytest.fixture
def workshop(tmp_path: Path) -> Path:
    """A folder with what examples take for granted: a kernel, a ramdisk, some files."""
    kernel = guest.find_parts().kernel
    (tmp_path / "vmlinuz").write_bytes(kernel.read_bytes())
    (tmp_path / "initrd.img").write_bytes(b"ramdisk")
    (tmp_path / "config").write_text("setting = 1\n")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "node-7.iso").write_bytes(b"image")
    (tmp_path / "boot.pcap").write_bytes((ROOT / "tests/golden/dhcp/ignored4.pcap").read_bytes())
    return tmp_path


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return str(taken.getsockname()[1])


def run_in_shell(script: str, folder: Path) -> str:
    """Run a script as one shell session; nothing of it is left running."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "KERNEL": "vmlinuz",
        "INITRD": "initrd.img",
        "CONFIG": "config",
    }
    process = subprocess.Popen(
        ["bash", "-euc", script],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        printed = process.communicate(timeout=560)[0].decode()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
    assert process.returncode == 0, printed
    return printed


@pytest.mark.parametrize("page", with_fences("sh"))
def test_the_commands_of_a_page_run_and_print_what_it_shows(page: Path, workshop: Path) -> None:
    blocks = [fence for fence in fences(page) if fence.kind in ("sh", "")]
    script = ""
    for number, block in enumerate(blocks):
        if block.kind == "sh":
            script += f"echo '{_MARK.format(number=number)}'\n{block.text}\n"
    for port in sorted(set(re.findall(r"127\.0\.0\.1:(\d{4})", script))):
        script = script.replace(port, free_port())
    printed = run_in_shell(script, workshop)
    for number, block in enumerate(blocks):
        if block.kind == "" and number > 0 and blocks[number - 1].kind == "sh":
            said = printed.split(_MARK.format(number=number - 1))[1].split("--- block ")[0]
            for line in block.text.splitlines():
                pattern = re.escape(line).replace("…", ".*")
                pattern = re.sub(r"(127\\\.0\\\.0\\\.1|10\\\.0\\\.2\\\.2):\d{4}", r"\1:\\d+", pattern)
                assert re.search(rf"^{pattern}\r?$", said, re.MULTILINE), f"{line}\nis not a line of\n{said}"


@pytest.mark.parametrize("page", with_fences("python"))
def test_the_python_of_a_page_runs(page: Path, workshop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workshop)
    for fence in fences(page):
        if fence.kind == "python":
            exec(compile(fence.text, str(page), "exec"), {})


@pytest.mark.parametrize("page", with_fences("toml", "json"))
def test_the_files_of_a_page_are_valid(page: Path, tmp_path: Path) -> None:
    for fence in fences(page):
        if fence.kind == "toml":
            (tmp_path / "file.toml").write_text(fence.text)
            if "[emulator]" in fence.text:
                config.read(tmp_path / "file.toml", config.EmulateFile)
            else:
                config.read(tmp_path / "file.toml", config.ServeFile)
        elif fence.kind == "json":
            decoder = json.JSONDecoder()
            text = fence.text.strip()
            while text:
                _, end = decoder.raw_decode(text)
                text = text[end:].strip()


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text())
    broken = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert broken == []


def table_rows(text: str, heading: str) -> dict[str, list[str]]:
    """The rows of the first table below a heading: first cell → the others, without back quotes."""
    section = text.split(heading, 1)[1].split("\n#", 1)[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return {row[0].strip("` "): [cell.strip(" ") for cell in row[1:]] for row in rows[1:]}


def settings_of(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """Name and default of each key, as the reference writes them."""
    for name, field in model.model_fields.items():
        default = field.get_default()
        if field.is_required():
            yield name, "must be given"
        elif default in (None, (), {}, ""):
            yield name, ""
        elif isinstance(default, tuple):
            yield name, f"`{', '.join(map(str, default))}`"
        elif isinstance(default, bool):
            yield name, f"`{str(default).lower()}`"
        elif isinstance(default, float):
            yield name, f"`{default:g}`"
        else:
            yield name, f"`{getattr(default, 'value', default)}`"


@pytest.mark.parametrize(
    ("heading", "model"),
    [
        ("### `[http]`", config.HttpTable),
        ("### `[dhcp]`", config.DhcpTable),
        ("### `[[subnet]]`", config.SubnetTable),
        ("### `[[machine]]`: who", config.BootedMachineTable),
        ("### `[emulator]`", config.EmulatorTable),
        ("### `[[machine]]`, one", config.MachineTable),
    ],
)
def test_the_configuration_reference_agrees_with_the_code(heading: str, model: type[BaseModel]) -> None:
    rows = table_rows((DOCS / "reference" / "configuration.md").read_text(), heading)
    settings = dict(settings_of(model))
    assert rows.keys() == settings.keys()
    for name, default in settings.items():
        if default:
            assert rows[name][0] == default, name
        else:
            assert "`" not in rows[name][0] or rows[name][0] == "in `certificate`", name


def test_the_packets_of_the_story_are_those_of_its_capture() -> None:
    text = (DOCS / "explanation" / "the-boot-as-a-story.md").read_text()
    told = re.findall(r"^    (\d+\.\d{3}) +(\S+) +→ broadcast +(\w+)(?: .*(http://\S+/)…(/\S+))?", text, re.MULTILINE)
    datagrams = list(capture.read((ROOT / "tests/golden/dhcp/loaders4.pcap").read_bytes()))
    passed = []
    for each in datagrams:
        message = message4.decode(each.payload)
        url = message.by_code.get(Option4.BOOT_FILE, b"").rstrip(b"\0").decode()
        assert message.kind is not None
        passed.append((f"{each.at - datagrams[0].at:.3f}", str(each.source), Kind4(message.kind).name, url))
    assert len(told) >= 10
    for at, source, kind, start, end in told:
        assert any(
            packet[:3] == (at, source, kind) and packet[3].startswith(start) and packet[3].endswith(end)
            for packet in passed
        ), (at, source, kind)


def test_the_manifest_reference_agrees_with_the_code() -> None:
    rows = table_rows((DOCS / "reference" / "manifest.md").read_text(), "# Manifests")
    assert rows.keys() >= set(manifest._Form.model_fields), "every key is described"


def test_every_exit_code_is_described() -> None:
    rows = table_rows((DOCS / "reference" / "command-line.md").read_text(), "## Exit codes")
    kinds = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.HttpBootError)
    ]
    assert {str(kind.exit_code) for kind in kinds} - {"1"} <= rows.keys()


def test_every_stage_is_described() -> None:
    text = (DOCS / "reference" / "command-line.md").read_text().replace("\n", " ")
    assert ", ".join(stage.value for stage in Stage) in text


def test_every_row_beside_ironics_own_names_tests_and_figures_that_there_are() -> None:
    said, _, shown = (DOCS / "explanation" / "why-not-upstream.md").read_text().partition("## What shows it")
    rows = dict(re.findall(r"^\| (\d+) \| (.*) \|$", shown, re.MULTILINE))
    assert list(rows) == re.findall(r"^\| (\d+) \|", said, re.MULTILINE) == [str(number) for number in range(1, 15)]
    figures = (ROOT / "bench" / "RESULTS.md").read_text()
    for number, cell in rows.items():
        tests = re.findall(r"`([\w/]+\.py)::(\w+)`", cell)
        sections = re.findall(r"`(\w+)`", cell.partition("figures:")[2])
        assert tests or sections or cell.startswith("nothing yet"), number
        for file, name in tests:
            assert f"def {name}(" in (ROOT / "tests" / file).read_text(), (number, name)
        assert all(f"\n## {section}:" in figures for section in sections), (number, sections)
