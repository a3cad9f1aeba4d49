"""What a bench found, as values, and those as text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A figure that is to be reached. figure, goal: as shown."""

    what: str
    figure: str
    goal: str
    met: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One bench's table. rows: as many cells as columns. how: what was done and how to read it."""

    title: str
    how: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    goals: tuple[Goal, ...] = ()


def markdown(finding: Finding) -> str:
    """A finding as a section."""
    parts = [f"## {finding.title}", finding.how, _table(finding.columns, finding.rows)]
    parts += [f"{_verdict(goal)}: {goal.what} {goal.figure}, goal {goal.goal}  " for goal in finding.goals]
    return "\n\n".join(parts[:3]) + "\n\n" + "\n".join(parts[3:]) + ("\n" if finding.goals else "")


def merged(before: str, sections: Iterable[str]) -> dict[str, str]:
    """The sections of a page, by the first word of their titles, where new ones take the place of older ones."""
    found = re.split(r"^(?=## )", before, flags=re.MULTILINE)[1:]
    return {text.removeprefix("## ").partition(":")[0]: text.rstrip("\n") + "\n" for text in (*found, *sections)}


def _verdict(goal: Goal) -> str:
    return "met" if goal.met else "**missed**"


def _table(columns: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> str:
    widths = [max(len(cell) for cell in column) for column in zip(columns, *rows, strict=True)]
    lines = [columns, tuple("-" * width for width in widths), *rows]
    return "\n".join(
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |" for line in lines
    )
