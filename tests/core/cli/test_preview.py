"""`preview`: which tokens carry loss is visible with and without colour, and countable by a program."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace

import pytest
from typer.testing import CliRunner

from trainwright.cli import preview as module
from trainwright.cli.app import app
from trainwright.cli.preview import mark
from trainwright.data.unpaired import Labels


@dataclass
class Row:
    tokens: list[str]
    supervised: list[int]
    source: str


ROWS = [
    Row(["<user>", "Hi", "<bot>", "Hel", "lo", "<end>", "\n"], [0, 0, 0, 1, 1, 1, 0], "row 1 (chosen)"),
    Row(["a", "b"], [0, 1], "row 1 (rejected)"),
]


@pytest.fixture
def labels():
    """The labels that were counted in the data."""
    return {}


@pytest.fixture
def run(monkeypatch, labels):
    """`preview` over rows that are made up, so that no tokenizer is needed."""
    rendering = ModuleType("trainwright.run.preview")
    rendering.preview = lambda checked, manager, rows, tell: iter(ROWS[:rows])
    monkeypatch.setitem(sys.modules, "trainwright.run.preview", rendering)
    checked = SimpleNamespace(config=SimpleNamespace(labels=labels.get))
    monkeypatch.setattr(module, "prepare", lambda config, overrides, no_plugin: (checked, None))
    monkeypatch.setattr(module, "quiet", lambda verbose: None)
    return lambda *words, **environment: CliRunner().invoke(app, ["preview", "run.yaml", *words], env=environment)


def test_without_colour_supervised_spans_stand_in_brackets():
    assert mark(ROWS[0].tokens, ROWS[0].supervised, colour=False) == "<user>Hi<bot>⟦Hello<end>⟧\n"


def test_a_supervised_line_break_can_be_seen():
    assert mark(["a", "\n"], [1, 1], colour=False) == "⟦a↵\n⟧"


def test_in_colour_the_text_is_the_same():
    coloured = mark(ROWS[0].tokens, ROWS[0].supervised, colour=True)
    assert "\x1b[2m<user>Hi<bot>\x1b[0m" in coloured
    assert "\x1b[32mHel\x1b[0m\x1b[1;32mlo\x1b[0m" in coloured
    assert "⟦" not in coloured


def test_masks_of_another_length_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        mark(["a", "b"], [1], colour=False)


def test_counts_of_each_row_and_of_all(run):
    result = run()
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "── row 1 (chosen): 7 tokens, 3 supervised (42.9 %)",
        "<user>Hi<bot>⟦Hello<end>⟧",
        "",
        "",
        "── row 1 (rejected): 2 tokens, 1 supervised (50.0 %)",
        "a⟦b⟧",
        "",
        "2 sequences: 9 tokens, 4 supervised (44.4 %)",
    ]


def test_rows_are_limited(run):
    assert run("--rows", "1").stdout.splitlines()[-1] == "1 sequence: 7 tokens, 3 supervised (42.9 %)"
    assert run("--rows", "0").exit_code == 2


def test_json(run):
    found = json.loads(run("--json").stdout)
    assert (found["tokens"], found["supervised"]) == (9, 4)
    assert found["share"] == pytest.approx(4 / 9)
    assert found["rows"][1] == {
        "source": "row 1 (rejected)",
        "tokens": ["a", "b"],
        "supervised": [0, 1],
        "share": 0.5,
    }


def test_thumbs_are_counted(run, labels):
    labels["data.train"] = Labels(3, 4)
    assert run().stdout.splitlines()[-1] == "data.train: 3 desirable and 4 undesirable rows"
    assert json.loads(run("--json").stdout)["labels"] == {"desirable": 3, "undesirable": 4, "pairs": 0}


def test_colour_can_be_forced_and_forbidden(run):
    assert "\x1b[" in run(FORCE_COLOR="1").stdout
    assert "\x1b[" not in run(FORCE_COLOR="1", NO_COLOR="1").stdout
