"""`httpboot explain` on captures of real firmware, in words and as JSON, and on files that are no captures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kit.commands import httpboot
from kit.judges import judge

CAPTURE = Path(__file__).parents[2] / "golden" / "dhcp" / "ignored4.pcap"


def test_it_says_in_words_why_each_offer_is_ignored() -> None:
    said = httpboot("explain", CAPTURE)
    assert "asked by DHCPv4 as HTTPClient:Arch:00016:UNDI:003000" in said
    assert "passed over: it has a URL and no option 60 that begins with HTTPClient: the URL does not count" in said
    assert "→ boots nothing: the firmware says “Server response timeout”" in said
    assert "/secret/" not in said


def test_json_says_the_same_and_no_secret() -> None:
    said = httpboot("explain", "--json", CAPTURE)
    offers = [offer for attempt in json.loads(said)["attempts"] for offer in attempt["offers"]]
    assert {offer["rule"] for offer in offers} == {"NO_CLASS4", "NO_DNS", "UNICAST", "NO_PROXY", "ALONE", None}
    assert "secret" not in said


def test_wireshark_counts_the_same_offers_and_its_pcapng_is_read_as_well(tmp_path: Path) -> None:
    copy = tmp_path / "copy.pcapng"
    judge("editcap", "-F", "pcapng", CAPTURE, copy)
    assert httpboot("explain", copy) == httpboot("explain", CAPTURE)
    first = 'dhcp.option.dhcp == 1 && dhcp.option.vendor_class_id contains "HTTPClient"'
    machines = judge("tshark", "-r", CAPTURE, "-Y", first, "-T", "fields", "-e", "dhcp.hw.mac_addr")
    told = {each["machine"] for each in json.loads(httpboot("explain", "--json", CAPTURE))["attempts"]}
    assert set(machines.decode().split()) == told


def test_what_is_no_capture_or_holds_no_packet_is_refused_by_name(tmp_path: Path) -> None:
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(CAPTURE.read_bytes()[:30])
    assert "cut.pcap: capture: packet header at offset 24 is cut short" in httpboot("explain", cut, code=2)
    assert "is neither pcap nor pcapng" in httpboot("explain", Path(__file__), code=2)
    assert "read → No such file or directory" in httpboot("explain", tmp_path / "none", code=2)
    empty = tmp_path / "empty.pcap"
    empty.write_bytes(CAPTURE.read_bytes()[:24])
    assert "no machine asked for an HTTP boot" in httpboot("explain", empty)


def test_a_capture_that_was_cut_short_is_explained_up_to_there(tmp_path: Path) -> None:
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(CAPTURE.read_bytes()[:-3])
    said = httpboot("explain", cut)
    assert "warning: capture: packet at offset" in said
    assert "passed over: it has a URL and no option 60" in said
    data = json.loads(httpboot("explain", "--json", cut))
    assert data["attempts"]
    assert "is cut short" in data["gaps"][0]


def test_messages_without_their_end_are_counted(tmp_path: Path) -> None:
    short = tmp_path / "short.pcap"
    judge("editcap", "-F", "pcap", "-s", "96", CAPTURE, short)
    said = httpboot("explain", short)
    assert "DHCP messages lack their end and are passed over: capture with tcpdump -s 0" in said
    assert "in what can be read of this capture" in said


@pytest.mark.parametrize(
    ("name", "was", "becomes", "said"),
    [
        ("server4", b"\x0aHTTPClient", b"\x0aNothing!!!", "→ asked 192.0.2.1 for a lease all the same: "),
        (
            "server4",
            b"\x36\x04\xc0\0\2\1\x32\x04",
            b"\x36\x04\xc0\0\2\7\x32\x04",
            "but: it asked 192.0.2.7 for a lease: ",
        ),
    ],
)
def test_what_the_machine_did_goes_before_what_the_rules_foresee(
    name: str, was: bytes, becomes: bytes, said: str, tmp_path: Path
) -> None:
    """As where a BMC told it the URL: then any lease will do, and nothing fails."""
    strange = tmp_path / "strange.pcap"
    data = CAPTURE.with_name(f"{name}.pcap").read_bytes()
    assert was in data
    strange.write_bytes(data.replace(was, becomes))
    told = httpboot("explain", strange)
    assert said + "it was told a URL by other means, as by a BMC" in told
    assert "boots nothing" not in told
    assert "by other means" not in httpboot("explain", CAPTURE.with_name(f"{name}.pcap"))


@pytest.mark.parametrize(
    ("was", "becomes", "shown"),
    [
        (b"http://192.0.2.1:8080/", b"http://a]92.0.2.1:808/", "http://… (no valid URL)"),
        (b"HTTPClient:Arch:00016:", b"HTTPClient:\x1b[2J\x9b00016:", r"as HTTPClient:\x1b[2J\x9b00016:"),
    ],
)
def test_what_no_machine_should_send_is_shown_and_obeyed_by_no_terminal(
    was: bytes, becomes: bytes, shown: str, tmp_path: Path
) -> None:
    strange = tmp_path / "strange.pcap"
    strange.write_bytes(CAPTURE.read_bytes().replace(was, becomes))
    assert len(was) == len(becomes)
    said = httpboot("explain", strange)
    assert shown in said
    assert "\x1b" not in said
    json.loads(httpboot("explain", "--json", strange))
