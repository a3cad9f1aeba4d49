"""`httpboot serve` as an operator meets it: a process with options, a file, signals, output and an exit code."""

from __future__ import annotations

import fcntl
import json
import os
import re
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType

import pytest

from ironic_httpboot.blob import Blob, literal
from ironic_httpboot.http.store import Store
from kit.judges import judge

HTTPBOOT = Path(sys.executable).with_name("httpboot")
LARGE = os.urandom(8 << 20)


class Service:
    """One `httpboot serve`, from its first line to its last."""

    def __init__(self, *options: str | Path, stdout: int = subprocess.PIPE, most_files: int | None = None) -> None:
        limit = None if most_files is None else lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, most_files))
        self.process = subprocess.Popen(
            [HTTPBOOT, "serve", *options],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            env={**os.environ, "NO_COLOR": "1", "PYTHONDEVMODE": "1"},
            preexec_fn=limit,
        )
        self.said = b""
        listening = self.hear(rb"listening on (\S+):(\d+); Ctrl-C stops\n")
        self.host, self.port = listening[1].decode(), int(listening[2])

    def __enter__(self) -> Service:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def hear(self, pattern: bytes, seconds: float = 20) -> re.Match[bytes]:
        """Wait until standard error has said something."""
        assert self.process.stderr is not None
        ends = time.monotonic() + seconds
        while (match := re.search(pattern, self.said)) is None:
            ready, _, _ = select.select([self.process.stderr], [], [], max(0.0, ends - time.monotonic()))
            data = os.read(self.process.stderr.fileno(), 65_536) if ready else b""
            assert data, f"no {pattern!r} in {self.said!r}"
            self.said += data
        return match

    def get(self, path: str, method: str = "GET") -> tuple[int, bytes]:
        connection = HTTPConnection("::1" if self.host == "[::1]" else "127.0.0.1", self.port, timeout=20)
        connection.request(method, path)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, body

    def line(self) -> str:
        """The next line on standard output."""
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], 20)
        assert ready
        return self.process.stdout.readline().decode().rstrip("\n")

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        """Exit code, the rest of standard output, all of standard error."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=20)
        return self.process.returncode, (out or b"").decode(), (self.said + err).decode()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    (root / "small.efi").write_bytes(b"small")
    (root / "large.iso").write_bytes(LARGE)
    return root


@pytest.fixture
def slow(root: Path) -> Iterator[Callable[[Service], socket.socket]]:
    """Begins a download that does not end until it is read."""
    sockets: list[socket.socket] = []

    def begin(service: Service) -> socket.socket:
        client = socket.socket()
        sockets.append(client)
        client.settimeout(20)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        client.connect(("127.0.0.1", service.port))
        client.sendall(b"GET /large.iso HTTP/1.0\r\n\r\n")
        assert client.recv(12) == b"HTTP/1.1 200"
        return client

    yield begin
    for client in sockets:
        client.close()


def fail(*options: str | Path, code: int) -> str:
    """What is said by a service that does not start."""
    done = subprocess.run([HTTPBOOT, "serve", *options], capture_output=True, timeout=20, check=False, text=True)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    return done.stderr


ANYWHERE = ("--listen", "127.0.0.1:0")


# What is served


def test_a_folder_is_served_and_each_request_is_a_line(root: Path) -> None:
    with Service("--root", root, *ANYWHERE) as service:
        assert service.get("/small.efi") == (200, b"small")
        assert re.fullmatch(
            r"\d\d:\d\d:\d\d - 127\.0\.0\.1 GET /small\.efi → 200, 5 of 5 bytes in 0\.\d{3} s", service.line()
        )
        judge("curl", "-sS", "-o", "/dev/null", "-r", "1-2", f"http://127.0.0.1:{service.port}/small.efi")
        assert " GET /small.efi bytes 1-2 → 206, 2 of 2 bytes in " in service.line()
        assert service.get("/nothing")[0] == 404
        assert " GET - → 404, 14 of 14 bytes in " in service.line()
        code, out, err = service.end()
        assert (code, out) == (0, "")
        assert err == (
            f"listening on 127.0.0.1:{service.port}; Ctrl-C stops\n"
            "stopping: downloads under way are finished first; Ctrl-C again ends them\n"
        )


def test_what_is_published_while_it_runs_is_served_and_its_secret_never_shown(tmp_path: Path) -> None:
    with Service("--store", tmp_path / "store", *ANYWHERE, "--json") as service:
        store = Store(tmp_path / "store")
        publication = store.publish(Blob.of(literal(b"image")), name="node-1.iso", machine="node-1")
        assert service.get(publication.path) == (200, b"image")
        event = json.loads(service.line())
        assert event.pop("at") == pytest.approx(time.time(), abs=30)
        assert 0 <= event.pop("elapsed_seconds") < 10
        assert event == {
            "kind": "Transfer",
            "machine": "node-1",
            "peer": "127.0.0.1",
            "method": "GET",
            "path": "/…/node-1.iso",
            "status": 200,
            "range": None,
            "sent_bytes": 5,
            "total_bytes": 5,
            "finished": True,
            "stage": "GET",
        }
        store.withdraw(publication)
        assert service.get(publication.path)[0] == 404
        code, out, err = service.end()
        assert (code, out.count("\n")) == (0, 1)
        assert publication.token not in out + err


def test_expired_images_are_removed_at_the_start(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.publish(Blob.of(literal(b"old")), name="a.iso", expires_at=time.time() - 1)
    lasting = store.publish(Blob.of(literal(b"new")), name="a.iso", expires_at=time.time() + 3600)
    with Service("--store", tmp_path / "store", *ANYWHERE, "-q") as service:
        assert service.get(lasting.path) == (200, b"new")
        assert [path.stem for path in (tmp_path / "store").iterdir()] == [lasting.token]


def test_a_store_that_cannot_be_swept_for_a_reason_nobody_thought_of_is_said_and_served(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    lasting = store.publish(Blob.of(literal(b"new")), name="a.iso")
    with (tmp_path / "store" / "damaged.json").open("wb") as stream:
        stream.truncate(1 << 40)  # a hole: there is no memory for so much
    with Service("--store", tmp_path / "store", *ANYWHERE, "-q") as service:
        service.hear(rb"sweeping the stores: went wrong unexpectedly, and is tried again\nTraceback")
        service.hear(rb"\nMemoryError\n")
        assert service.get(lasting.path) == (200, b"new")
        assert service.end()[0] == 0


def test_quiet_prints_no_requests(root: Path) -> None:
    with Service("--root", root, *ANYWHERE, "-q") as service:
        assert service.get("/small.efi")[0] == 200
        code, out, _ = service.end()
        assert (code, out) == (0, "")


@pytest.mark.parametrize(
    ("listen", "host"), [("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "[::1]"), ("localhost:0", "localhost"), (":0", "*")]
)
def test_where_it_listens_is_shown_as_a_url_has_it(root: Path, listen: str, host: str) -> None:
    with Service("--root", root, "--listen", listen) as service:
        assert service.host == host
        assert service.get("/small.efi") == (200, b"small")


def test_everything_from_a_file(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "other.efi").write_bytes(b"other")
    file = tmp_path / "serve.toml"
    file.write_text(
        "[http]\n"
        'listen = "127.0.0.1:0"\n'
        f'store = "{tmp_path / "store"}"\n'
        f'folders = ["{root}", "{other}"]\n'
        "connections = 1\n"
        "idle_seconds = 0.5\n"
    )
    with Service("-c", file) as service:
        publication = Store(tmp_path / "store").publish(Blob.of(literal(b"image")), name="a.iso")
        with socket.create_connection(("127.0.0.1", service.port), timeout=20) as only:
            assert b" 503 " in ask(service.port, "/small.efi")
            began = time.monotonic()
            assert only.recv(1) == b""
            assert time.monotonic() - began < 10
        for path, content in (("/small.efi", b"small"), ("/other.efi", b"other"), (publication.path, b"image")):
            assert again(service, path) == (200, content)
        assert "warning" not in service.end()[2].lower().replace("warning ironic_httpboot", "")


def ask(port: int, path: str) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        answer = b""
        while data := client.recv(65_536):
            answer += data
        return answer


def again(service: Service, path: str) -> tuple[int, bytes]:
    """Ask until there is room: the connection before may not be gone yet."""
    for _ in range(100):
        status, body = service.get(path)
        if status != 503:
            return status, body
        time.sleep(0.05)
    raise AssertionError("never any room")


def test_options_win_over_the_file(root: Path, tmp_path: Path) -> None:
    file = tmp_path / "serve.toml"
    file.write_text('[http]\nlisten = "192.0.2.1:80"\nfolders = ["/nowhere"]\n')
    with Service("-c", file, "--root", root, *ANYWHERE) as service:
        assert service.get("/small.efi") == (200, b"small")


# What is wrong is said


@pytest.mark.parametrize(
    ("text", "line", "complaint"),
    [
        ('[http]\nlisten = "8080"\n', 2, "http.listen: '8080' is not HOST:PORT"),
        ('[http]\n\nfolders = "/srv"\n', 3, "http.folders: "),
        ("[http]\nconnections = 0\n", 2, "http.connections: "),
        ("[http]\nidle_seconds = -1\n", 2, "http.idle_seconds: "),
        ("[http]\n# a comment\nfolder = []\n", 3, "http.folder: Extra inputs are not permitted"),
    ],
)
def test_a_bad_file_is_named_with_line_and_key(tmp_path: Path, text: str, line: int, complaint: str) -> None:
    file = tmp_path / "serve.toml"
    file.write_text(text)
    assert f"error: {file}, line {line}: {complaint}" in fail("-c", file, code=2)


@pytest.mark.parametrize(
    ("text", "complaint"), [("[http\n", "is no TOML: "), ("[https]\n", "https: Extra inputs are not permitted")]
)
def test_a_file_that_is_no_configuration_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "serve.toml"
    file.write_text(text)
    said = fail("-c", file, code=2)
    assert str(file) in said
    assert complaint in said


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    said = fail("-c", tmp_path / "none.toml", code=2)
    assert said == f"error: {tmp_path}/none.toml: read → No such file or directory\n"


def test_nothing_to_serve_is_said_with_what_to_give(tmp_path: Path) -> None:
    assert fail(code=2) == "error: nothing to serve\n  hint: give --root DIR, --store DIR, or a file with -c\n"


@pytest.mark.parametrize("listen", ["8080", "localhost", "host:99999", "::1:80", "host:http"])
def test_a_bad_address_is_said_with_an_example(root: Path, listen: str) -> None:
    assert fail("--root", root, "--listen", listen, code=2) == (
        f"error: --listen: '{listen}' is not HOST:PORT, such as 0.0.0.0:8080 or [::]:8080\n"
    )


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    said = fail("--root", tmp_path / "none", *ANYWHERE, code=3)
    assert said == (f"error: folder {tmp_path}/none: is no folder\n  hint: make it, or name another with --root\n")


def test_a_port_in_use_is_said_with_what_to_do(root: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert fail("--root", root, "--listen", f"127.0.0.1:{port}", code=3) == (
            f"error: listen on 127.0.0.1:{port} → Address already in use\n"
            "  hint: another program listens there; give another port\n"
        )


def test_an_error_as_json_for_programs() -> None:
    done = subprocess.run([HTTPBOOT, "serve", "--json"], capture_output=True, timeout=20, check=False, text=True)
    assert (done.returncode, done.stderr) == (2, "")
    assert json.loads(done.stdout) == {
        "error": {
            "kind": "InputError",
            "message": "nothing to serve",
            "hint": "give --root DIR, --store DIR, or a file with -c",
        }
    }


def test_trouble_with_a_file_is_logged(root: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    publication = store.publish(Blob.of(literal(b"image")), name="a.iso")
    (tmp_path / "store" / f"{publication.token}.json").write_text("{")
    with Service("--store", tmp_path / "store", *ANYWHERE) as service:
        assert service.get(publication.path)[0] == 404
        service.hear(rb"ERROR .*: found a damaged manifest: ")
        assert publication.token not in service.end()[2]


# The end


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_told_to_stop_it_finishes_downloads_and_takes_no_new_ones(
    root: Path, slow: Callable[[Service], socket.socket], number: int
) -> None:
    with Service("--root", root, *ANYWHERE) as service:
        client = slow(service)
        service.process.send_signal(number)
        service.hear(rb"stopping: downloads under way are finished first")
        time.sleep(0.3)
        assert service.process.poll() is None
        with pytest.raises(ConnectionRefusedError):
            service.get("/small.efi")
        body = b""
        while data := client.recv(1 << 20):
            body += data
        assert body.endswith(LARGE)
        out, err = service.process.communicate(timeout=20)
        assert service.process.returncode == 0
        assert out.decode().count(f" → 200, {len(LARGE)} of {len(LARGE)} bytes in ") == 1
        assert b"Traceback" not in err


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_told_twice_it_ends_at_once_and_says_what_was_broken(
    root: Path, slow: Callable[[Service], socket.socket], first: int, second: int
) -> None:
    with Service("--root", root, *ANYWHERE) as service:
        slow(service)
        service.process.send_signal(first)
        service.hear(rb"stopping: downloads under way are finished first")
        time.sleep(0.2)
        began = time.monotonic()
        code, out, err = service.end(second)
        assert time.monotonic() - began < 5
        assert code == 130
        assert err.endswith("interrupted\n")
        assert "Traceback" not in err
        assert re.search(rf" GET /large\.iso → 200, \d+ of {len(LARGE)} bytes in ", out)


def test_a_reader_of_its_output_that_goes_away_stops_nothing(root: Path) -> None:
    with Service("--root", root, *ANYWHERE) as service:
        assert service.process.stdout is not None
        service.process.stdout.close()
        service.process.stdout = None
        for _ in range(3):
            assert service.get("/small.efi") == (200, b"small")
        service.hear(rb"warning: standard output: written \xe2\x86\x92 Broken pipe; requests are no longer shown\n")
        assert service.end()[0] == 0


def test_an_output_that_nobody_reads_stops_nothing_and_what_was_lost_is_said(root: Path) -> None:
    with Service("--root", root, *ANYWHERE) as service:
        assert service.process.stdout is not None
        room = fcntl.fcntl(service.process.stdout, fcntl.F_SETPIPE_SZ, 16_384)
        for _ in range(400):
            assert service.get("/small.efi") == (200, b"small")
        service.hear(rb"warning: standard output: nobody reads it; what happens until then is not shown\n")
        shown = os.read(service.process.stdout.fileno(), room).count(b"\n")
        assert service.get("/small.efi") == (200, b"small")
        lost = service.hear(rb"warning: standard output: (\d+) events were not shown: nobody read it\n")
        code, rest, _ = service.end()
        assert code == 0
        assert shown + int(lost[1]) + rest.count(" GET /small.efi → 200, ") == 401


def test_warnings_that_nobody_reads_stop_nothing_either(root: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    damaged = store.publish(Blob.of(literal(b"image")), name="a.iso")
    (tmp_path / "store" / f"{damaged.token}.json").write_text("{")
    with Service("--root", root, "--store", tmp_path / "store", *ANYWHERE, stdout=subprocess.DEVNULL) as service:
        assert service.process.stderr is not None
        fcntl.fcntl(service.process.stderr, fcntl.F_SETPIPE_SZ, 4096)
        for _ in range(200):
            assert service.get(damaged.path)[0] == 404
        os.read(service.process.stderr.fileno(), 4096)
        assert service.get(damaged.path)[0] == 404
        service.hear(rb"\(\d+ messages are lost: nobody read them\)\n")
        assert service.get("/small.efi") == (200, b"small")


def test_an_output_that_knows_no_arrows_stops_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    with Service("--root", root, *ANYWHERE) as service:
        assert service.get("/small.efi") == (200, b"small")
        assert r" GET /small.efi \u2192 200, " in service.line()


# What this host allows


def test_the_limit_on_open_files_is_raised_as_far_as_the_connections_need(root: Path) -> None:
    with Service("--root", root, *ANYWHERE, most_files=10_000) as service:
        limits = Path(f"/proc/{service.process.pid}/limits").read_text()
        assert re.search(r"Max open files +3136 +10000 ", limits)
        assert "warning" not in service.end()[2]


def test_a_limit_on_open_files_that_is_too_low_is_said(root: Path) -> None:
    with Service("--root", root, *ANYWHERE, most_files=500) as service:
        assert service.get("/small.efi") == (200, b"small")
        _, _, err = service.end()
        assert err.startswith(
            "warning: 500 open files are allowed, and as many connections may need 3136\n"
            "  hint: raise the limit (LimitNOFILE in systemd), or lower http.connections\n"
        )
