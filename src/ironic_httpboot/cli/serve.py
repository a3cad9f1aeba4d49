"""`httpboot serve`: serve published images and plain folders over HTTP."""

from __future__ import annotations

import asyncio
import io
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from ironic_httpboot import config
from ironic_httpboot.cli import output
from ironic_httpboot.cli.lifetime import told_to_stop
from ironic_httpboot.errors import InputError
from ironic_httpboot.events import Event, Transfer
from ironic_httpboot.http.folder import Folder
from ironic_httpboot.http.serve import Limits, Server, Source
from ironic_httpboot.http.store import Store

_SWEEP_SECONDS = 60.0
_OTHER_DESCRIPTORS = 64
_DESCRIPTORS_PER_DOWNLOAD = 3
"""The connection, a copy of it for the kernel to send to, and a file."""


def serve(
    configuration: Annotated[Path | None, typer.Option("-c", "--config", help="A TOML file.", metavar="FILE")] = None,
    root: Annotated[Path | None, typer.Option(help="A folder of images to serve.", metavar="DIR")] = None,
    store: Annotated[Path | None, typer.Option(help="A folder where images are published.", metavar="DIR")] = None,
    listen: Annotated[
        str | None, typer.Option(help="Where to listen; :PORT is every address of both families.", metavar="HOST:PORT")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Do not print requests.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print requests as JSON, one a line.")] = False,
) -> None:
    """Serve images to firmware, until interrupted; downloads under way are then finished.

    Example: httpboot serve --root /srv/images --listen 0.0.0.0:8080
    """
    table = config.read(configuration, config.ServeFile).http if configuration else config.HttpTable()
    sources: list[Source] = []
    if store or table.store:
        sources.append(Store(store or table.store or Path()))
    sources += [Folder(folder) for folder in ((root,) if root else table.folders)]
    if not sources:
        raise InputError("nothing to serve", hint="give --root DIR, --store DIR, or a file with -c")
    try:
        host, port = config.host_and_port(listen or table.listen)
    except ValueError as error:
        raise InputError(f"--listen: {error}") from error
    show = None if quiet else _Screen(_as_json if as_json else _as_line)
    limits = Limits(connections=table.connections, idle_seconds=table.idle_seconds)
    _allow_open_files(table.connections * _DESCRIPTORS_PER_DOWNLOAD + _OTHER_DESCRIPTORS)
    asyncio.run(_serve(Server(sources, host=host, port=port, on_event=show, limits=limits), sources))


def _allow_open_files(wanted: int) -> None:
    """Raise this process's limit where that is allowed, and say so where it is not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < wanted:
        output.err.print(
            f"warning: {hard} open files are allowed, and as many connections may need {wanted}\n"
            "  hint: raise the limit (LimitNOFILE in systemd), or lower http.connections"
        )


async def _serve(server: Server, sources: list[Source]) -> None:
    with told_to_stop() as told:
        await server.start()
        output.err.print(f"listening on {server.address}; Ctrl-C stops", markup=False)
        sweeping = asyncio.create_task(_sweep([source for source in sources if isinstance(source, Store)]))
        try:
            await told.wait()
            output.err.print("stopping: downloads under way are finished first; Ctrl-C again ends them")
        finally:
            sweeping.cancel()
            await server.stop()


async def _sweep(stores: list[Store]) -> None:
    while True:
        for store in stores:
            store.sweep()
        await asyncio.sleep(_SWEEP_SECONDS)


class _Screen:
    """Requests on standard output, one a line, for as long as someone reads there."""

    def __init__(self, describe: Callable[[Transfer], str]) -> None:
        self._describe = describe
        self._shown = True
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")

    def __call__(self, event: Event) -> None:
        """Show a request that has ended."""
        if not (self._shown and isinstance(event, Transfer) and event.finished):
            return
        try:
            sys.stdout.write(self._describe(event) + "\n")
            sys.stdout.flush()
        except OSError as error:
            # The machines that boot are not to suffer from a log that nobody can write.
            self._shown = False
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            output.err.print(f"warning: standard output: written → {error.strerror}; requests are no longer shown")


def _as_line(event: Transfer) -> str:
    clock = time.strftime("%H:%M:%S", time.localtime(event.at))
    asked = f" bytes {event.range}" if event.range else ""
    return (
        f"{clock} {event.machine or '-'} {event.peer} {event.method} {event.path or '-'}{asked} → {event.status},"
        f" {event.sent_bytes} of {event.total_bytes} bytes in {event.elapsed_seconds:.3f} s"
    )


def _as_json(event: Transfer) -> str:
    return json.dumps(output.event_as_json(event))
