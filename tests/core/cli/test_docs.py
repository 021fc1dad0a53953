"""docs/cli.md: every option is documented, and what the page shows works."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import typer

from trainwright.cli.app import app

PAGE = Path(__file__).parents[3].joinpath("docs/cli.md").read_text(encoding="utf-8")
BLOCKS = dict.fromkeys(re.findall(r"^```(sh|yaml)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
LINES = [line for kind, block in BLOCKS if kind == "sh" for line in block.splitlines()]
LOADING = ("train", "resume", "preview", "template")  # these need a model or a tokenizer
ROW = {"messages": [{"role": "user", "content": "2+2"}, {"role": "assistant", "content": "4"}]}
ADDED = {"--help", "--install-completion", "--show-completion"}  # by typer


def options():
    group = typer.main.get_command(app)
    commands = [group, *group.commands.values()]
    commands += [each for command in group.commands.values() for each in getattr(command, "commands", {}).values()]
    return {flag for each in commands for param in each.params for flag in param.opts if flag.startswith("--")} | ADDED


def test_options_of_the_page_and_of_the_command_are_the_same():
    assert set(re.findall(r"(?<![\w-])--[a-z-]+[a-z]", PAGE)) - {"--nproc-per-node"} == options()


def test_every_verb_is_shown():
    verbs = set(typer.main.get_command(app).commands)
    assert {shlex.split(line)[1] for line in LINES} == verbs


@pytest.mark.parametrize("line", [line for line in LINES if shlex.split(line)[1] not in LOADING])
def test_commands_of_the_page_work(command, tmp_path, line):
    (config,) = (block for kind, block in BLOCKS if kind == "yaml")
    (tmp_path / "run.yaml").write_text(config)
    (tmp_path / "train.jsonl").write_text(json.dumps(ROW) + "\n")
    done = command(*shlex.split(line)[1:], TRAINWRIGHT_DISABLE_PLUGINS="*")
    assert (done.returncode, done.stderr) == (0, "")
