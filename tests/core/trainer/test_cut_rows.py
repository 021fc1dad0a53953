"""Rows with images that `max_length` cuts: as TRL cuts them, counted, told, and refused where an image would be cut."""

import copy
import logging
import pickle

import pytest

from trainwright.errors import DataError
from trainwright.testing import tiny_dataset
from trainwright.testing.bench import Case, _trainer

pytest.importorskip("PIL")


def loss(ctx):
    return ctx.loss(-ctx.policy.sequence_logps(), per="sequence")


def rows(method):
    made = []
    for number, (pair, seen) in enumerate(zip(tiny_dataset("pairs", 4), tiny_dataset("vision", 4), strict=True)):
        chosen, rejected = pair["chosen"], pair["rejected"]
        for answer in (chosen, rejected):
            answer[0]["content"] = "long " * 40 if number == 0 and answer is chosen else f"no {number}"
        if number == 2:
            pair["prompt"][0]["content"] = "long " * 60
        kto = {"completion": chosen, "label": number % 2 == 0}
        answers = {"chosen": chosen, "rejected": rejected} if method == "dpo" else kto
        made.append({"images": seen["images"], "prompt": pair["prompt"], **answers})
    return made


def trainer_of(method, loss_of, tmp_path, limit, **training):
    given = {"max_length": limit, "logging_steps": 1, **training}
    case = Case(loss_of, method=method, family="gemma3-vlm", data=rows(method), rows=4, per_device=4, training=given)
    return _trainer(case, tmp_path)


def examples(trainer):
    return [copy.deepcopy(trainer.train_dataset[number]) for number in range(4)]


def widths(method, tmp_path):
    """Tokens of each row, uncut."""
    trainer = trainer_of(method, loss, tmp_path, None)
    batch = trainer.data_collator(examples(trainer))
    return batch["attention_mask"].sum(1).tolist()


@pytest.fixture(params=["dpo", "kto"])
def method(request):
    return request.param


@pytest.fixture
def limit(method, tmp_path):
    """What all rows but the two long ones fit into."""
    found = widths(method, tmp_path / "uncut")
    return max(width for number, width in enumerate(found) if number % 4 in (1, 3))


@pytest.mark.parametrize("loss_of", [loss, "trl"])
def test_they_are_cut_as_trl_cuts_them(method, loss_of, limit, tmp_path):
    trainer = trainer_of(method, loss_of, tmp_path, limit)
    mine = trainer.data_collator(examples(trainer))
    inner = trainer.data_collator.innermost
    assert inner.max_length is None
    theirs = copy.copy(inner)
    theirs.max_length = limit
    known = {"images", "prompt", "chosen", "rejected", "completion", "label"}
    kept = [{name: value for name, value in row.items() if name in known} for row in examples(trainer)]
    expected = theirs(kept)
    assert mine["input_ids"].shape[1] == limit
    for name, value in expected.items():
        assert mine[name].equal(value), name
    if method == "kto" and loss_of == "trl":
        assert mine["KL_input_ids"].shape[1] == limit


@pytest.mark.parametrize("loss_of", [loss, "trl"])
def test_what_is_cut_is_told(method, loss_of, limit, tmp_path, caplog):
    trainer = trainer_of(method, loss_of, tmp_path, limit, max_steps=2)
    with caplog.at_level(logging.WARNING, logger="trainwright"):
        trainer.train()
    said = [record.getMessage() for record in caplog.records if record.name == "trainwright.trainer.dropped"]
    cut, gone = (3, 2) if method == "dpo" else (2, 1)  # both answers of the pair whose prompt is too long
    why = f"with their prompt they exceed max_length={limit} tokens"
    assert said == [
        f"rows with images: {turns * cut} answers of {turns * 4} rows read are cut off: {why}; of {turns * gone} "
        "nothing is left"
        for turns in (1, 2)
    ]


def test_nothing_is_told_where_nothing_is_cut(method, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, logger="trainwright"):
        trainer_of(method, loss, tmp_path, 400, max_steps=1).train()
    assert "cut off" not in caplog.text


def test_a_cut_through_an_image_is_refused(method, tmp_path):
    trainer = trainer_of(method, loss, tmp_path, 8)
    with pytest.raises(DataError, match=r"training\.max_length: an image does not fit into max_length=8 tokens"):
        trainer.data_collator(examples(trainer))


def test_it_can_be_sent_to_a_worker(method, limit, tmp_path):
    trainer = trainer_of(method, loss, tmp_path, limit)
    collate = pickle.loads(pickle.dumps(trainer.data_collator))
    assert collate(examples(trainer))["input_ids"].equal(trainer.data_collator(examples(trainer))["input_ids"])
