"""Programs that are measured: how they are started and ended, and what they cost.

A server runs on one core and its clients on another, so that neither takes from the other.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SERVER_CORE, CLIENT_CORE = 0, min(1, (os.cpu_count() or 1) - 1)
HTTPBOOT = Path(sys.executable).with_name("httpboot")
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

_NGINX = """
{user}
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    keepalive_requests 100000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""


class Served:
    """A server that listens. pid: of the process that does the work."""

    def __init__(self, port: int, pid: int) -> None:
        self.port = port
        self.pid = pid

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND

    def exact_cpu_seconds(self) -> float:
        """The same of all threads that run now, in nanoseconds and not in ticks (/proc/PID/schedstat)."""
        tasks = Path(f"/proc/{self.pid}/task").glob("*/schedstat")
        return sum(int(each.read_text().split()[0]) for each in tasks) / 1e9

    def resident_bytes(self) -> int:
        """Memory that it holds now."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024


@contextmanager
def httpboot(*options: str | Path, core: int = SERVER_CORE) -> Iterator[Served]:
    """`httpboot serve`, without a line for each request."""
    with python_server(str(HTTPBOOT), "serve", "-q", *options, core=core) as served:
        yield served


@contextmanager
def python_server(*command: str | Path, core: int = SERVER_CORE) -> Iterator[Served]:
    """A server that takes --listen, in a process of its own."""
    port = _free_port()
    with _running(core, *command, "--listen", f"127.0.0.1:{port}") as process:
        _wait_for(port, process)
        yield Served(port, process.pid)


@contextmanager
def nginx(root: Path, folder: Path) -> Iterator[Served]:
    """nginx as it comes, with one worker and no log. folder: for its own files."""
    port = _free_port()
    folder.mkdir(exist_ok=True)
    configuration = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    configuration.write_text(_NGINX.format(user=user, folder=folder, port=port, root=root))
    with _running(SERVER_CORE, find("nginx"), "-p", folder, "-c", configuration) as process:
        _wait_for(port, process)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        yield Served(port, int(children[0]))


def find(program: str) -> str:
    """Where a program is. Ends the bench where it is missing."""
    path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if path is None:
        sys.exit(f"bench: {program} is missing: run `make setup-test`")
    return path


def on_client_core(*command: str | Path) -> str:
    """Run a client to its end; its standard output."""
    pinned = [find("taskset"), "-c", str(CLIENT_CORE), *command]
    return subprocess.run(pinned, check=True, stdout=subprocess.PIPE, text=True).stdout


def cost_of(*command: str | Path) -> float:
    """Run a program to its end, on the servers' core; its CPU seconds."""
    before = children_seconds()
    pinned = [find("taskset"), "-c", str(SERVER_CORE), *command]
    subprocess.run(pinned, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return children_seconds() - before


def children_seconds() -> float:
    """User and system time of all programs that ran to their end, so far."""
    spent = os.times()
    return spent.children_user + spent.children_system


@contextmanager
def _running(core: int, *command: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [find("taskset"), "-c", str(core), *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.1)
    sys.exit(f"bench: {process.args!r} does not listen (exit code {process.returncode})")
