"""The quickstart's data are what its script writes, and its held-out orders need generalisation."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "quickstart"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("quickstart_make_data", FOLDER / "make_data.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows(name):
    return [json.loads(line)["messages"] for line in (FOLDER / name).read_text(encoding="utf-8").splitlines()]


def lines(name):
    """What is ordered, as tickets write it."""
    return {line for messages in rows(name) for line in messages[-1]["content"].split(" ", 1)[1].split(" + ")}


def test_the_script_writes_the_files_that_are_there(script, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "FOLDER", tmp_path)
    script.main()
    for name in ("train.jsonl", "heldout.jsonl"):
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes()


def test_no_held_out_line_was_trained_on():
    assert lines("heldout.jsonl")
    assert not lines("heldout.jsonl") & lines("train.jsonl")


def test_every_part_of_a_held_out_line_was_trained_on():
    def parts(name):
        return {part for line in lines(name) for part in (line[0], line[1], line[3:])}

    assert parts("heldout.jsonl") <= parts("train.jsonl")


def test_each_order_is_asked_once_and_answered_right(script):
    orders = [messages[1]["content"] for name in ("train.jsonl", "heldout.jsonl") for messages in rows(name)]
    assert len(set(orders)) == len(orders)
    for messages in rows("heldout.jsonl"):
        table = int(messages[-1]["content"].split(" ", 1)[0].removeprefix("#"))
        assert script.number_word(table) in messages[1]["content"].lower()
        assert [message["role"] for message in messages] == ["system", "user", "assistant"]
