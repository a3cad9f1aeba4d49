"""The timeline of a boot on a terminal, live.

Knows rich. Refuses to know where events come from. Without a terminal each stage is one plain line.
"""

from __future__ import annotations

from typing import assert_never

from rich.console import Console
from rich.live import Live
from rich.text import Text
from rich.tree import Tree

from ironic_httpboot.events import Event, Failed, Reached, Stage, Transfer, stage_of

_BAR_CELLS = 30


class View:
    """Stages in the order in which they come, with the time since the first."""

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._title = title
        self._began: float | None = None
        self._lines: list[Text] = []
        self._under_way: Text | None = None
        self._live = Live(console=console, refresh_per_second=8, transient=False) if console.is_terminal else None

    def __enter__(self) -> View:
        if self._live is not None:
            self._live.start()
            self._draw()
        else:
            self._console.print(self._title)
        return self

    def __exit__(self, *exception: object) -> None:
        self._under_way = None
        if self._live is not None:
            self._draw()
            self._live.stop()

    def show(self, event: Event) -> None:
        """Add an event to the timeline."""
        if self._began is None:
            self._began = event.at
        seconds = event.at - self._began
        stage = stage_of(event)
        match event:
            case Transfer(finished=False, method="GET"):
                self._under_way = _line(seconds, Stage.GET.value, _progress(event), "yellow")
            case Transfer() if stage is not None:
                self._under_way = None
                self._add(_line(seconds, stage.value, _transferred(event), "green"))
            case Transfer() if event.finished:
                self._add(_line(seconds, event.method, f"{event.status} {event.path}, broken off", "yellow"))
            case Reached(stage=reached, detail=detail):
                self._add(_line(seconds, reached.value, detail, "green"))
            case Failed(reason=reason, final=final):
                self._add(_line(seconds, "trouble", reason, "red" if final else "yellow"))
            case Transfer():
                pass
            case _:
                assert_never(event)
        self._draw()

    def _add(self, line: Text) -> None:
        self._lines.append(line)
        if self._live is None:
            self._console.print(line, soft_wrap=True)

    def _draw(self) -> None:
        if self._live is None:
            return
        tree = Tree(Text(self._title, style="bold"), guide_style="dim")
        for line in (*self._lines, *filter(None, [self._under_way])):
            tree.add(line)
        self._live.update(tree)


def _line(seconds: float, name: str, detail: str, style: str) -> Text:
    return Text.assemble((f"{seconds:6.1f} s  ", "dim"), (f"{name:<11}", style), detail)


def _progress(event: Transfer) -> str:
    share = event.sent_bytes / event.total_bytes if event.total_bytes else 0
    bar = "━" * round(share * _BAR_CELLS)
    return f"{bar:<{_BAR_CELLS}} {share:4.0%} of {event.total_bytes / 1e6:.1f} MB"


def _transferred(event: Transfer) -> str:
    if event.method == "HEAD":
        return f"{event.status} {event.path}"
    seconds = max(event.elapsed_seconds, 1e-6)
    return f"{event.total_bytes:,} bytes, 100%, {event.total_bytes / 1e6 / seconds:.1f} MB/s"
