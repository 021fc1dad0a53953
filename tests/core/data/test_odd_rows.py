"""Empty, equal and cut off answers of data that nobody has checked before, such as a hub data set's."""

import logging

import pytest
from datasets import Dataset

from trainwright.data.odd_rows import tell_odd_rows
from trainwright.testing import tiny_dataset
from trainwright.testing.bench import Case, _trainer


def say(content):
    return [{"role": "assistant", "content": content}]


@pytest.fixture
def told(caplog):
    def run(before, after, max_length=10):
        caplog.clear()
        with caplog.at_level(logging.WARNING, logger="trainwright"):
            tell_odd_rows(Dataset.from_list(before), Dataset.from_list(after), "data.train", max_length)
        return [record.getMessage() for record in caplog.records]

    return run


TOKENS = [{"prompt_ids": [1, 2], "chosen_ids": [3], "rejected_ids": [4, 5]}]


def test_what_is_in_order_is_not_spoken_of(told):
    assert told([{"prompt": "a", "chosen": "b", "rejected": "c"}], TOKENS) == []
    assert told([{"prompt": "a", "completion": "b", "label": True}], [{"prompt_ids": [1], "completion_ids": [2]}]) == []


@pytest.mark.parametrize("as_messages", [False, True])
def test_empty_and_equal_answers(as_messages, told):
    pairs = [("b", "b"), ("b", " "), ("", ""), ("b", "c")]
    rows = [
        {"chosen": say(chosen) if as_messages else chosen, "rejected": say(rejected) if as_messages else rejected}
        for chosen, rejected in pairs
    ]
    assert told(rows, TOKENS) == [
        "data.train: 3 of 8 answers are empty: all there is to learn of them is to say nothing",
        "data.train: the answers of 2 of 4 pairs are equal: neither can be preferred",
    ]


def test_answers_that_are_cut_off(told):
    rows = [
        {"prompt_ids": [1] * 8, "chosen_ids": [3, 4], "rejected_ids": [3, 4, 5]},  # one is cut, and then they are equal
        {"prompt_ids": [1] * 8, "chosen_ids": [3, 4], "rejected_ids": [5, 4, 5]},
        {"prompt_ids": [1] * 2, "chosen_ids": [3] * 8, "rejected_ids": [3] * 7},  # fits to the token
        {"prompt_ids": [1] * 12, "chosen_ids": [3], "rejected_ids": [4]},  # prompts are kept at their end
    ]
    written = [{"chosen": "a", "rejected": "b"}]
    assert told(written, rows) == [
        "data.train: 4 of 8 answers are cut off: with their prompt they exceed max_length=10 tokens",
        "data.train: of 2 of 4 pairs the answers are equal as far as they are kept: neither can be preferred",
    ]
    assert told(written, rows, None) == []
    thumbs = [
        {name.replace("chosen", "completion"): row[name] for name in ("prompt_ids", "chosen_ids")} for row in rows
    ]
    assert told([{"completion": "a"}], thumbs) == [
        "data.train: 1 of 4 answers are cut off: with their prompt they exceed max_length=10 tokens"
    ]


@pytest.mark.parametrize("method", ["dpo", "kto"])
@pytest.mark.parametrize("loss", ["trl", lambda ctx: None])
def test_both_methods_tell(method, loss, caplog, tmp_path):
    pairs = tiny_dataset("pairs", 4)
    pairs[1]["rejected"] = pairs[1]["chosen"]
    pairs[2]["rejected"] = say("long " * 200)
    with caplog.at_level(logging.WARNING, logger="trainwright"):
        _trainer(Case(loss, method=method, data=pairs, training={"max_length": 120}), tmp_path)
    assert [record.getMessage() for record in caplog.records if record.name == "trainwright.data.odd_rows"] == [
        "data.train: the answers of 1 of 4 pairs are equal: neither can be preferred",
        "data.train: 1 of 8 answers are cut off: with their prompt they exceed max_length=120 tokens",
    ]
