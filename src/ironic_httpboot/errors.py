"""One tree of failures, split by blame.

Knows how an operator reads an error: what was tried, what came back, and a hint that names the key or step to change.
Refuses to know who raises them. Any exception that is not in this tree is a bug.
"""

from __future__ import annotations

from typing import ClassVar


class HttpBootError(Exception):
    """A failure that an operator can act on.

    message: "subject: what was tried → what came back". hint: the key or step to change, without the word "hint".
    exit_code: what the command line exits with; see docs/reference/command-line.md.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n  hint: {self.hint}"


class InputError(HttpBootError):
    """What the operator gave cannot work: nothing was touched."""

    exit_code = 2


class BadUrl(InputError):
    """A URL that no firmware could boot from."""


class BadRecipe(InputError):
    """A recipe, or a file that it names, from which no bootable image can be composed."""


class BadConfig(InputError):
    """A configuration file that cannot be read; names file and key."""


class FileChanged(InputError):
    """A file that is part of an image is no longer the file that was examined."""


class HostError(HttpBootError):
    """This host lacks something: a program, a package, a permission, room on disk."""

    exit_code = 3


class BmcError(HttpBootError):
    """The BMC is to blame, or the way to it."""

    exit_code = 4


class BmcUnreachable(BmcError):
    """No answer from the BMC: connection, name, or time limit."""


class BmcDropped(BmcUnreachable):
    """The BMC closed the connection, or said nothing in time: what was asked may have been done or not."""


class BmcTlsError(BmcError):
    """The BMC's certificate could not be verified."""


class BmcAccessDenied(BmcError):
    """The BMC did not accept the credentials."""


class BmcRefused(BmcError):
    """The BMC answered, and said no."""


class BmcFailed(BmcRefused):
    """The BMC answered that it failed (500 and above): what was asked may have been done or not."""


class BmcBusy(BmcRefused):
    """The BMC asked to be asked again later, for longer than the operator's patience."""


class MalformedAnswer(BmcError):
    """The BMC's answer is not what Redfish allows; names the resource and the attribute."""


class OverrideNotTaken(BmcError):
    """The BMC accepted the boot override, but reading it back shows something else."""


class BootFailed(HttpBootError):
    """The machine was asked to boot and did not come up; says at which stage it stopped."""

    exit_code = 5


class MalformedMessage(HttpBootError):
    """Bytes that are not what their format demands; names field and offset."""
