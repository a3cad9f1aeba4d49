"""A libvirt of a test's own: a daemon in the test's folder, with its own socket, that no other libvirt hears of.

It is libvirt's session mode, which keeps everything where XDG's variables point and asks for no system user, no D-Bus
and no control groups. libvirtd goes by its user's number, not by its rights: root runs it in a user namespace where it
is somebody else.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

import pytest

from ironic_httpboot.emulator import firmware
from ironic_httpboot.emulator.firmware import Firmware
from ironic_httpboot.emulator.machine import DomainName, Specification
from ironic_httpboot.model import Arch
from kit.judges import judge

needs_libvirt = pytest.mark.skipif(
    shutil.which("libvirtd", path="/usr/sbin:/usr/bin:/sbin:/bin") is None, reason="libvirtd is not installed"
)

_XML = """
<domain type='qemu'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <memory unit='MiB'>{memory_mib}</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <loader readonly='yes' type='pflash'>{code}</loader>
    <nvram{template}>{variables}</nvram>
  </os>
  <features><acpi/><apic/></features>
  <cpu mode='maximum'/>
  <devices>
    <interface type='user'>
      <mac address='52:54:00:6c:76:01'/>
      <model type='virtio'/>
      <rom enabled='no'/>
    </interface>
    {serial}
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
    <memballoon model='none'/>
  </devices>
</domain>
"""


class Libvirt:
    """Use it in a with statement. At its end all its domains are destroyed, and then the daemon is ended.

    kept: where variables and serial logs go, which may be looked at afterwards.
    """

    def __init__(self, kept: Path) -> None:
        self._kept = kept
        # The daemon's own files have a short path, as sockets are among them.
        self._temporary = tempfile.TemporaryDirectory(prefix="libvirt-")
        self.folder = Path(self._temporary.name)
        self.firmware: Firmware = firmware.find(Arch.X64)
        self.uri = f"qemu+unix:///session?socket={self.folder}/run/libvirt/libvirt-sock"

    def __enter__(self) -> Libvirt:
        settings = self.folder / "config" / "libvirt"
        settings.mkdir(parents=True)
        for name in ("run", "cache", "data"):
            (self.folder / name).mkdir(mode=0o700)
        (settings / "libvirtd.conf").write_text(f'log_outputs = "3:file:{self.folder}/libvirtd.log"\n')
        (settings / "qemu.conf").write_text('security_driver = "none"\nstdio_handler = "file"\n')
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._daemon.poll() is not None:
            self.start()
        for name in self.virsh("list", "--name").split():
            self.virsh("destroy", name)
        self.stop()
        self._temporary.cleanup()

    def start(self) -> None:
        """Start the daemon; return when it answers."""
        somebody = ["unshare", "--user", "--map-user=1000", "--map-group=1000"] if os.geteuid() == 0 else []
        xdg = {f"XDG_{kind}_HOME": str(self.folder / kind.lower()) for kind in ("CONFIG", "CACHE", "DATA")}
        with (self.folder / "output.log").open("ab") as output:
            self._daemon = subprocess.Popen(
                [*somebody, "libvirtd", "--pid-file", str(self.folder / "libvirtd.pid")],
                env={
                    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                    "HOME": str(self.folder),
                    "XDG_RUNTIME_DIR": str(self.folder / "run"),
                    **xdg,
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        deadline = time.monotonic() + 30
        while subprocess.run(["virsh", "-c", self.uri, "list"], capture_output=True, check=False).returncode:
            said = (self.folder / "output.log").read_text()
            assert self._daemon.poll() is None, f"libvirtd ended: {said}"
            assert time.monotonic() < deadline, f"libvirtd does not answer: {said}"
            time.sleep(0.1)

    def stop(self) -> None:
        """End the daemon; domains run on."""
        self._daemon.terminate()
        self._daemon.wait(timeout=30)

    def virsh(self, *arguments: str | Path) -> str:
        """Do as an operator would. Fails with virsh's words."""
        return judge("virsh", "--quiet", "--connect", self.uri, *arguments).decode()

    def define(
        self, name: str, *, memory_mib: int = 256, template: bool = True, serial: str | None = None
    ) -> Specification:
        """Define a domain, or define it anew; return what the emulator is to be told of it.

        serial: XML of its serial port; without it, one whose log is in the folder.
        """
        made_from = f" template='{self.firmware.variables}'" if template else ""
        xml = _XML.format(
            name=name,
            uuid=uuid.uuid5(uuid.NAMESPACE_DNS, name),
            memory_mib=memory_mib,
            code=self.firmware.code,
            template=made_from,
            variables=self.variables(name),
            serial=f"<serial type='pty'><log file='{self.console(name)}' append='on'/></serial>"
            if serial is None
            else serial,
        )
        file = self.folder / f"{name}.xml"
        file.write_text(xml)
        self.virsh("define", file)
        return Specification(id=name, uuid="", mac="", domain=DomainName(uri=self.uri, name=name))

    def forget(self, name: str) -> None:
        """Destroy a domain, if it is there, and all that there is of it."""
        if name in self.virsh("list", "--name").split():
            self.virsh("destroy", name)
        if name in self.virsh("list", "--name", "--all").split():
            self.virsh("undefine", name, "--keep-nvram", "--managed-save")
        if self.variables(name).is_dir():
            self.variables(name).rmdir()
        self.variables(name).unlink(missing_ok=True)
        self.console(name).unlink(missing_ok=True)

    def variables(self, name: str) -> Path:
        """A domain's nvram file."""
        return self._kept / f"{name}_VARS.fd"

    def console(self, name: str) -> Path:
        """A domain's serial log. Each has a folder, as the emulator's own machines have."""
        folder = self._kept / name
        folder.mkdir(exist_ok=True)
        return folder / "console.log"

    def is_on(self, name: str) -> bool:
        """What libvirt says."""
        return self.virsh("domstate", name).strip() == "running"
