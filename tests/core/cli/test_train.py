"""`train` and `resume`: exit codes, streams, and the silence of the libraries underneath."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from dataclasses import dataclass
from types import ModuleType

import pytest
from typer.testing import CliRunner

from trainwright.cli import train as module
from trainwright.cli.app import app
from trainwright.cli.quiet import quiet
from trainwright.errors import RunError


@dataclass
class Result:
    interrupted: bool = False
    summary: str = "loss 2.0 → 1.0\nruns/first"


@pytest.fixture
def run(monkeypatch):
    """Run a verb whose run ends as given, without a model; returns the outcome and what the run was asked."""

    def run(*words, ends=None):
        asked = []

        def stand_in(*arguments, **keywords):
            asked.append((arguments, keywords))
            if isinstance(ends, Exception):
                raise ends
            return ends or Result()

        for verb in ("train", "resume"):
            fake = ModuleType(f"trainwright.run.{verb}")
            setattr(fake, verb, stand_in)
            monkeypatch.setitem(sys.modules, fake.__name__, fake)
        monkeypatch.setattr(module, "prepare", lambda *given: (given, "the manager"))
        monkeypatch.setattr(module, "quiet", lambda verbose: asked.append(verbose))
        return CliRunner().invoke(app, list(words)), asked

    return run


def test_the_summary_is_the_result(run):
    outcome, _ = run("train", "run.yaml")
    assert (outcome.exit_code, outcome.stdout, outcome.stderr) == (0, "loss 2.0 → 1.0\nruns/first\n", "")


def test_overrides_and_plugins_left_out_reach_the_check(run):
    _, (verbose, (((config, overrides, no_plugin), manager), _)) = run(
        "train", "run.yaml", "lora.r=8", "--no-plugin", "mfu", "loss=trl"
    )
    assert verbose is False
    assert str(config) == "run.yaml"
    assert list(overrides) == ["lora.r=8", "loss=trl"]
    assert list(no_plugin) == ["mfu"]
    assert manager == "the manager"


@pytest.mark.parametrize("verb", ["train", "resume"])
def test_an_interrupted_run_exits_with_130(run, verb):
    outcome, _ = run(verb, "target", ends=Result(interrupted=True, summary="interrupted after 3 steps"))
    assert (outcome.exit_code, outcome.stdout) == (130, "interrupted after 3 steps\n")


def test_a_run_that_cannot_go_on_exits_with_1(run):
    outcome, _ = run("resume", "runs/first", ends=RunError("the data has changed", remedy="--allow-drift"))
    assert (outcome.exit_code, outcome.stderr) == (1, "error: the data has changed\n  → --allow-drift\n")


def test_drift_overrides_and_verbose_are_passed_on(run):
    _, (verbose, (_, keywords)) = run("resume", "runs/first", "training.max_steps=9", "--allow-drift", "--verbose")
    assert verbose is True
    assert keywords == {"overrides": ["training.max_steps=9"], "allow_drift": True}
    _, (_, (_, keywords)) = run("resume", "runs/first")
    assert keywords == {"overrides": (), "allow_drift": False}


def test_only_the_first_rank_prints_the_summary(run, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert run("train", "run.yaml")[0].stdout == ""


@pytest.fixture
def chatter(monkeypatch):
    """Say what libraries say; returns which of it is heard."""
    monkeypatch.setattr(os, "environ", dict(os.environ))
    heard = []
    handler = logging.Handler()
    handler.emit = lambda record: heard.append(record.getMessage())
    logger = logging.getLogger("trl")
    level = logger.level
    logger.setLevel(logging.NOTSET)
    logging.getLogger().addHandler(handler)

    def chatter(verbose):
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("default")
            quiet(verbose)
            warnings.warn("an API will change", FutureWarning, stacklevel=2)
            logger.warning("experimental")
            logger.error("broken")
        return [*heard, *(str(each.message) for each in warned)]

    yield chatter
    logger.setLevel(level)
    logging.getLogger().removeHandler(handler)


def test_libraries_are_silent_below_errors(chatter, monkeypatch):
    monkeypatch.setattr(sys, "warnoptions", [])
    assert chatter(verbose=False) == ["broken"]
    assert os.environ["TRANSFORMERS_VERBOSITY"] == "error"


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_bars_of_libraries_are_for_terminals(chatter, monkeypatch, terminal):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    monkeypatch.delitem(os.environ, "HF_DATASETS_DISABLE_PROGRESS_BARS", raising=False)
    chatter(verbose=False)
    assert os.environ.get("HF_DATASETS_DISABLE_PROGRESS_BARS") == (None if terminal else "1")


def test_verbose_leaves_everything_as_it_is(chatter, monkeypatch):
    monkeypatch.delenv("TRANSFORMERS_VERBOSITY", raising=False)
    assert chatter(verbose=True) == ["experimental", "broken", "an API will change"]
    assert "TRANSFORMERS_VERBOSITY" not in os.environ


def test_warnings_that_the_user_asks_for_stay(chatter, monkeypatch):
    monkeypatch.setattr(sys, "warnoptions", ["default"])
    assert chatter(verbose=False) == ["broken", "an API will change"]
