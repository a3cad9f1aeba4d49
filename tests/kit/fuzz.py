"""A coverage-guided fuzz run over both decoders and both decisions: `python -m kit.fuzz -runs=N`, libFuzzer's options.

Permitted are MalformedMessage from a decoder, and an answer or a reason from a decision; anything else ends the run.
"""

from __future__ import annotations

import sys
from ipaddress import IPv6Address

import atheris

from ironic_httpboot.errors import MalformedMessage

with atheris.instrument_imports(include=["ironic_httpboot.dhcp"]):
    from ironic_httpboot.dhcp import message4, message6
    from ironic_httpboot.dhcp.decide4 import decide4
    from ironic_httpboot.dhcp.decide6 import Arrival6, decide6
    from ironic_httpboot.dhcp.policy import Ignore, Mode
    from kit.dhcp import SERVER4, SERVER6, SERVER_DUID, leases, policy, question4, question6

_POLICIES = (policy(Mode.SERVER), policy(Mode.PROXY))
_ARRIVAL = Arrival6(peer=IPv6Address("fe80::1"), server=SERVER6, duid=SERVER_DUID)
_HEADER = message4.encode(question4())[:240]


def once(data: bytes) -> None:
    """One message of each family. Half of the DHCPv4 ones get a header that can be read."""
    for bytes4 in (data, _HEADER + data):
        try:
            read4 = message4.decode(bytes4)
        except MalformedMessage:
            continue
        assert message4.encode(read4) == bytes4
        for each in _POLICIES:
            reply4 = decide4(read4, SERVER4, each, leases(4), 0)
            assert isinstance(reply4, Ignore) or message4.decode(message4.encode(reply4.message)) == reply4.message
    try:
        read6 = message6.decode(data)
    except MalformedMessage:
        return
    assert message6.encode(read6) == data
    for each in _POLICIES:
        reply6 = decide6(read6, _ARRIVAL, each, leases(6), 0)
        assert isinstance(reply6, Ignore) or message6.decode(message6.encode(reply6.message)) == reply6.message


def main() -> None:
    """Run, beginning with what firmware sends."""
    for seed in (message4.encode(question4())[240:], message6.encode(question6())):
        once(seed)
    atheris.Setup(sys.argv, once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
