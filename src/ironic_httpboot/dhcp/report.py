"""What a DHCP server has to tell: questions, answers and refusals as events.

Knows how to name a machine and its question in an operator's words. Refuses to know sockets. No URL is ever told: it
may be secret.
"""

from __future__ import annotations

from ironic_httpboot.dhcp import message6
from ironic_httpboot.dhcp.client import Client, Wants, identify4, identify6
from ironic_httpboot.dhcp.decide4 import Reply4
from ironic_httpboot.dhcp.decide6 import Arrival6, Reply6
from ironic_httpboot.dhcp.iana import HOP_LIMIT6, Kind4, Kind6
from ironic_httpboot.dhcp.message4 import UNSPECIFIED, Message4
from ironic_httpboot.dhcp.message6 import AnyMessage6, Message6
from ironic_httpboot.dhcp.policy import Ignore
from ironic_httpboot.errors import MalformedMessage
from ironic_httpboot.events import Event, Failed, Reached, Sink, Stage

_NAMES4 = {kind.value: kind.name for kind in Kind4}
_NEVER_ANSWERED = (Kind4.RELEASE.name, Kind4.DECLINE.name)
_NAMES6 = {kind.value: kind.name for kind in Kind6}


class Reporter:
    """Tells a sink what was heard and what became of it."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def heard4(self, message: Message4, interface: str, reply: Reply4 | Ignore, now: float) -> None:
        """Tell of one DHCPv4 message."""
        kind = _NAMES4.get(message.kind or 0, "message")
        if isinstance(reply, Ignore):
            self._ignored(identify4(message).label, kind, interface, reply, now)
            return
        name = _name(reply)
        if message.kind == Kind4.DISCOVER:
            self._tell(Stage.DISCOVER, name, f"{describe(reply.client)} asks on {interface}", now)
        address = reply.message.yiaddr
        given = "" if address == UNSPECIFIED else str(address)
        match reply.kind:
            case Kind4.OFFER:
                self._tell(Stage.OFFER, name, _gift(given, reply.url_sent), now)
            case Kind4.ACK if message.kind == Kind4.REQUEST:
                self._tell(Stage.LEASE, name, given, now)
            case Kind4.NAK:
                self._sink(Failed(at=now, machine=name, reason=f"{kind} on {interface}: refused", final=False))

    def heard6(
        self, message: AnyMessage6, interface: str, arrival: Arrival6, reply: Reply6 | Ignore, now: float
    ) -> None:
        """Tell of one DHCPv6 message."""
        inner = _innermost(message)
        kind = _NAMES6.get(inner.kind if inner else message.kind, "message")
        if isinstance(reply, Ignore):
            label = identify6(inner, (), arrival.peer).label if inner else str(arrival.peer)
            self._ignored(label, kind, interface, reply, now)
            return
        name = _name(reply)
        given = ", ".join(map(str, reply.leased))
        if kind == Kind6.SOLICIT.name:
            self._tell(Stage.DISCOVER, name, f"{describe(reply.client)} asks on {interface}", now)
        if reply.kind == Kind6.ADVERTISE:
            self._tell(Stage.OFFER, name, _gift(given, reply.url_sent), now)
        elif reply.leased:
            self._tell(Stage.LEASE, name, given, now)

    def _ignored(self, label: str, kind: str, interface: str, reply: Ignore, now: float) -> None:
        what = kind if kind in _NEVER_ANSWERED else f"ignored {kind}"
        self._sink(Failed(at=now, machine=label, reason=f"{what} on {interface}: {reply.why}", final=False))

    def _tell(self, stage: Stage, machine: str, detail: str, now: float) -> None:
        event: Event = Reached(at=now, machine=machine, stage=stage, detail=detail)
        self._sink(event)


def describe(client: Client) -> str:
    """What a client is, in two words."""
    kind = {Wants.URL: "HTTPClient", Wants.SCRIPT: "iPXE", Wants.PXE: "PXEClient", Wants.ADDRESS: "a client"}
    return f"{kind[client.wants]} {client.arch_label or ''}".rstrip()


def _gift(address: str, url_sent: bool) -> str:
    gifts = [f"address {address}"] if address else []
    return " and ".join([*gifts, *(["a URL"] if url_sent else [])]) or "nothing"


def _name(reply: Reply4 | Reply6) -> str:
    return reply.machine.name if reply.machine else reply.client.label


def _innermost(message: AnyMessage6) -> Message6 | None:
    try:
        for _ in range(HOP_LIMIT6 + 1):
            if isinstance(message, Message6):
                return message
            message = message6.decode(message.relayed or b"")
    except MalformedMessage:
        pass
    return None
