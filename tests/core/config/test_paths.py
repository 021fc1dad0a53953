"""Models and reward functions that a config names are found without importing or fetching anything."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from trainwright.config.check import CheckedConfig

Check = Callable[..., CheckedConfig]
Complaints = Callable[..., list[str]]
SFT = "model: acme/tiny\ndata: {train: train.jsonl}\noutput: runs/x\n"
GRPO = "method: grpo\nmodel: acme/tiny\ndata: {train: prompts.jsonl}\noutput: runs/x\n"
REWARDS = """\
from elsewhere import imported
from functools import partial
raise SystemExit("this file must not be run")
def length(completions, **columns): ...
brevity = partial(length, sign=-1)
"""


@pytest.fixture(autouse=True)
def files(folder: Path) -> None:
    (folder / "models" / "first").mkdir(parents=True)
    (folder / "models" / "first" / "config.json").write_text("{}")
    (folder / "run1" / "model").mkdir(parents=True)
    (folder / "run1" / "model" / "config.json").write_text("{}")
    (folder / "prompts.jsonl").write_text('{"prompt": "a"}\n')
    (folder / "rewards.py").write_text(REWARDS)
    (folder / "torn.py").write_text("def f(:\n")


@pytest.mark.parametrize("path", ["acme/tiny", "tiny", "models/first", "./models/first", "models/first/"])
def test_hub_ids_and_folders_with_a_model_pass(check: Check, path: str) -> None:
    check(SFT, f"model={path}")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        (
            "model=./none",
            "command line: model: no such folder: none\n  → If it is a hub id, say so with `revision: main`.",
        ),
        ("model=models/frist", "no such folder: models/frist\n  → Did you mean `first`?"),
        ("model=a/b/c", "no such folder: a/b/c"),
        ("model=train.jsonl", "not a folder: train.jsonl\n  → Give the folder that holds config.json."),
        ("model=run1", "no model in run1: it holds no config.json\n  → There is one in run1/model."),
        ("model={path: models/first, revision: main}", "`revision` is for hub models, and this one is a folder"),
        (
            "model={path: acme/tiny, adapter: ./models/first}",
            "command line: model.adapter: no model in models/first: it holds no adapter_config.json",
        ),
        (
            "model=package:no_such_package",
            "the package `no_such_package` is not installed\n  → pip install no_such_package",
        ),
        ("model='package:'", "→ Write `package:NAME`."),
    ],
)
def test_a_model_that_is_not_there_is_refused(complaints: Complaints, override: str, expected: str) -> None:
    said = "\n".join(complaints(SFT, override)).replace("model.path:", "model:")
    assert expected in said


def test_a_revision_says_that_a_path_beside_a_folder_is_a_hub_id(check: Check) -> None:
    check(SFT, "model={path: models/other, revision: main}")


def test_the_package_of_a_gguf_model_is_found_by_distribution_or_module(
    complaints: Complaints, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainwright.config.paths.find_spec", lambda name: None)
    (only,) = complaints(SFT, "model=package:trainwright")
    assert "a GGUF model needs the package gguf, which is not installed\n  → pip install 'trainwright[gguf]'" in only


@pytest.mark.parametrize(
    "reference",
    [
        "rewards.py:length",
        "rewards.py:brevity",
        "rewards.py:imported",
        "rewards:length",
        "json:dumps",
        "json.decoder:JSONDecoder",
    ],
)
def test_reward_functions_that_exist_pass_and_are_not_run(check: Check, reference: str) -> None:
    check(GRPO, f"rewards=['{reference}']")
    assert "rewards" not in sys.modules


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("rewards.py:lenght", "command line: rewards.0: rewards.py defines no `lenght`\n  → Did you mean `length`?"),
        ("none.py:f", "command line: rewards.0: none.py cannot be read: No such file or directory"),
        ("torn.py:f", "torn.py:1 is not Python: "),
        ("rewards.py", "`rewards.py` names no function\n  → Write `module:function` or `file.py:function`."),
        ("rewards.py:", "names no function"),
        (
            "no_such_module:f",
            "there is no module `no_such_module`\n  → Install it, or give a file: `file.py:function`.",
        ),
        ("rewards:lenght", "rewards.py defines no `lenght`\n  → Did you mean `length`?"),
        ("json.decoder:JSONDecodr", "decoder.py defines no `JSONDecodr`\n  → Did you mean `JSONDecoder`?"),
        ("a-b:f", "`a-b` is no module"),
    ],
)
def test_reward_functions_that_do_not_exist_are_refused(complaints: Complaints, reference: str, expected: str) -> None:
    (only,) = complaints(GRPO, f"rewards=['{reference}']")
    assert expected in only
