"""Between Ironic's world and ours, once: errors become Ironic's, a node's fields become our values.

Knows what Ironic calls an architecture and which of its exceptions says what. Refuses to know boots.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from ironic.common import exception
from ironic.conf import CONF
from ironic.drivers import utils as driver_utils
from ironic.objects.node import Node
from oslo_utils import strutils

from ironic_httpboot.config import Payload
from ironic_httpboot.errors import BmcError, BmcUnreachable, HttpBootError, InputError
from ironic_httpboot.model import Arch, Chain

_Choice = TypeVar("_Choice", Chain, Payload)

_FOR_COMMANDS = re.compile(r"(?:^|\s)--[a-z]|\bhttpboot (?:boot|clear|probe)\b")
_ARCHES = {"x86_64": Arch.X64, "amd64": Arch.X64, "aarch64": Arch.ARM64, "arm64": Arch.ARM64}


@contextmanager
def ironic_errors() -> Iterator[None]:
    """Turn our failures into Ironic's, with the words that an operator reads in last_error."""
    try:
        yield
    except InputError as error:
        raise exception.InvalidParameterValue(in_words(error)) from error
    except BmcUnreachable as error:
        raise exception.RedfishConnectionError(in_words(error)) from error
    except BmcError as error:
        raise exception.RedfishError(in_words(error)) from error
    except HttpBootError as error:
        raise exception.ImageCreationFailed(in_words(error)) from error


def in_words(error: HttpBootError) -> str:
    """An error on one line. A hint that names an option of a command is none to those who run no command."""
    if error.hint is None or _FOR_COMMANDS.search(error.hint):
        return error.message
    return f"{error.message} (hint: {error.hint})"


def arch_of(node: Node) -> Arch:
    """The architecture of a node; x64 where it does not say. Raises InputError."""
    named = node.properties.get("cpu_arch")
    if not named:
        return Arch.X64
    if not isinstance(named, str) or named not in _ARCHES:
        raise InputError(
            f"node {node.uuid}: properties/cpu_arch is {named!r}, which cannot boot over HTTP",
            hint=f"it is one of {', '.join(_ARCHES)}",
        )
    return _ARCHES[named]


def chain_of(node: Node) -> Chain:
    """What stands between a node's firmware and kernel. Raises InputError."""
    return _choice(node, "httpboot_chain", Chain, CONF.httpboot.chain)


def payload_of(node: Node) -> Payload:
    """What a node's firmware downloads first, where DHCP tells it. Raises InputError."""
    return _choice(node, "httpboot_payload", Payload, CONF.httpboot.payload)


def _choice(node: Node, name: str, kind: type[_Choice], default: str) -> _Choice:
    named = node.driver_info.get(name) or default
    try:
        return kind(named)
    except ValueError:
        raise InputError(
            f"node {node.uuid}: driver_info/{name} is {named!r}",
            hint=f"it is one of {', '.join(each.value for each in kind)}",
        ) from None


def persistence_of(node: Node, *, asked: bool) -> bool:
    """Whether a boot device is to last, where it is asked for once or for good. Raises InputError.

    The node's own word goes before what is asked, as with each device that Ironic sets itself (conductor/utils.py:
    node_set_boot_device). There what is no such word counts as Default.
    """
    named = node.driver_info.get("force_persistent_boot_device")
    if named in (None, "Default"):
        return asked
    if named in ("Always", "Never"):
        return bool(named == "Always")
    try:
        return strutils.bool_from_string(named, strict=True) or asked
    except ValueError:
        raise InputError(
            f"node {node.uuid}: driver_info/force_persistent_boot_device is {named!r}",
            hint="it is Default, Always or Never",
        ) from None


def cmdline_of(node: Node, params: Mapping[str, str | None], *more: str) -> str:
    """The kernel command line: the node's parameters or the configuration's, then params, then more."""
    given = driver_utils.get_kernel_append_params(node, default=CONF.httpboot.kernel_append_params) or ""
    named = [name if value is None else f"{name}={value}" for name, value in params.items()]
    return " ".join(word for word in (given.strip(), *named, *more) if word)
