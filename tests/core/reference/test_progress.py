"""Lines where there is no terminal, a bar where there is one, rows and tokens a second in both."""

from __future__ import annotations

import io
import itertools
import re

import pytest
from rich.console import Console

from trainwright.reference import progress
from trainwright.reference.progress import Progress


def played(monkeypatch: pytest.MonkeyPatch, *, terminal: bool, done: int = 0, ranks: int = 1) -> str:
    seconds = itertools.count(step=5)
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(seconds)))
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=140)
    with Progress("reference log-probs of data.train", 40, done, ranks, console).showing() as shown:
        for _ in range((40 - done) // (10 * ranks)):
            shown.advance(10, 1000)
    return text.getvalue()


def test_lines_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = played(monkeypatch, terminal=False).splitlines()
    assert re.fullmatch(r"reference log-probs of data.train: 20/40 rows  \d+ tokens/s  \d:\d\d:\d\d left", lines[0]), (
        lines[0]
    )
    assert re.fullmatch(
        r"reference log-probs of data.train: 40 rows, 4,000 tokens in \d:\d\d:\d\d, \d+ tokens/s", lines[-1]
    ), lines[-1]


def test_what_was_there_and_other_ranks_count(monkeypatch: pytest.MonkeyPatch) -> None:
    last = played(monkeypatch, terminal=False, done=20, ranks=2).splitlines()[-1]
    assert "40 rows (20 were there), 2,000 tokens" in last


def test_a_bar_on_a_terminal_and_the_cursor_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    text = played(monkeypatch, terminal=True)
    assert "40/40" in text
    assert "tokens/s" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")


def test_another_rank_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    assert played(monkeypatch, terminal=True) == ""
