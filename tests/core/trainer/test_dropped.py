"""Rows of a stream that TRL leaves out are counted as they are read, and told; rows of a data set before training."""

import logging
from dataclasses import replace
from types import SimpleNamespace

import pytest
from datasets import Dataset

from trainwright.errors import DataError
from trainwright.testing import tiny_dataset
from trainwright.testing.bench import DATA_KIND, Case, _trainer
from trainwright.trainer.dropped import LeftOut
from trainwright.trainer.methods import METHODS

TRAINING = {"max_length": 120, "max_steps": 3, "logging_steps": 1, "dataloader_num_workers": 0}


def loss(ctx):
    return ctx.loss(-ctx.policy.sequence_logps(), per="sequence")


@pytest.fixture
def streamed(tmp_path, monkeypatch, caplog):
    """`streamed(method, loss, long, wordy)` trains on eight rows.

    `long` of them have a prompt that fills `max_length`, `wordy` others answers that exceed it.
    """
    from_list = Dataset.from_list

    def run(method, loss_of, long, wordy=0, **training):
        rows = tiny_dataset(DATA_KIND[METHODS[method].batch], 8)
        for row in rows[:long]:
            row["prompt"][0]["content"] = "long " * 200
        for row in rows[long : long + wordy]:
            for name in {"completion", "chosen", "rejected"} & row.keys():
                row[name][0]["content"] = "long " * 200
        monkeypatch.setattr(Dataset, "from_list", lambda rows: from_list(rows).to_iterable_dataset())
        case = Case(loss_of, method=method, data=rows, per_device=2, training={**TRAINING, **training})
        trainer = _trainer(case, tmp_path)
        caplog.clear()
        with caplog.at_level(logging.WARNING, logger="trainwright"):
            trainer.train()
        return [record.getMessage() for record in caplog.records if record.name == "trainwright.trainer.dropped"]

    return run


@pytest.mark.parametrize("loss_of", [loss, "trl"])
@pytest.mark.parametrize("method", ["dpo", "kto"])
def test_rows_of_a_stream(method, loss_of, streamed):
    said = streamed(method, loss_of, 2)
    assert said[0].startswith("data.train: 2 of ")
    assert said[0].endswith("rows read are left out: their prompt alone has max_length=120 tokens or more")
    assert len(said) == 1
    assert streamed(method, loss_of, 0) == []


@pytest.mark.parametrize("loss_of", [loss, "trl"])
@pytest.mark.parametrize(("method", "answers"), [("dpo", 2), ("kto", 1)])
def test_answers_of_a_stream_that_are_cut(method, answers, loss_of, streamed):
    """Of two rows; a pair has two answers."""
    said = streamed(method, loss_of, 0, wordy=2)[-1]
    assert said.startswith(f"data.train: {2 * answers} answers of ")
    assert said.endswith("rows read are cut off: with their prompt they exceed max_length=120 tokens")


def test_what_is_counted_in_workers_is_told_too(streamed):
    assert streamed("dpo", loss, 2, dataloader_num_workers=1)[-1].startswith("data.train: 2 of ")


def test_the_last_number_is_told_at_the_end(streamed):
    """Two epochs leave out twice as many."""
    first, last = streamed("dpo", loss, 2, max_steps=6)
    assert first.startswith("data.train: 2 of ")
    assert last.startswith("data.train: 4 of ")


def test_a_stream_of_which_nothing_is_left_is_an_error(streamed):
    with pytest.raises(DataError, match="no row of 8 is left"):
        streamed("dpo", loss, 8)


def test_pairs_of_which_nothing_is_left_are_an_error(tmp_path):
    case = Case(loss, method="dpo", training={"max_length": 2})
    with pytest.raises(DataError, match="no row of 8 is left: their prompt alone has max_length=2"):
        _trainer(case, tmp_path)
    with pytest.raises(DataError, match="no row of 16 is left"):
        _trainer(replace(case, method="kto", data=tiny_dataset("pairs", 8)), tmp_path)


def test_an_evaluation_stream_of_which_nothing_is_left_does_not_end_a_run(caplog):
    """The model is trained by then."""
    alone = SimpleNamespace(device="cpu", reduce=lambda counts, reduction: counts)
    for key in ("data.eval", "data.train"):
        left_out = LeftOut(key, 8)
        assert not left_out.around(lambda row: row > 1)(1)
        if key == "data.train":
            with pytest.raises(DataError, match="no row of 1 is left"):
                left_out.tell(alone, final=True)
        else:
            left_out.tell(alone, final=True)
            assert "data.eval: 1 of 1 rows read are left out" in caplog.text
