"""A DHCP server from its start to its end: restarts, reloads, users, and what goes amiss meanwhile."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest

from ironic_httpboot import config
from ironic_httpboot.demo import guest
from ironic_httpboot.dhcp.iana import Kind4
from ironic_httpboot.dhcp.message4 import encode
from ironic_httpboot.image import loaders
from ironic_httpboot.model import Arch
from kit import efi
from kit.commands import httpboot
from kit.dhcp import question4
from kit.network import BRIDGE, SERVER4, SERVER6, namespace
from kit.served import FILE, dhclient, network, send, server_duid, start


def test_leases_are_there_again_after_kill_9(tmp_path: Path) -> None:
    with network(tmp_path) as (host, client, server):
        dhclient(client, tmp_path, "-4")
        server.signal(signal.SIGKILL)
        server.end()
        start(host, tmp_path)
        said = dhclient(client, tmp_path, "-4")
        assert "DHCPREQUEST for 192.0.2.100" in said
        assert "DHCPACK of 192.0.2.100" in said


@pytest.mark.parametrize(("mode", "lease_file"), [("server", True), ("proxy", False)])
def test_the_server_is_the_same_one_after_a_restart_with_another_hardware_address(
    tmp_path: Path, mode: str, lease_file: bool
) -> None:
    file = tmp_path / "httpboot.toml"
    text = FILE.format(folder=tmp_path, more="").replace('mode = "server"', f'mode = "{mode}"')
    file.write_text(text if lease_file else re.sub(r"lease_file = .*\n", "", text))
    with namespace(bridge=(f"{SERVER4}/24", f"{SERVER6}/64")) as host, namespace() as client:
        host.cable("cable", client, "eth0", bridge=BRIDGE)
        identities = []
        for number in range(2):
            host.run("ip", "link", "set", BRIDGE, "address", f"02:00:00:00:00:0{number}")
            server = host.httpboot("serve", "-c", file)
            server.until("answering DHCP")
            identities.append(server_duid(client))
            server.end()
        assert identities[0] == identities[1]
        assert identities[0]


def test_a_reload_changes_what_is_answered_and_keeps_leases(tmp_path: Path) -> None:
    with network(tmp_path) as (_, client, server):
        dhclient(client, tmp_path, "-4")
        file = tmp_path / "httpboot.toml"
        good = file.read_text()
        file.write_text(good.replace("192.0.2.199", "203.0.113.9"))
        server.signal(signal.SIGHUP)
        server.until(r"not reloaded: .*httpboot\.toml, line \d+: subnet\.0: range .* is not inside")
        file.write_text(good.replace("192.0.2.100-", "192.0.2.90-").replace("600", "700"))
        server.signal(signal.SIGHUP)
        server.until("^reloaded")
        said = dhclient(client, tmp_path, "-4")
        assert "DHCPACK of 192.0.2.100" in said
        assert "new_dhcp_lease_time=700\n" in said


def test_a_proxy_does_not_become_a_server_without_a_lease_file_by_a_reload(tmp_path: Path) -> None:
    """Which would lend addresses that nobody knows of after the next start."""
    server_file = FILE.format(folder=tmp_path, more="")
    proxy_file = re.sub(r"mode = .*\nlease_file = .*\n", "", server_file)
    with network(tmp_path) as (host, client, server):
        server.end()
        client.address("eth0", "192.0.2.50/24")
        (tmp_path / "leases").unlink()
        file = tmp_path / "httpboot.toml"
        file.write_text(proxy_file)
        proxy = host.httpboot("serve", "-c", file)
        proxy.until("answering DHCP as proxy")
        file.write_text(server_file.replace("first.iso", "second.iso"))
        proxy.signal(signal.SIGHUP)
        proxy.until("^warning: dhcp.mode: server takes a restart: until then this is a proxy")
        proxy.until("^reloaded")
        send(client, SERVER4, 67, encode(question4()))
        assert proxy.until(r"OFFER: (.*)")[1] == "a URL"


def test_a_loader_that_the_user_may_not_read_keeps_no_reload_from_happening(tmp_path: Path) -> None:
    open_to_everybody(tmp_path)
    private = tmp_path / "images" / "private"
    private.mkdir(parents=True, mode=0o700)
    (private / "loader.efi").write_bytes(efi.kernel())
    loader = 'user = "nobody"\n[dhcp.loaders]\nx64 = "http://{server}:8080/private/loader.efi"\n'
    with network(tmp_path, f'{loader}[http]\nlisten = ":8080"\nfolders = ["{tmp_path}/images"]') as (_, _, server):
        server.signal(signal.SIGHUP)
        server.until(f"^warning: dhcp.loaders.x64: {private}/loader.efi: examined → Permission denied")
        server.until("^reloaded")


def test_a_machine_that_a_second_file_claims_too_goes_on_with_the_first(tmp_path: Path) -> None:
    machine = '[[machine]]\nname = "{name}"\nmac = "52:54:00:12:34:56"\nurl = "http://{{server}}/{name}.iso"\n'
    more = f'machines = "{tmp_path}/machines"\n{machine.format(name="first")}'
    with network(tmp_path, more) as (_, client, server):
        client.address("eth0", "192.0.2.50/24")
        (tmp_path / "machines").mkdir()
        (tmp_path / "machines" / "a.toml").write_text(machine.format(name="second"))
        file = tmp_path / "httpboot.toml"
        claimed = r"machine\.0\.mac: 52:54:00:12:34:56 is there already"
        server.until(rf"left out: {tmp_path}/machines/a\.toml: {claimed}: {file}: machine\.0\.mac")
        server.until("^reloaded")
        send(client, SERVER4, 67, encode(question4()))
        server.until("first OFFER: address")


def monster(file: Path) -> None:
    """A file of a tebibyte, all of it a hole: there is no memory for it."""
    with file.open("wb") as stream:
        stream.truncate(1 << 40)


def test_what_goes_wrong_unexpectedly_while_files_are_read_is_said_and_the_next_change_counts(tmp_path: Path) -> None:
    machines, file = tmp_path / "machines", tmp_path / "httpboot.toml"
    machines.mkdir()
    with network(tmp_path, f'machines = "{machines}"') as (_, client, server):
        client.address("eth0", "192.0.2.50/24")
        wrong = "reading machines and networks again: went wrong unexpectedly, and is tried again"
        monster(machines / "a.toml")
        server.until(wrong)
        server.until("^MemoryError")
        time.sleep(3)
        (machines / "b.toml").write_text('[[machine]]\nname = "late"\nmac = "52:54:00:12:34:56"\n')
        (machines / "a.toml").unlink()
        server.until("^reloaded")
        good = file.read_text()
        monster(file)
        server.signal(signal.SIGHUP)
        server.until(f"(?s){wrong}.*{wrong}")
        file.write_text(good)
        server.signal(signal.SIGHUP)
        server.until("(?s)reloaded.*reloaded")
        send(client, SERVER4, 67, encode(question4()))
        server.until("late OFFER: address")
        assert server.end().count("Traceback") == 2, "what happens again each second is said once"


def test_an_interface_that_is_made_anew_is_answered_again(tmp_path: Path) -> None:
    """As a bridge is when the network is set up again: its old sockets hear nothing."""
    with network(tmp_path) as (host, client, server):
        host.run("ip", "link", "delete", BRIDGE)
        server.until("interface br0: is gone: nobody is answered there until it is back")
        host.bridge(f"{SERVER4}/24", f"{SERVER6}/64")
        host.run("ip", "link", "set", "cable", "master", BRIDGE)
        server.until("interface br0: is back, and answered again")
        assert "new_ip_address=192.0.2.100\n" in dhclient(client, tmp_path, "-4")
        assert "new_ip6_address=2001:db8::100\n" in dhclient(client, tmp_path, "-6")
        assert "Traceback" not in server.end()


def test_an_interface_that_may_not_be_opened_again_is_said_with_the_reason(tmp_path: Path) -> None:
    open_to_everybody(tmp_path)
    with network(tmp_path, 'user = "nobody"') as (host, _, server):
        host.run("ip", "link", "delete", BRIDGE)
        host.bridge(f"{SERVER4}/24", f"{SERVER6}/64")
        server.until("interface br0: is gone")
        server.until(r"UDP port (67|547) on br0: opened → Permission denied\s+hint: DHCP's ports are for root")
        time.sleep(2)
        said = server.end()
        assert said.count("Permission denied") == 1
        assert "Traceback" not in said


def open_to_everybody(folder: Path) -> None:
    folder.chmod(0o777)
    for parent in folder.parents:
        if parent.stat().st_uid == os.geteuid() and str(parent).startswith("/tmp/"):
            parent.chmod(0o755)


def test_root_is_given_up_once_the_ports_are_open(tmp_path: Path) -> None:
    open_to_everybody(tmp_path)
    with network(tmp_path, 'user = "nobody"') as (_, client, server):
        server.signal(signal.SIGHUP)
        server.until("^reloaded")
        status = Path(f"/proc/{server.process.pid}/status").read_text()
        assert re.search(r"^Uid:\s+65534\s+65534\s+65534\s+65534$", status, re.MULTILINE)
        assert "new_ip_address=192.0.2.100\n" in dhclient(client, tmp_path, "-4")
        assert "192.0.2.100 bound" in (tmp_path / "leases").read_text()


def test_where_the_user_may_not_write_the_leases_folder_it_is_said_and_leases_are_kept(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with network(tmp_path, 'user = "nobody"') as (_, client, server):
        assert f"warning: {tmp_path}: is not writable, so that leases is made short at a restart only" in server.printed
        assert "hint: let nobody write there" in server.printed
        assert "new_ip_address=192.0.2.100\n" in dhclient(client, tmp_path, "-4")
        assert "192.0.2.100 bound" in (tmp_path / "leases").read_text()


def with_kernel(folder: Path, monkeypatch: pytest.MonkeyPatch, store: str = "") -> str:
    """More for the file: an image is composed for a machine, of copies that everybody may read."""
    stub = loaders.find(loaders.Loader.EFI_STUB, Arch.X64).path
    copy = folder / "parts" / "usr/lib/systemd/boot/efi" / stub.name
    copy.parent.mkdir(parents=True)
    copy.write_bytes(stub.read_bytes())
    (folder / "vmlinuz").write_bytes(guest.find_parts().kernel.read_bytes())
    monkeypatch.setenv("HTTPBOOT_PARTS", str(folder / "parts"))
    monkeypatch.setenv("TMPDIR", str(folder))
    return (
        f'user = "nobody"\n[http]\nlisten = ":8080"\n{store}\n'
        f'[[machine]]\nname = "one"\nmac = "52:54:00:12:34:56"\nkernel = "{folder}/vmlinuz"\npayload = "uki"\n'
    )


@pytest.mark.parametrize("given", [False, True])
def test_a_user_serves_what_root_composed_and_takes_it_away_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: bool
) -> None:
    open_to_everybody(tmp_path)
    more = with_kernel(tmp_path, monkeypatch, f'store = "{tmp_path}/store"' if given else "")
    with network(tmp_path, more) as (_, client, server):
        client.address("eth0", "192.0.2.50/24")
        send(client, SERVER4, 67, encode(question4(Kind4.DISCOVER)))
        server.until("one OFFER: address .* and a URL")
        (manifest,) = tmp_path.glob("store/*.json" if given else "httpboot-store-*/*.json")
        url = f"http://{SERVER4}:8080/{manifest.stem}/one.efi"
        asked = client.run("curl", "-sS", "-o", tmp_path / "fetched", "-w", "%{http_code} %{size_download}", url)
        assert asked.startswith("200 ")
        assert (tmp_path / "fetched").stat().st_size > (tmp_path / "vmlinuz").stat().st_size
        (tmp_path / "httpboot.toml").write_text((tmp_path / "httpboot.toml").read_text().replace('"one"', '"other"'))
        server.signal(signal.SIGHUP)
        server.until("^reloaded")
        assert "Traceback" not in server.end()
    assert list(tmp_path.glob("httpboot-store-*")) == []


def test_a_signed_grub_of_debians_that_cannot_fetch_anything_is_warned_of_at_the_start_and_at_each_reload(
    tmp_path: Path,
) -> None:
    """As it is, and where a shim fetches it; wherever of this host its URL leads to."""
    grub = "usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed"
    images = tmp_path / "images"
    images.mkdir()
    found = config.find_part(grub, package="grub-efi-amd64-signed", what="GRUB")
    (images / "grubx64.efi").write_bytes(found.read_bytes())
    (images / "shim.efi").write_bytes(loaders.find(loaders.Loader.SHIM, Arch.X64).path.read_bytes())
    loader = '[dhcp.loaders]\nx64 = "http://{server}:8080/%s"\n[http]\nlisten = ":8080"\nfolders = ["%s"]'
    with network(tmp_path, loader % ("grubx64.efi", images)) as (_, _, server):
        warning = f"warning: dhcp.loaders.x64: {images}/grubx64.efi: this GRUB has no module http built in"
        assert warning in server.printed
        file = tmp_path / "httpboot.toml"
        file.write_text(file.read_text().replace("{server}:8080/grubx64.efi", f"{SERVER4}:8080/shim.efi"))
        server.signal(signal.SIGHUP)
        server.until("^reloaded")
        assert server.printed.count(warning) == 2


def test_images_that_no_machine_reaches_are_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_to_everybody(tmp_path)
    more = with_kernel(tmp_path, monkeypatch)
    with network(tmp_path, more.replace('listen = ":8080"', "")) as (_, _, server):
        said = "warning: machine.kernel: images are served on 127.0.0.1:8080, which no machine reaches"
        assert said in server.printed
    with network(tmp_path, more.replace('listen = ":8080"', ""), "--listen", ":8080") as (_, _, server):
        assert "which no machine reaches" not in server.printed


def test_machines_are_answered_while_the_file_is_read_again(tmp_path: Path) -> None:
    with network(tmp_path) as (_, client, server):
        client.address("eth0", "192.0.2.50/24")
        file = tmp_path / "httpboot.toml"
        text = file.read_text().replace("first.iso", "second.iso")
        file.unlink()
        os.mkfifo(file)
        server.signal(signal.SIGHUP)
        with file.open("w") as slow:  # from here the server reads, until this is closed
            send(client, SERVER4, 67, encode(question4()))
            server.until("OFFER: address")
            assert "reloaded" not in server.printed
            slow.write(text)
        server.until("^reloaded")


def test_what_the_user_cannot_read_is_named_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_to_everybody(tmp_path)
    more = with_kernel(tmp_path, monkeypatch)
    (tmp_path / "httpboot.toml").write_text(FILE.format(folder=tmp_path, more=more))
    (tmp_path / "vmlinuz").chmod(0o600)
    with namespace(bridge=(f"{SERVER4}/24", f"{SERVER6}/64")) as host:
        refused = host.httpboot("serve", "-c", tmp_path / "httpboot.toml")
        refused.until(rf"error: {tmp_path}/vmlinuz: is not readable for dhcp.user nobody")
        assert refused.process.wait(20) == 3
        (tmp_path / "vmlinuz").chmod(0o644)
        (tmp_path / "httpboot.toml").chmod(0o600)
        server = start(host, tmp_path)
        assert "httpboot.toml: is not readable for dhcp.user nobody: SIGHUP will fail" in server.printed
    assert list(tmp_path.glob("httpboot-store-*")) == []


def test_what_cannot_be_opened_is_named(tmp_path: Path) -> None:
    file = tmp_path / "httpboot.toml"
    file.write_text('[dhcp]\ninterfaces = ["nothere0"]\n')
    assert "interface nothere0: looked up" in httpboot("serve", "-c", file, code=3)
