"""Configuration files: what is wrong is named by file, line and key; and where the parts of a boot are found."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironic_httpboot import config
from ironic_httpboot.config import EmulateFile, HttpTable, ServeFile
from ironic_httpboot.errors import BadConfig, HostError
from ironic_httpboot.model import Arch

EMULATE = """\
[emulator]
state = "state"

[[machine]]
id = "node-1"

[[machine]]  # another
id = "node-2"
"""


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    return tmp_path / "httpboot.toml"


def complaint(path: Path, text: str | bytes, kind: type[ServeFile] | type[EmulateFile]) -> str:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(BadConfig) as caught:
        config.read(path, ServeFile) if kind is ServeFile else config.read(path, EmulateFile)
    return caught.value.message


def test_an_empty_file_to_serve_with_is_all_defaults(toml: Path) -> None:
    toml.write_text("")
    assert config.read(toml, ServeFile) == ServeFile(http=HttpTable(listen="127.0.0.1:8080"))


def test_every_key_of_http_is_read(toml: Path) -> None:
    toml.write_text(
        '[http]\nlisten = "[::]:8080"\nstore = "/srv/store"\nfolders = ["/srv/a", "/srv/b"]\n'
        "connections = 10\nidle_seconds = 2.5\n"
    )
    assert config.read(toml, ServeFile).http == HttpTable(
        listen="[::]:8080",
        store=Path("/srv/store"),
        folders=(Path("/srv/a"), Path("/srv/b")),
        connections=10,
        idle_seconds=2.5,
    )


def test_machines_are_read_with_their_defaults(toml: Path) -> None:
    toml.write_text(EMULATE + 'mac = "52:54:00:AB:CD:EF"\narch = "arm64"\nnetwork = "tap:tap0"\nsecure_boot = true\n')
    first, second = config.read(toml, EmulateFile).machine
    assert (first.id, first.mac, first.arch, first.memory_mib, first.cpus) == ("node-1", None, Arch.X64, 1024, 1)
    assert (second.mac, second.arch, second.network) == ("52:54:00:ab:cd:ef", Arch.ARM64, "tap:tap0")
    assert second.secure_boot


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("[http]\n\nlisten = 5\n", "line 3: http.listen: "),
        ("# first\n[http]\nlistne = ':80'\n", "line 3: http.listne: "),
        ("[http]\n'connections' = 0\n", "line 2: http.connections: "),
        ("[http]\nconnections = 100001\n", "line 2: http.connections: "),
        ("[http]\nidle_seconds = 0\n", "line 2: http.idle_seconds: "),
        ("[http]\nidle_seconds = nan\n", "line 2: http.idle_seconds: "),
        ("[http]\n  folders = ['a',\n   7]\n", "line 2: http.folders.1: "),
        ("[ http ]  # where\nlisten = 'x'\n", "line 2: http.listen: 'x' is not HOST:PORT"),
        ("http.listen = 'x'\n", "line 1: http.listen: "),
        ("http = { listen = 'x' }\n", "line 1: http.listen: "),
        ("http = 5\n", "line 1: http: "),
        ("\nhtpp = 5\n[http]\n", "line 2: htpp: "),
        ("[http]\n[htpp]\n", "line 2: htpp: "),
    ],
)
def test_a_wrong_key_to_serve_with_is_named_with_its_line(text: str, where: str, toml: Path) -> None:
    assert complaint(toml, text, ServeFile).startswith(f"{toml}, {where}")


DHCP = """\
[dhcp]
interfaces = ["eth0"]
mode = "server"
lease_file = "leases"
[[subnet]]
network = "192.0.2.0/24"
[[machine]]
name = "a"
mac = "52:54:00:00:00:0a"
addresses = ["192.0.2.8"]
"""
OTHER = '[[machine]]\nmac = "52:54:00:00:00:0b"\n'


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (
            DHCP + '[dhcp.loaders]\namd64 = "http://h/x"\n',
            "line 12: dhcp.loaders.amd64: is no architecture: there are ",
        ),
        (DHCP + '[dhcp.loaders]\nx64 = "ftp://h/x"\n', "line 12: dhcp.loaders.x64: "),
        (DHCP.replace('"eth0"', '"eth0", "eth0"'), "line 2: dhcp.interfaces.1: eth0 is there already"),
        (DHCP + '[[subnet]]\nnetwork = "192.0.2.0/24"\n', "line 12: subnet.1.network: 192.0.2.0/24 is there already"),
        (
            DHCP + '[[subnet]]\nnetwork = "192.0.2.128/25"\n',
            "line 12: subnet.1.network: 192.0.2.128/25 overlaps 192.0.2.0/24: subnet.0.network",
        ),
        (
            DHCP + '[[subnet]]\nnetwork = "2001:db8::/64"\n[[subnet]]\nnetwork = "192.0.0.0/16"\n',
            "line 14: subnet.2.network: 192.0.0.0/16 overlaps 192.0.2.0/24: subnet.0.network",
        ),
        (DHCP + OTHER + 'name = "a"\n', "line 13: machine.1.name: a is there already: machine.0.name"),
        (DHCP + OTHER.replace("0b", "0A"), "line 12: machine.1.mac: 52:54:00:00:00:0a is there already: machine.0.mac"),
        (DHCP + OTHER + 'addresses = ["192.0.2.8"]', "line 13: machine.1.addresses: 192.0.2.8 is there already"),
        (DHCP + OTHER + 'addresses = ["10.0.0.8"]', "line 13: machine.1.addresses: 10.0.0.8 is inside no [[subnet]]"),
        (
            DHCP + OTHER + 'addresses = ["192.0.2.255"]',
            "line 13: machine.1.addresses: 192.0.2.255 is 192.0.2.0/24's broadcast address",
        ),
        (
            DHCP.replace('/24"', '/24"\nrouter = "192.0.2.8"'),
            "line 11: machine.0.addresses: 192.0.2.8 is 192.0.2.0/24's router",
        ),
        (
            DHCP.replace("192.0.2.8", "2001:db8::") + '[[subnet]]\nnetwork = "2001:db8::/64"\n',
            "line 10: machine.0.addresses: 2001:db8:: is 2001:db8::/64's own address",
        ),
        (DHCP + OTHER + 'addresses = ["192.0.2"]', "line 13: machine.1.addresses.0: '192.0.2' is no address such as"),
        (DHCP.replace(".0/24", ".1/24"), "line 6: subnet.0.network: is no network such as 192.0.2.0/24 or 2001"),
        (DHCP.replace('"192.0.2.0/24"', "5"), "line 6: subnet.0.network: is no network such as 192.0.2.0/24 or 2001"),
    ],
)
def test_what_cannot_be_meant_so_is_named_with_its_line(text: str, where: str, toml: Path) -> None:
    message = complaint(toml, text, ServeFile)
    assert message.startswith(f"{toml}, {where}"), message
    assert "pydantic" not in message
    assert "function-" not in message


@pytest.mark.parametrize(
    ("ranges", "said"),
    [
        ("192.0.2.0-192.0.2.9", "holds 192.0.2.0, the network's own address"),
        ("192.0.2.9-192.0.2.255", "holds 192.0.2.255, the network's broadcast address"),
        ("192.0.2.1-192.0.2.9", "holds 192.0.2.1, the network's router"),
        ("192.0.2.5", "is no range of the form FIRST-LAST"),
        ("192.0.2.5-x", "is no range of the form FIRST-LAST"),
    ],
)
def test_a_range_with_an_address_that_no_machine_can_have_is_refused(ranges: str, said: str, toml: Path) -> None:
    text = f'[[subnet]]\nrouter = "192.0.2.1"\nnetwork = "192.0.2.0/24"\nranges = ["{ranges}"]\n'
    assert said in complaint(toml, text, ServeFile)


def test_all_addresses_of_a_network_that_has_two_can_be_given(toml: Path) -> None:
    toml.write_text('[[subnet]]\nnetwork = "192.0.2.0/31"\nranges = ["192.0.2.0-192.0.2.1"]\n')
    assert len(config.read(toml, ServeFile).subnet[0].ranges) == 1


def test_the_tables_of_a_nodes_ports_have_one_name_and_a_mac_each(toml: Path) -> None:
    toml.write_text(OTHER + 'name = "a"\n' + OTHER.replace("0b", "0c") + 'name = "a"\n')
    assert len(config.read(toml, config.MachinesFile).machine) == 2
    toml.write_text(OTHER * 2)
    with pytest.raises(BadConfig, match=r"line 4: machine\.1\.mac: 52:54:00:00:00:0b is there already"):
        config.read(toml, config.MachinesFile)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (EMULATE + "cpus = 0\n", "line 9: machine.1.cpus: "),
        (EMULATE + "cpus = 65\n", "line 9: machine.1.cpus: "),
        (EMULATE + "memory_mib = 128\n", "line 9: machine.1.memory_mib: "),
        (EMULATE + "mac = '52:54:00'\n", "line 9: machine.1.mac: is no MAC address of the form 52:54:00:12:34:56"),
        (EMULATE + "uuid = '1'\n", "line 9: machine.1.uuid: "),
        (EMULATE + "arch = 'mips'\n", "line 9: machine.1.arch: "),
        (EMULATE + "network = 'bridge:br0'\n", "line 9: machine.1.network: "),
        (EMULATE + "network = 'tap:a,script=/x'\n", "line 9: machine.1.network: "),
        (EMULATE.replace("node-2", "../node"), "line 8: machine.1.id: "),
        (EMULATE.replace("node-2", "a/b"), "line 8: machine.1.id: "),
        (EMULATE.replace("node-2", ""), "line 8: machine.1.id: "),
        (EMULATE.replace("node-2", "x" * 64), "line 8: machine.1.id: "),
        (EMULATE.replace('id = "node-2"', ""), "line 7: machine.1.id: "),
        (EMULATE.replace('state = "state"', ""), "line 1: emulator.state: "),
        (EMULATE.partition("[[")[0] + "[machine]\nid = 'x'\n", "line 4: machine: "),
        (EMULATE.partition("[[")[0].replace("[e", "machine = []\n[e"), "line 1: machine: "),
    ],
)
def test_a_wrong_key_of_a_machine_is_named_with_its_line(text: str, where: str, toml: Path) -> None:
    message = complaint(toml, text, EmulateFile)
    assert message.startswith(f"{toml}, {where}"), message


def test_a_table_that_is_missing_is_named(toml: Path) -> None:
    assert complaint(toml, EMULATE.partition("[[")[0], EmulateFile) == f"{toml}: machine: Field required"


def test_a_file_that_is_no_toml_is_refused_with_the_line(toml: Path) -> None:
    assert (
        complaint(toml, "[http]\nlisten = \n", ServeFile) == f"{toml}: is no TOML: Invalid value (at line 2, column 10)"
    )
    assert complaint(toml, b"[http]\n# \xff\n", ServeFile).startswith(f"{toml}: is no TOML: ")
    assert complaint(toml, "a = " + "9" * 5000, ServeFile).endswith("a number has more digits than can be read")
    assert complaint(toml, "a = " + "[" * 100_000, ServeFile) == f"{toml}: is nested too deeply"


def test_a_file_that_cannot_be_read_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match=r"/none\.toml: read → No such file or directory$"):
        config.read(tmp_path / "none.toml", ServeFile)
    with pytest.raises(BadConfig, match=r"read → Is a directory$"):
        config.read(tmp_path, ServeFile)


@pytest.mark.parametrize(
    ("listen", "host", "port"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080),
        ("[::1]:8080", "::1", 8080),
        ("[::]:0", "::", 0),
        ("[fe80::1%eth0]:80", "fe80::1%eth0", 80),
        (":8080", "", 8080),
        ("boot.example.org:65535", "boot.example.org", 65535),
    ],
)
def test_an_address_to_listen_on_is_host_and_port(listen: str, host: str, port: int) -> None:
    assert config.host_and_port(listen) == (host, port)


@pytest.mark.parametrize(
    "listen",
    ["", "8080", "127.0.0.1", "127.0.0.1:", "h:-1", "h:65536", "h:80 ", "h:²", "h:٣", "::1:80", "[::1", "[::1:80",
     "::1]:80", "a]:80", "[]:80", "[a]b:80", "h:1_0", "h:80\n", "http://h:80"],
)  # fmt: skip
def test_what_is_no_host_and_port_is_refused(listen: str) -> None:
    with pytest.raises(ValueError, match="is not HOST:PORT, such as"):
        config.host_and_port(listen)


@pytest.mark.parametrize("listen", ["a..b:80", f"{'a' * 64}:80"])
def test_what_can_be_no_name_is_refused(listen: str) -> None:
    with pytest.raises(ValueError, match="can be no host's name"):
        config.host_and_port(listen)


@given(st.text(max_size=12))
def test_any_text_is_host_and_port_or_refused(text: str) -> None:
    try:
        host, port = config.host_and_port(text)
    except ValueError as error:
        assert "is not HOST:PORT" in str(error)
    else:
        assert 0 <= port <= 65535
        assert not set(host) & set("[]")


def test_a_password_is_read_without_the_end_of_its_line(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_bytes(" correct hörse \r\n".encode())
    assert config.read_secret(path) == " correct hörse "


def test_a_password_file_that_cannot_be_read_is_refused_without_the_password(tmp_path: Path) -> None:
    path = tmp_path / "password"
    with pytest.raises(BadConfig) as caught:
        config.read_secret(path)
    assert str(caught.value) == f"{path}: read as password file → No such file or directory"
    path.write_bytes(b"secret\xff")
    with pytest.raises(BadConfig) as caught:
        config.read_secret(path)
    assert str(caught.value) == f"{path}: read as password file → is not UTF-8"
    assert caught.value.__cause__ is None


def test_a_part_is_found_below_the_first_root_that_has_it(tmp_path: Path) -> None:
    for root in ("b", "c"):
        path = tmp_path / root / "usr" / "lib" / "x.efi"
        path.parent.mkdir(parents=True)
        path.touch()
    roots = [tmp_path / "a", tmp_path / "b", tmp_path / "c"]
    assert config.find_part("usr/lib/x.efi", package="x", what="X", roots=roots) == tmp_path / "b" / "usr/lib/x.efi"


def test_the_last_of_several_versions_of_a_part_is_taken(tmp_path: Path) -> None:
    for name in ("vmlinuz-6.1.0-51-cloud", "vmlinuz-6.1.0-56-cloud", "vmlinuz-6.1.0-49-cloud", "config-7"):
        (tmp_path / name).touch()
    found = config.find_part("vmlinuz-*-cloud", package="x", what="X", roots=[tmp_path])
    assert found.name == "vmlinuz-6.1.0-56-cloud"


@pytest.mark.parametrize("relative", ["usr/lib/x.efi", "usr/*/x.efi", "usr", "u*"])
def test_a_part_that_is_missing_is_named_with_its_package(relative: str, tmp_path: Path) -> None:
    (tmp_path / "usr").mkdir()
    with pytest.raises(HostError) as caught:
        config.find_part(relative, package="x-bin", what="loader X", roots=[tmp_path, tmp_path / "no"])
    assert caught.value.message == f"loader X: looked for {relative} in {tmp_path}, {tmp_path / 'no'} → not found"
    assert caught.value.hint == "install the package x-bin, or run `make setup`"


def test_a_root_that_may_not_be_looked_into_has_no_parts(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "usr").mkdir(parents=True)
    (closed / "usr" / "x").touch()
    closed.chmod(0)
    before = os.geteuid()
    try:
        if before == 0:
            os.seteuid(65534)
        with pytest.raises(HostError, match="not found"):
            config.find_part("usr/x", package="x", what="X", roots=[closed])
    finally:
        os.seteuid(before)
        closed.chmod(0o700)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('backend = "xen"', "machine.0.backend"),
        ('domain = "web"', 'domain is for backend = "libvirt" only'),
        ('backend = "libvirt"\nmemory_mib = 512', "memory_mib comes from the domain's definition"),
        ('backend = "libvirt"\nuri = "qemu+ssh://host/system"', "machine.0.uri"),
    ],
)
def test_a_machine_is_either_qemus_or_libvirts_of_this_host(tmp_path: Path, lines: str, said: str) -> None:
    path = tmp_path / "emulator.toml"
    path.write_text(f'[emulator]\nstate = "rack"\n[[machine]]\nid = "a"\n{lines}\n')
    with pytest.raises(BadConfig) as failure:
        config.read(path, config.EmulateFile)
    assert said in failure.value.message


def test_a_domain_has_the_name_of_its_machine_unless_told_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "emulator.toml"
    path.write_text('[emulator]\nstate = "rack"\n[[machine]]\nid = "a"\nbackend = "libvirt"\n')
    (machine,) = config.read(path, config.EmulateFile).machine
    assert (machine.domain, machine.uri) == (None, "qemu:///system")


DHCP = """\
[dhcp]
interfaces = ["eth1"]
mode = "server"
lease_file = "leases"

[[subnet]]
network = "192.0.2.0/24"
ranges = ["192.0.2.10-192.0.2.20"]

[[machine]]
mac = "52:54:00:12:34:56"
url = "http://{server}:8080/a.iso"
"""


def test_machines_networks_and_how_dhcp_is_answered_stand_in_one_file(toml: Path) -> None:
    toml.write_text(DHCP)
    file = config.read(toml, ServeFile)
    assert file.dhcp is not None
    assert (file.dhcp.mode, file.dhcp.families) == ("server", (4, 6))
    assert [str(address) for address in file.subnet[0].ranges[0]] == ["192.0.2.10", "192.0.2.20"]
    assert file.machine[0].url == "http://{server}:8080/a.iso"


@pytest.mark.parametrize(
    ("was", "is_now", "where"),
    [
        ('lease_file = "leases"', "", "line 1: dhcp: mode server needs a lease_file"),
        ('interfaces = ["eth1"]', "interfaces = []", "line 2: dhcp.interfaces"),
        ("192.0.2.20", "192.0.3.20", "line 6: subnet.0: range 192.0.2.10-192.0.3.20 is not inside 192.0.2.0/24"),
        ("192.0.2.10-192.0.2.20", "192.0.2.20-192.0.2.10", "line 8: subnet.0.ranges.0"),
        ("192.0.2.0/24", "192.0.2.1/24", "line 7: subnet.0.network"),
        ("52:54:00:12:34:56", "52:54", "line 11: machine.0.mac: is no MAC address"),
        ('mac = "52:54:00:12:34:56"', "", "line 10: machine.0: needs mac, uuid or duid"),
        ("http://{server}:8080/a.iso", "ftp://{server}/a.iso", "line 12: machine.0.url: scheme is 'ftp'"),
        ("a.iso", "x" * 230 + ".iso", "line 12: machine.0.url"),
        ('url = "', 'kernel = "k"\nurl = "', "line 10: machine.0: has a url and a kernel"),
        ('url = "', 'url6 = "', "line 10: machine.0: has url6, but no url"),
        ('url = "', 'script6 = "http://a/b"\nurl = "', "line 10: machine.0: has script6, but no script"),
        ('url = "', 'cmdline = "k"\nurl = "', "line 10: machine.0: has initrds or cmdline, but no kernel"),
    ],
)
def test_what_is_wrong_with_dhcp_is_named_by_line_and_key(toml: Path, was: str, is_now: str, where: str) -> None:
    assert where in complaint(toml, DHCP.replace(was, is_now), ServeFile)
