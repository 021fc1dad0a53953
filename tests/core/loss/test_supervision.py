"""Which positions carry loss, and how many units a batch holds."""

import pickle

import pytest
import torch

from trainwright.loss.supervision import KEY, Supervise, Supervision, supervise, supervise_labels


def test_positions_predict_the_next_token():
    labels = torch.tensor([[5, -100, 7, 8], [-100, -100, -100, 9]])
    found = supervise_labels(labels, {"attention_mask": torch.tensor([[1, 1, 1, 1], [0, 1, 1, 1]])})
    assert found.index.tolist() == [1, 2, 6]
    assert found.targets.tolist() == [7, 8, 9]
    assert found.sequence.tolist() == [0, 0, 1]
    assert found.lengths.tolist() == [2, 1]
    assert found.tokens == 7


def test_units_are_counted_with_empty_sequences():
    labels = torch.full((4, 5), -100)
    labels[0, 3] = labels[3, 2] = 1
    found = supervise_labels(labels, {}, pairs=True)
    assert [found.count(unit) for unit in ("token", "chosen_token", "sequence", "pair")] == [2, 1, 4, 2]
    assert supervise_labels(labels, {}).count("chosen_token") == 0


def test_the_place_of_a_token_is_counted_within_its_sequence():
    labels = torch.tensor([[-100, 2, 3, -100, 5], [-100] * 5, [-100, -100, -100, 8, 9]])
    assert supervise_labels(labels, {}).position.tolist() == [0, 1, 2, 0, 1]


def test_packed_rows_hold_several_sequences():
    labels = torch.tensor([[-100, 2, 3, -100, 5, -100, 7]])
    found = supervise_labels(labels, {"position_ids": torch.tensor([[0, 1, 2, 0, 1, 0, 1]])})
    assert found.sequence.tolist() == [0, 0, 1, 2]
    assert found.lengths.tolist() == [2, 1, 1]


def test_pairs_come_from_the_completion_mask():
    batch = {
        "input_ids": torch.tensor([[1, 2, 3], [1, 4, 0]]),
        "attention_mask": torch.tensor([[1, 1, 1], [1, 1, 0]]),
        "completion_mask": torch.tensor([[0, 1, 1], [0, 1, 0]]),
    }
    found = supervise(batch, "pairs")
    assert found.targets.tolist() == [2, 3, 4]
    assert found.pairs
    assert found.count("pair") == 1


def test_rows_with_thumbs_have_mismatched_ones_that_travel_with_them():
    batch = {
        "input_ids": torch.tensor([[1, 2, 3], [1, 4, 0]]),
        "attention_mask": torch.tensor([[1, 1, 1], [1, 1, 0]]),
        "completion_mask": torch.tensor([[0, 1, 1], [0, 1, 0]]),
        "label": torch.tensor([True, False]),
    }
    assert supervise(batch, "unpaired").mismatched is None
    batch |= {
        "KL_input_ids": torch.tensor([[1, 4, 0, 0], [1, 2, 3, 5]]),
        "KL_attention_mask": torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1]]),
        "KL_completion_mask": torch.tensor([[0, 1, 0, 0], [0, 1, 1, 1]]),
    }
    found = Supervision.unpack(pickle.loads(pickle.dumps(supervise(batch, "unpaired").pack())))
    assert found.targets.tolist() == [2, 3, 4]
    assert found.tokens == 5, "mismatched rows are no training tokens"
    assert found.mismatched.targets.tolist() == [4, 2, 3, 5]
    assert found.mismatched.lengths.tolist() == [1, 3]
    assert found.mismatched.columns == 4


def test_rollouts_leave_out_what_tools_said():
    batch = {
        "prompt_ids": torch.tensor([[9, 9]]),
        "prompt_mask": torch.tensor([[0, 1]]),
        "completion_ids": torch.tensor([[5, 6, 7]]),
        "completion_mask": torch.tensor([[1, 1, 1]]),
        "tool_mask": torch.tensor([[1, 0, 1]]),
    }
    found = supervise(batch, "rollouts")
    assert found.index.tolist() == [1, 3]
    assert found.targets.tolist() == [5, 7]


def test_scores_have_no_supervised_tokens():
    with pytest.raises(ValueError, match="scores"):
        supervise({}, "scores")


def collate(examples):
    return {"labels": torch.tensor(examples), "attention_mask": torch.ones(len(examples), 3)}


def test_the_collator_adds_the_supervision_last_and_pickles():
    wrapped = pickle.loads(pickle.dumps(Supervise(collate, "labels")))
    batch = wrapped([[1, 2, -100], [-100, -100, 3]])
    assert list(batch)[-1] == KEY
    assert Supervision(**batch[KEY]).targets.tolist() == [2, 3]
