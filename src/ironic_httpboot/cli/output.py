"""How the command line speaks: text for people, JSON for programs, and an exit code for both.

Knows rich and the terminal. Refuses to know what the commands do.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer
from rich.console import Console

from ironic_httpboot.errors import HttpBootError
from ironic_httpboot.events import Event, stage_of

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def print_json(value: object) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, default=plain) + "\n")
    sys.stdout.flush()


def print_error(error: HttpBootError, *, as_json: bool) -> None:
    """An error: in words on standard error, or as JSON on standard output."""
    if as_json:
        print_json({"error": {"kind": type(error).__name__, "message": error.message, "hint": error.hint}})
    else:
        err.print("[red]error:[/red] ", end="")
        err.print(str(error), markup=False)


def event_as_json(event: Event) -> dict[str, Any]:
    """An event as data, with the stage that it shows."""
    stage = stage_of(event)
    return {"kind": type(event).__name__, **asdict(event), "stage": stage.value if stage else None}


def plain(value: object) -> object:
    """What JSON has no form for, as text."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
