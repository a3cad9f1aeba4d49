"""`httpboot serve`: serve published images and plain folders over HTTP."""

from __future__ import annotations

import asyncio
import json
import resource
import select
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from functools import lru_cache, partial
from pathlib import Path
from typing import Annotated, assert_never

import typer

from ironic_httpboot import config
from ironic_httpboot.cli import output, privileges
from ironic_httpboot.cli.dhcp import DhcpService
from ironic_httpboot.cli.lifetime import repeatedly, told_to_stop, until_told
from ironic_httpboot.cli.machines import needs_images
from ironic_httpboot.cli.outlet import Outlet, open_both
from ironic_httpboot.errors import HostError, InputError
from ironic_httpboot.events import Event, Failed, Reached, Transfer
from ironic_httpboot.http.delivery import MOST_FILES
from ironic_httpboot.http.folder import Folder
from ironic_httpboot.http.serve import Limits, Server, Source
from ironic_httpboot.http.store import Store

_SWEEP_SECONDS = 60.0
_OTHER_DESCRIPTORS = 64
_DESCRIPTORS_PER_DOWNLOAD = 2 + MOST_FILES
"""The connection, a copy of it for the kernel to send to, and files."""


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

    With a dhcp table in the file, answer DHCP too: see docs/how-to/boot-through-dhcp.md. SIGHUP reads the file again.

    With mode = "proxy" it adds a URL to what the network's own DHCP server leases: in IPv4 as ProxyDHCP, in IPv6 by an
    ADVERTISE that holds no address.

    Example: httpboot serve --root /srv/images --listen 0.0.0.0:8080
    """
    file = config.read(configuration, config.ServeFile) if configuration else config.ServeFile()
    table = file.http
    outlet = open_both()
    show = None if quiet else _Screen(_as_json if as_json else _as_line, outlet)
    with ExitStack() as stack:
        images = _image_store(file, store or table.store, stack)
        sources: list[Source] = [images] if images is not None else []
        sources += [Folder(folder) for folder in ((root,) if root else table.folders)]
        if not sources and file.dhcp is None:
            raise InputError("nothing to serve", hint="give --root DIR, --store DIR, or a file with -c")
        try:
            table = table.model_copy(
                update={"listen": listen or table.listen, "folders": (root,) if root else table.folders}
            )
            host, port = config.host_and_port(table.listen)
        except ValueError as error:
            raise InputError(f"--listen: {error}") from error
        limits = Limits(connections=table.connections, idle_seconds=table.idle_seconds)
        _allow_open_files(table.connections * _DESCRIPTORS_PER_DOWNLOAD + _OTHER_DESCRIPTORS)
        server = Server(sources, host=host, port=port, on_event=show, limits=limits) if sources else None
        stores = [source for source in sources if isinstance(source, Store)]
        dhcp = DhcpService(configuration, file.model_copy(update={"http": table}), images, show)
        if show is not None:
            stack.callback(show.close)
        del file  # see DhcpService.start
        asyncio.run(_serve(server, stores, dhcp))


def _image_store(file: config.ServeFile, given: Path | None, stack: ExitStack) -> Store | None:
    """Where images are published: as given, or for as long as this runs where images must be composed."""
    if given is not None:
        return Store(given)
    if file.dhcp is None or not needs_images(file):
        return None
    # It belongs to the user that is to go on, who could else neither read it nor take it away at the end.
    user = privileges.find(file.dhcp.user) if file.dhcp.user else None
    try:
        with privileges.acting_as(user) if user is not None else nullcontext():
            folder = tempfile.TemporaryDirectory(prefix="httpboot-store-")
    except OSError as error:
        raise HostError(
            f"temporary store: made in {tempfile.gettempdir()} → {error.strerror}",
            hint="set http.store, or TMPDIR to a folder where dhcp.user may write",
        ) from error
    return Store(Path(stack.enter_context(folder)))


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


async def _serve(server: Server | None, stores: list[Store], dhcp: DhcpService) -> None:
    with told_to_stop() as told:
        sweeping = asyncio.create_task(repeatedly("sweeping the stores", partial(_sweep, stores)))
        try:
            if server is not None:
                await server.start()
            await dhcp.start(server.port if server is not None else None)
            if server is not None:
                output.err.print(f"listening on {server.address}; Ctrl-C stops", markup=False)
            await until_told(told, [sweeping, *dhcp.tasks])
            output.err.print("stopping: downloads under way are finished first; Ctrl-C again ends them")
        finally:
            sweeping.cancel()
            await dhcp.stop()
            if server is not None:
                await server.stop()


async def _sweep(stores: list[Store]) -> None:
    for store in stores:
        store.sweep()
    await asyncio.sleep(_SWEEP_SECONDS)


class _Screen:
    """Requests and DHCP on standard output, one event a line. Nothing waits for whoever reads there.

    What happens in one turn of the event loop is written at its end, all at once.
    """

    def __init__(self, describe: Callable[[Event], str], outlet: Outlet) -> None:
        self._describe = describe
        self._outlet = outlet
        self._lines: list[str] = []
        self._lost = 0

    def __call__(self, event: Event) -> None:
        """Show what has happened; of a request, its end."""
        if self._outlet.broken or (isinstance(event, Transfer) and not event.finished):
            return
        if not self._lines:
            asyncio.get_running_loop().call_soon(self._write)
        self._lines.append(self._describe(event) + "\n")

    def close(self) -> None:
        """Write what is left, and say what was lost."""
        self._write()
        self._tell_losses()

    def _write(self) -> None:
        lines, self._lines = self._lines, []
        if self._outlet.broken:
            return
        for written in _in_pieces(lines):
            before = self._outlet.lost
            sys.stdout.write("".join(written))
            sys.stdout.flush()
            if self._outlet.broken:
                why = self._outlet.broken
                output.err.print(f"warning: standard output: written → {why}; requests are no longer shown")
                return
            if self._outlet.lost == before:
                self._tell_losses()
                continue
            if not self._lost:
                output.err.print("warning: standard output: nobody reads it; what happens until then is not shown")
            self._lost += len(written)

    def _tell_losses(self) -> None:
        """Say how many events were not shown since this was said last."""
        if self._lost:
            output.err.print(f"warning: standard output: {self._lost} events were not shown: nobody read it")
            self._lost = 0


def _in_pieces(lines: list[str]) -> Iterator[list[str]]:
    """Lines that a pipe takes together or not at all (pipe(7)): no line is cut by one that is lost."""
    piece: list[str] = []
    size = 0
    for line in lines:
        size += len(line.encode())
        if piece and size > select.PIPE_BUF:
            yield piece
            piece, size = [], len(line.encode())
        piece.append(line)
    if piece:
        yield piece


@lru_cache(maxsize=4)
def _clock(at: int) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at))


def _as_line(event: Event) -> str:
    clock = _clock(int(event.at))
    match event:
        case Reached(machine=machine, stage=stage, detail=detail):
            return f"{clock} {machine} {stage.value}: {detail}"
        case Failed(machine=machine, reason=reason):
            return f"{clock} {machine} {reason}"
        case Transfer():
            asked = f" bytes {event.range}" if event.range else ""
            return (
                f"{clock} {event.machine or '-'} {event.peer} {event.method} {event.path or '-'}{asked} →"
                f" {event.status}, {event.sent_bytes} of {event.total_bytes} bytes in {event.elapsed_seconds:.3f} s"
            )
        case _:
            assert_never(event)


def _as_json(event: Event) -> str:
    return json.dumps(output.event_as_json(event), default=output.plain)
