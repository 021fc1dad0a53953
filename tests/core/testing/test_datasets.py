"""Tiny data sets: the columns that the methods take, ragged, and the same every time."""

from __future__ import annotations

import pytest

from trainwright.testing import tiny_dataset, tiny_tokenizer
from trainwright.testing.datasets import MAKERS
from trainwright.trainer.methods import METHODS

METHOD_OF = {
    "messages": "sft",
    "prompt_completion": "sft",
    "text": "sft",
    "pairs": "dpo",
    "unpaired": "kto",
    "prompts": "grpo",
    "vision": "sft",
}


@pytest.mark.parametrize("kind", MAKERS)
def test_rows_have_columns_that_the_method_takes(kind):
    for row in tiny_dataset(kind, 5):
        assert any(set(columns) <= row.keys() for columns in METHODS[METHOD_OF[kind]].columns)


@pytest.mark.parametrize("kind", MAKERS)
def test_the_seed_decides_and_fewer_rows_begin_more(kind):
    assert tiny_dataset(kind, 3) == tiny_dataset(kind, 6)[:3]
    assert tiny_dataset(kind, 6, seed=1) != tiny_dataset(kind, 6)


def test_conversations_are_ragged():
    lengths = [
        len(tiny_tokenizer("llama").apply_chat_template(row["messages"])["input_ids"])
        for row in tiny_dataset("messages")
    ]
    assert len(set(lengths)) > len(lengths) // 2
    assert max(lengths) > 2 * min(lengths)


def test_both_labels_are_in_any_batch_of_two():
    assert [row["label"] for row in tiny_dataset("unpaired", 4)] == [True, False, True, False]


def test_system_turns_come_when_asked_for():
    rows = tiny_dataset("messages", 4, system=True)
    assert [row["messages"][0]["role"] for row in rows] == ["system", "user", "system", "user"]
    assert all(row["messages"][0]["role"] == "user" for row in tiny_dataset("messages"))


def test_an_unknown_kind_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="no kind 'dpo'; there are messages, prompt_completion"):
        tiny_dataset("dpo")
