"""Plain lines where there is no terminal, a bar where there is one."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from trainwright.run.progress import Progress, describe

LOGS = {"loss": 1.23456, "learning_rate": 2e-4, "time/tokens_per_second": 1234.5, "epoch": 0.1}


def state(step: int) -> Any:
    return SimpleNamespace(global_step=step, max_steps=10)


def played(*, terminal: bool) -> str:
    text = io.StringIO()
    progress = Progress(Console(file=text, force_terminal=terminal, width=120))
    progress.on_train_begin(None, state(0), None)
    progress.on_step_end(None, state(4), None)
    progress.on_log(None, state(4), None, logs=LOGS)
    progress.on_log(None, state(4), None, logs={"eval_loss": 2.0})
    progress.on_log(None, state(10), None, logs={"train_runtime": 2.0, "train_loss": 9.0})
    progress.on_train_end(None, state(10), None)
    return text.getvalue()


def test_the_numbers_that_people_look_at() -> None:
    assert describe(LOGS) == "loss 1.2346  learning_rate 2.00e-04  1,234 tokens/s"
    assert describe({"loss": None}) == ""


def test_lines_without_a_terminal() -> None:
    lines = played(terminal=False).splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("step 4/10  loss 1.2346  learning_rate 2.00e-04  1,234 tokens/s  0:")
    assert lines[0].endswith(" left")
    assert lines[1].startswith("step 4/10  eval_loss 2.0000")


def test_a_bar_on_a_terminal_and_the_cursor_comes_back() -> None:
    text = played(terminal=True)
    assert "4/10" in text
    assert "loss 1.2346" in text
    assert "eval_loss 2.0000" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")


def test_another_rank_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    assert played(terminal=False) == ""
