"""Draws demo.svg: the timeline of a real demonstration, as it looks on a terminal."""

from __future__ import annotations

import asyncio
import io
import re
import tempfile
from pathlib import Path

from rich.console import Console

from ironic_httpboot.demo import run
from ironic_httpboot.demo.view import View

console = Console(record=True, file=io.StringIO(), width=118, highlight=False)
console.print("[bold]$ make demo[/bold]")
with tempfile.TemporaryDirectory() as folder, View(console, "one virtual server, one URL") as view:
    outcome = asyncio.run(run.run(run.Options(), Path(folder), view.show))
console.print(f"[bold green]{run.verdict(outcome)}[/bold green] — {outcome.seconds:.1f} s in all")
# A picture that fetches nothing: without the web fonts that rich asks for, the reader's own monospaced one is used.
picture = re.sub(r"@font-face \{.*?\}", "", console.export_svg(title="httpboot demo"), flags=re.DOTALL)
(Path(__file__).parent / "demo.svg").write_text(picture)
