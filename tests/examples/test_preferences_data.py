"""The preference example's data are what its script writes, valid for both runs, and held out by course."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from trainwright.config.load import load_config
from trainwright.data.check import check_source
from trainwright.trainer.methods import METHODS

FOLDER = Path(__file__).parents[2] / "examples" / "preferences"
HELDOUT = ("heldout-pairs", "heldout-thumbs", "questions")


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("preferences_make_data", FOLDER / "make_data.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows(name):
    return [json.loads(line) for line in (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def courses(name, script):
    asked = [row.get("prompt", row.get("messages"))[1]["content"] for row in rows(name)]
    return {course for course in script.COURSES for notice in asked if notice.startswith(f"Notice: {course},")}


def test_the_script_writes_the_files_that_are_there(script, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "FOLDER", tmp_path)
    script.main()
    written = sorted(tmp_path.iterdir())
    assert [path.name for path in written] == sorted(path.name for path in FOLDER.glob("*.jsonl"))
    assert all(path.read_bytes() == (FOLDER / path.name).read_bytes() for path in written)
    assert sum(path.stat().st_size for path in written) < 300_000


@pytest.mark.parametrize("name", ["dpo", "kto"])
def test_the_data_are_valid_and_in_balance(name):
    config = load_config(FOLDER / f"{name}.yaml")
    assert config.data.eval is not None
    for key, source in {"data.train": config.data.train, "data.eval": config.data.eval}.items():
        assert check_source(source, config, METHODS[name], key) == []
        if name == "kto":
            assert config.labels(key).desirable == config.labels(key).undesirable > 0


def test_no_held_out_course_was_trained_on(script):
    known = courses("pairs", script) | courses("thumbs", script)
    for name in HELDOUT:
        assert courses(name, script)
        assert not courses(name, script) & known


def test_every_answer_is_as_its_label_says(script):
    for row in rows("pairs"):
        assert row["chosen"][0]["content"].startswith("In short: ")
        assert row["chosen"] != row["rejected"]
    for row in rows("thumbs"):
        answer = row["completion"][0]["content"].removeprefix("In short: ").rstrip(".")
        asked = row["prompt"][1]["content"].rsplit(". ", 1)[1]
        kind = next(name for name, questions in script.ASKED.items() if asked in questions)
        looks = {"when": " at ", "where": "room", "price": "euros"}[kind]
        fits = row["completion"][0]["content"].startswith("In short: ") and looks in answer
        assert fits == row["label"]
