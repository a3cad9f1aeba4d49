"""An HTTPS server that is not ours: nginx, with a certificate of a CA that was made for one test."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from kit.judges import judge

_CONFIGURATION = """
{user}
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
events {{ worker_connections 64; }}
http {{
    log_format short '$request_method $uri $status $ssl_protocol';
    access_log {folder}/access.log short;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl;
        root {root};
        ssl_certificate {folder}/server.pem;
        ssl_certificate_key {folder}/server.key;
    }}
}}
"""


class HttpsServer:
    """Use it in a with statement. authority: the CA's certificate, PEM.

    Keys are RSA: OVMF of Debian 12 has no elliptic curves.
    """

    def __init__(self, root: Path, folder: Path, address: str) -> None:
        """root: what is served. folder: for its own files. address: by which clients call it, an IP address."""
        folder.mkdir()
        self.authority = folder / "authority.pem"
        self._log = folder / "access.log"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        key, request, made = folder / "server.key", folder / "server.csr", folder / "server.pem"
        new_key = ("-newkey", "rsa:2048", "-nodes")
        judge(
            "openssl", "req", "-x509", *new_key, "-days", "2", "-subj", "/CN=A test's CA",
            "-keyout", folder / "authority.key", "-out", self.authority,
        )  # fmt: skip
        judge("openssl", "req", *new_key, "-subj", "/CN=images", "-keyout", key, "-out", request)
        (folder / "names").write_text(f"subjectAltName = IP:{address}\n")
        judge(
            "openssl", "x509", "-req", "-days", "2", "-in", request, "-extfile", folder / "names", "-CAcreateserial",
            "-CA", self.authority, "-CAkey", folder / "authority.key", "-out", made,
        )  # fmt: skip
        user = "user root;" if os.geteuid() == 0 else ""
        self._configuration = folder / "nginx.conf"
        self._configuration.write_text(_CONFIGURATION.format(user=user, folder=folder, port=self.port, root=root))

    def __enter__(self) -> HttpsServer:
        program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        assert program, "nginx is missing: run `make setup-test`"
        folder = self._configuration.parent
        with (folder / "output.log").open("wb") as output:
            self._process = subprocess.Popen(
                [program, "-p", folder, "-c", self._configuration], stdout=output, stderr=output
            )
        deadline = time.monotonic() + 30
        while not self._listens():
            said = (folder / "output.log").read_text()
            assert self._process.poll() is None, f"nginx ended: {said}"
            assert time.monotonic() < deadline, f"nginx does not listen: {said}"
            time.sleep(0.1)
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.terminate()
        self._process.wait(10)

    def requests(self) -> list[str]:
        """What was asked so far: method, path, status and version of TLS."""
        return self._log.read_text().splitlines()

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True
