"""How a service that root started goes on as another user."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager

from ironic_httpboot.errors import BadConfig, HostError


def find(user: str) -> pwd.struct_passwd:
    """A user of this host. Raises BadConfig."""
    try:
        return pwd.getpwnam(user)
    except KeyError:
        raise BadConfig(f"dhcp.user: looked up {user!r} → no such user") from None


@contextmanager
def acting_as(user: pwd.struct_passwd) -> Iterator[None]:
    """Be that user for a moment, to see what it may do, or to make what is to be its own. Raises HostError."""
    was, group, groups = os.geteuid(), os.getegid(), os.getgroups()
    if was == user.pw_uid:
        yield
        return
    try:
        os.setgroups([])
        os.setegid(user.pw_gid)
        os.seteuid(user.pw_uid)
    except OSError as error:
        raise HostError(f"become {user.pw_name} → {error.strerror}", hint="only root can") from error
    try:
        yield
    finally:
        os.seteuid(was)
        os.setegid(group)
        os.setgroups(groups)


def become(user: pwd.struct_passwd) -> None:
    """Be that user from now on, for good, with its one group. Raises HostError."""
    if os.geteuid() == user.pw_uid:
        return
    try:
        os.setgroups([])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
    except OSError as error:
        raise HostError(f"become {user.pw_name} → {error.strerror}", hint="only root can") from error
