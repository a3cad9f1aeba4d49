"""A real Glance without Keystone, for Ironic's image service: its API, a folder of images, SQLite."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from kit.ironic import free_port, until

_ROOT = Path(__file__).parents[2]
_ENVIRONMENT = _ROOT / ".venv-glance"
_CONFIGURATION = """
[DEFAULT]
enabled_backends = files:file
[glance_store]
default_backend = files
[files]
filesystem_store_datadir = {folder}/images
[os_glance_tasks_store]
filesystem_store_datadir = {folder}/tasks
[os_glance_staging_store]
filesystem_store_datadir = {folder}/staging
[database]
connection = sqlite:///{folder}/glance.sqlite
[paste_deploy]
config_file = {environment}/etc/glance/glance-api-paste.ini
[oslo_policy]
policy_file = {folder}/policy.yaml
[oslo_concurrency]
lock_path = {folder}
"""
_ACTIONS = ("add_image", "publicize_image", "get_image", "get_images", "upload_image", "download_image")
_SECONDS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """endpoint: for [glance]endpoint_override."""

    endpoint: str

    def add(self, name: str, kind: str, data: bytes, properties: Mapping[str, str] | None = None) -> str:
        """Add an image; its UUID. kind: its disk and container format."""
        given = {"name": name, "disk_format": kind, "container_format": kind, "visibility": "public"}
        made = requests.post(f"{self.endpoint}/v2/images", json={**given, **(properties or {})}, timeout=60)
        assert made.ok, made.text
        identity = str(made.json()["id"])
        kinds = {"Content-Type": "application/octet-stream"}
        put = requests.put(f"{self.endpoint}/v2/images/{identity}/file", data=data, headers=kinds, timeout=60)
        assert put.ok, put.text
        return identity


@contextmanager
def glance(folder: Path) -> Iterator[Glance]:
    """Start it. folder: to be made."""
    assert _ENVIRONMENT.is_dir(), f"{_ENVIRONMENT} is missing: run `make setup-test`"
    for name in ("images", "tasks", "staging"):
        (folder / name).mkdir(parents=True)
    file = folder / "glance-api.conf"
    file.write_text(_CONFIGURATION.format(folder=folder, environment=_ENVIRONMENT))
    # Without Keystone nobody has a role.
    (folder / "policy.yaml").write_text("".join(f'{action}: ""\n' for action in _ACTIONS))
    programs = _ENVIRONMENT / "bin"
    environment = {**os.environ, "OS_GLANCE_CONFIG_DIR": str(folder), "PYTHONWARNINGS": "ignore"}
    port = free_port()
    made = Glance(endpoint=f"http://127.0.0.1:{port}")
    with (folder / "log").open("wb") as log:
        subprocess.run(
            [programs / "glance-manage", "--config-file", file, "db_sync"],
            stdout=log, stderr=log, env=environment, timeout=_SECONDS, check=True,
        )  # fmt: skip
        process = subprocess.Popen(
            # -P: `glance` is theirs, not the module beside the program.
            [programs / "python", "-P", Path(__file__).with_name("glance_server.py"), "127.0.0.1", str(port)],
            stdout=log, stderr=log, env=environment,
        )  # fmt: skip

    def answers() -> bool:
        assert process.poll() is None, (folder / "log").read_text()[-3000:]
        try:
            return requests.get(f"{made.endpoint}/v2/images", timeout=30).ok
        except requests.RequestException:
            return False

    try:
        until(answers, seconds=_SECONDS, what="Glance answers", log=folder / "log")
        yield made
    finally:
        process.terminate()
        process.wait(30)
