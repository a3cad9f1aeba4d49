"""The `httpboot` command: its subcommands, and what becomes of errors.

Exit codes: docs/reference/command-line.md.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from importlib import import_module
from typing import Annotated

import typer
from typer.exceptions import TyperException

from ironic_httpboot import __version__
from ironic_httpboot.cli import output
from ironic_httpboot.errors import HttpBootError, InputError

INTERRUPTED = 130

app = typer.Typer(
    name="httpboot",
    help="Boot a bare-metal machine from one HTTP(S) URL, and prove that it did.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_COMMANDS = ("boot", "probe", "clear", "compose", "serve", "explain", "export", "emulate", "demo")
"""Each is a function of that name in a module of that name."""


def _version(wanted: bool) -> None:
    if wanted:
        output.out.print(f"httpboot {__version__}")
        raise typer.Exit


@app.callback()
def settings(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more on standard error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options for all commands."""
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.WARNING,
        format="%(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    if not verbose:
        # What these have to say reaches the operator as our own errors.
        for name in ("sushy", "urllib3", "asyncio", "aiohttp"):
            logging.getLogger(name).setLevel(logging.CRITICAL)


def main() -> None:
    """Run the command line; exit with its code."""
    as_json = "--json" in sys.argv
    _end_in_order()
    try:
        _load(sys.argv[1:])
        # What typer itself has to say, it says in a box on standard error: not where JSON is asked for.
        code = app(standalone_mode=not as_json)
        sys.exit(code)
    except TyperException as error:
        output.print_error(InputError(error.format_message()), as_json=as_json)
        sys.exit(InputError.exit_code)
    except HttpBootError as error:
        output.print_error(error, as_json=as_json)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(_interrupted())
    except SystemExit as end:
        # typer has made this of a KeyboardInterrupt, and says nothing.
        if end.code == INTERRUPTED:
            _interrupted()
        raise


def _load(arguments: list[str]) -> None:
    """Import the command that is asked for. All of them take more than a second, which only `--help` needs to spend."""
    asked = next((each for each in arguments if each not in ("-v", "--verbose")), "")
    for name in (asked,) if asked in _COMMANDS else _COMMANDS:
        app.command(name)(getattr(import_module(f"ironic_httpboot.cli.{name}"), name))


def _end_in_order() -> None:
    """Have SIGTERM and SIGHUP end the command as an error would: what it has begun is taken back on the way out.

    Services handle them in their own way, see lifetime. Who had SIGHUP ignored, as nohup does, means it.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, frame: sys.exit(128 + number))


def _interrupted() -> int:
    output.err.print("interrupted")
    return INTERRUPTED
