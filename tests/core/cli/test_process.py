"""The command as a whole process: what it imports, which stream it writes to, and how it exits."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"torch", "transformers", "trl", "datasets", "peft", "accelerate", "numpy"}
VERBS = ("train", "resume", "validate", "preview", "plugins", "explain", "schema")


def imported(stderr):
    """Top-level packages that `-X importtime` lists."""
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in stderr.splitlines() if "|" in line}


@pytest.mark.parametrize(
    "words",
    [
        "--help",
        "--version",
        "train --help",
        "plugins",
        "plugins --json",
        "validate good.yaml",
        "schema",
        "explain good.yaml",
    ],
)
def test_light_verbs_never_import_torch(command, config, words):
    done = command(*words.split(), flags=("-X", "importtime"))
    assert done.returncode == 0, done.stderr[-2000:]
    assert "typer" in imported(done.stderr)
    assert not imported(done.stderr) & HEAVY


def test_help_needs_no_models_and_no_rich(command):
    assert not imported(command("--help", flags=("-X", "importtime")).stderr) & {"pydantic", "pluggy", "rich"}


def test_public_names_are_imported_when_they_are_used():
    probe = (
        "import sys, trainwright; assert 'trainwright.hooks' not in sys.modules; "
        "from trainwright import *; assert set(trainwright.__all__) <= set(dir()) | {'__version__'}; "
        "assert hookimpl is trainwright.hookimpl and trainwright.hooks.hookimpl is hookimpl; "
        "assert set(trainwright.__all__) <= set(dir(trainwright)); trainwright.no_such_name"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert done.stderr.endswith("AttributeError: module 'trainwright' has no attribute 'no_such_name'\n")


def test_help_lists_every_verb(command):
    done = command("--help")
    assert (done.returncode, done.stderr) == (0, "")
    for verb in VERBS:
        assert re.search(rf"^  {verb} ", done.stdout, re.MULTILINE), verb


def test_the_installed_command_is_the_module(command):
    script = Path(sys.executable).parent / "trainwright"
    by_script = subprocess.run([script, "--version"], capture_output=True, text=True)
    assert re.fullmatch(r"trainwright \d+\.\d+\.\d+\n", by_script.stdout)
    assert command("--version").stdout == by_script.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("trian", "run.yaml"), "Did you mean 'train'?"),
        (("train",), "Missing argument 'CONFIG'"),
        (("train", "good.yaml", "--max-steps"), "--max-steps"),
        (("validate", "good.yaml", "training.max_steps"), "`training.max_steps` is no override"),
        (("preview", "good.yaml", "--rows", "many"), "--rows"),
        (("resume",), "Missing argument 'FOLDER'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_bad_usage_exits_with_2_and_says_why(command, config, words, said):
    done = command(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_no_words_show_the_help(command):
    done = command()
    assert done.returncode == 2
    assert "Usage: trainwright" in done.stdout + done.stderr


def test_completion_imports_nothing_heavy(command):
    typed = {"_TRAINWRIGHT_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "trainwright train run.yaml --no-plugin "}
    done = command(flags=("-X", "importtime"), **typed)
    assert "trl" in done.stdout, "the plugin of that name completes"
    assert not imported(done.stderr) & HEAVY
