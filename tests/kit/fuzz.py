"""A coverage-guided fuzz run over both decoders, both decisions and what is told of them.

`python -m kit.fuzz FOLDER -runs=N` with libFuzzer's options; it keeps there what leads to new code. It begins with what
real firmware, relays and others' clients sent, as the golden captures hold it. Permitted are MalformedMessage from a
decoder, and an answer or a reason from a decision; anything else ends the run.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from ipaddress import IPv6Address
from pathlib import Path

import atheris

from ironic_httpboot.errors import MalformedMessage
from ironic_httpboot.events import Event

with atheris.instrument_imports(include=["ironic_httpboot.dhcp"]):
    from ironic_httpboot.dhcp import message4, message6
    from ironic_httpboot.dhcp.decide4 import decide4
    from ironic_httpboot.dhcp.decide6 import Arrival6, decide6
    from ironic_httpboot.dhcp.iana import Kind4, Kind6
    from ironic_httpboot.dhcp.policy import Ignore, Mode
    from ironic_httpboot.dhcp.report import Reporter
    from kit.captures import GOLDEN, datagrams
    from kit.dhcp import SERVER4, SERVER6, SERVER_DUID, leases, policy, question4, question6

_POLICIES = (policy(Mode.SERVER), policy(Mode.PROXY))
_ARRIVAL = Arrival6(peer=IPv6Address("fe80::1"), server=SERVER6, duid=SERVER_DUID)
_HEADER_BYTES = 240
_HEADER = message4.encode(question4())[:_HEADER_BYTES]


def once(data: bytes) -> None:
    """One message of each family. Half of the DHCPv4 ones get a header that can be read."""
    told: list[Event] = []
    reporter = Reporter(told.append)
    for bytes4 in (data, _HEADER + data):
        try:
            read4 = message4.decode(bytes4)
        except MalformedMessage:
            continue
        assert message4.encode(read4) == bytes4
        for each in _POLICIES:
            reply4 = decide4(read4, SERVER4, each, leases(4), 0)
            assert isinstance(reply4, Ignore) or message4.decode(message4.encode(reply4.message)) == reply4.message
            reporter.heard4(read4, "eth0", reply4, 0)
    try:
        read6 = message6.decode(data)
    except MalformedMessage:
        return
    assert message6.encode(read6) == data
    for each in _POLICIES:
        reply6 = decide6(read6, _ARRIVAL, each, leases(6), 0)
        assert isinstance(reply6, Ignore) or message6.decode(message6.encode(reply6.message)) == reply6.message
        reporter.heard6(read6, "eth0", _ARRIVAL, reply6, 0)


def seeds() -> Iterator[bytes]:
    """What a run begins with."""
    for path in sorted(GOLDEN.glob("*.pcap")):
        for each in datagrams(path):
            yield each.data
            if each.version == 4:
                yield each.data[_HEADER_BYTES:]
    for kind4 in Kind4:
        yield message4.encode(question4(kind4))[_HEADER_BYTES:]
    for kind6 in Kind6:
        yield message6.encode(question6(kind6, address="2001:db8::10", server=SERVER_DUID))
        yield message6.encode(question6(kind6, address="2001:db8::10"))


def main() -> None:
    """Run."""
    folder = Path(sys.argv[1])
    for number, seed in enumerate(seeds()):
        (folder / f"seed-{number}").write_bytes(seed)
    atheris.Setup(sys.argv, once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
