"""Text, tables and JSON on the right stream: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Literal, TextIO

Colour = Literal["red", "green", "yellow", "cyan", "bold", "dim"]
_CODES: dict[Colour, str] = {"red": "1;31", "green": "32", "yellow": "33", "cyan": "36", "bold": "1", "dim": "2"}


def coloured(stream: TextIO) -> bool:
    """Whether a stream takes colour: a terminal that is not dumb, unless `NO_COLOR` is set (no-color.org)."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def paint(text: str, colour: Colour, stream: TextIO) -> str:
    """`text` in a colour where the stream takes one."""
    return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if coloured(stream) else text


def highlight(text: str, stream: TextIO) -> str:
    """A message with its ⟦stretches of a rendering⟧ in the colour of what carries loss, where the stream takes one."""
    return re.sub("(?s)⟦(.*?)⟧", lambda found: paint(found[0], "green", stream), text)


def warn(text: str) -> None:
    """One warning on stderr."""
    print(f"{paint('warning:', 'yellow', sys.stderr)} {text}", file=sys.stderr)


def rank_prefix() -> str:
    """`[rank 1] ` on the ranks of a distributed run that are not the first, so that mixed streams can be told apart."""
    rank = os.environ.get("RANK", "0")
    return "" if rank == "0" else f"[rank {rank}] "


def put_json(value: Any) -> None:
    """`value` as indented JSON on stdout; paths and other objects as their text."""
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False, default=str)
    print()


def put_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on stdout: as wide as the terminal (or `COLUMNS`), as wide as its text where there is none."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")  # a name cut short is of no use
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    unbounded = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 10_000
    console = Console(width=unbounded, highlight=False, no_color=not coloured(sys.stdout))
    with console.capture() as captured:
        console.print(table)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))
