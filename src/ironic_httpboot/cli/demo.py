"""`httpboot demo`: see a machine boot from one URL."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from ironic_httpboot.cli import output
from ironic_httpboot.cli.lifetime import cancelled_when_told
from ironic_httpboot.demo import run
from ironic_httpboot.demo.view import View
from ironic_httpboot.errors import InputError
from ironic_httpboot.events import Sink, stage_of
from ironic_httpboot.model import Chain, Container


def demo(
    way: Annotated[
        run.Way, typer.Argument(help="Who tells the firmware the URL: a BMC, or DHCP beside the network's own server.")
    ] = run.Way.BMC,
    *,
    chain: Annotated[Chain, typer.Option(help="What stands between firmware and kernel.")] = Chain.SHIM_GRUB,
    container: Annotated[
        Container | None, typer.Option(help="The file to boot: an ISO, or (chain uki) one .efi program.")
    ] = None,
    secure_boot: Annotated[
        bool, typer.Option("--secure-boot", help="Firmware that starts signed loaders only.")
    ] = False,
    memory_mib: Annotated[int, typer.Option(help="The machine's memory.", min=512)] = 1024,
    keep: Annotated[
        Path | None, typer.Option(help="Keep image, state and console in this folder.", metavar="DIR")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the timeline as JSON at the end.")] = False,
) -> None:
    """Boot a virtual server from http://…/….iso through its BMC, live on the screen.

    Everything is real but the hardware: the image is composed on the fly, a Redfish BMC is asked, UEFI firmware fetches
    the image, Linux starts, and the guest itself says whether all that arrived is what was sent.
    """
    options = run.Options(
        way=way,
        chain=chain,
        container=container or (Container.EFI if chain is Chain.UKI else Container.ISO),
        secure_boot=secure_boot,
        memory_mib=memory_mib,
    )
    if as_json:
        outcome = asyncio.run(_run(options, keep, lambda event: None))
        events = [output.event_as_json(event) for event in outcome.events if stage_of(event) is not None]
        output.print_json({"seconds": round(outcome.seconds, 1), "timeline": events})
        return
    with View(output.out, "one virtual server, one URL") as view:
        outcome = asyncio.run(_run(options, keep, view.show))
    output.out.print(f"[bold green]{run.verdict(outcome)}[/bold green] — {outcome.seconds:.1f} s in all")


async def _run(options: run.Options, keep: Path | None, show: Sink) -> run.Outcome:
    with cancelled_when_told(), ExitStack() as stack:
        if keep is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="httpboot-demo-")))
        else:
            try:
                keep.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InputError(
                    f"--keep: {keep}: made → {error.strerror}", hint="give a folder to write to"
                ) from error
            folder = keep
        return await run.run(options, folder, show)
