"""Pairs laid end to end: nothing is padded, and loss, gradients and metrics are those of padded ones."""

from dataclasses import replace

import pytest
import torch

from trainwright.errors import RunError
from trainwright.loss.supervision import KEY, Supervision, supervise
from trainwright.testing import tiny_dataset
from trainwright.testing.bench import Case, _trainer, one_step
from trainwright.testing.loss_contract import FLOAT32_ROUNDING, assert_equal
from trainwright.trainer.flat import Flat

FLAT = {"padding_free": True, "max_length": None}


def loss(ctx):
    ratios = ctx.policy.sequence_logps(average=True) - ctx.reference.sequence_logps(average=True)
    ctx.log_rewards(ratios)
    return ctx.loss(torch.nn.functional.softplus(-ratios.chosen_minus_rejected()), per="pair")


CASE = Case(loss, method="dpo", rows=6, per_device=3, accumulate=2, training=FLAT)
PADDED = replace(CASE, training={"max_length": None})


def joined(rows):
    return [token for row in rows for token in row]


def test_a_batch(tmp_path):
    trainer = _trainer(CASE, tmp_path)
    rows = [trainer.train_dataset[number] for number in range(3)]
    batch = trainer.data_collator(rows)
    supervision = Supervision.unpack(batch[KEY])
    answers = [row["chosen_ids"] for row in rows] + [row["rejected_ids"] for row in rows]
    whole = [row["prompt_ids"] + answer for row, answer in zip(rows * 2, answers, strict=True)]
    assert batch["input_ids"].tolist() == [joined(whole)]
    assert batch["position_ids"].tolist() == [[place for each in whole for place in range(len(each))]]
    assert "attention_mask" not in batch
    assert supervision.lengths.tolist() == [len(answer) for answer in answers]
    assert supervision.targets.tolist() == joined(answers)
    assert supervision.tokens == len(joined(whole))


@pytest.mark.parametrize("family", ["llama", "gemma2", "mixtral"])
def test_it_is_the_padded_loss(family):
    """Without the router's loss, in whose mean TRL's models count padding."""
    training = {"router_aux_loss_coef": 0.0} if family == "mixtral" else {}
    flat, padded = (
        one_step(replace(case, family=family, training={**case.training, **training})) for case in (CASE, PADDED)
    )
    assert_equal(flat, padded, FLOAT32_ROUNDING)
    for name in ("rewards/margins", "logps/chosen", "logps/rejected", "logits/chosen", "entropy", "num_tokens"):
        assert flat.history[0][name] == pytest.approx(padded.history[0][name], rel=1e-4), name


def test_precomputed_references_serve(tmp_path):
    live, stored = (one_step(replace(CASE, training={**FLAT, "precompute_ref_log_probs": on})) for on in (False, True))
    assert stored.loss == pytest.approx(live.loss, rel=1e-5)


def test_an_answer_without_a_prompt_is_not_predicted_by_the_one_before():
    def collate(examples):
        return {
            "input_ids": torch.tensor([[5, 6, 7], [8, 9, 0]]),
            "attention_mask": torch.tensor([[1, 1, 1], [1, 1, 0]]),
            "completion_mask": torch.tensor([[0, 1, 1], [1, 1, 0]]),
        }

    batch = Flat(collate)([])
    assert batch["input_ids"].tolist() == [[5, 6, 7, 8, 9]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 0, 1]]
    assert batch["completion_mask"].tolist() == [[0, 1, 1, 0, 1]]
    assert supervise(batch, "pairs").targets.tolist() == supervise(collate([]), "pairs").targets.tolist() == [6, 7, 9]


def kto(ctx):
    """A loss that reads mismatched rows too, with a point that they share."""
    policy, reference = ctx.policy.mismatched, ctx.reference.mismatched
    point = (policy.sequence_logps() - reference.sequence_logps()).sum().detach()
    ratios = ctx.policy.sequence_logps() - ctx.reference.sequence_logps()
    signs = torch.where(ctx.batch["label"].bool(), 1.0, -1.0)
    ctx.log_rewards(ratios)
    return ctx.loss(torch.sigmoid(signs * (0.1 * point - ratios)), per="sequence")


@pytest.mark.parametrize("data", ["unpaired", "pairs"])
@pytest.mark.parametrize("precomputed", [False, True], ids=["live", "precomputed"])
def test_single_answers_and_mismatched_ones(data, precomputed):
    """TRL has no such option for KTO; the labels of rows stay with them."""
    case = replace(CASE, loss=kto, method="kto", data=tiny_dataset(data, 6))
    common = {"max_length": None, "precompute_ref_log_probs": precomputed}
    flat, padded = (one_step(replace(case, training={**common, "padding_free": on})) for on in (True, False))
    assert_equal(flat, padded, FLOAT32_ROUNDING)
    for name in ("rewards/chosen", "rewards/rejected", "logps/chosen", "logps/rejected", "entropy", "num_tokens"):
        assert flat.history[0][name] == pytest.approx(padded.history[0][name], rel=1e-4), name


def test_a_batch_of_single_answers(tmp_path):
    trainer = _trainer(replace(CASE, loss=kto, method="kto"), tmp_path)
    rows = [trainer.train_dataset[number] for number in range(3)]
    batch = trainer.data_collator(rows)
    whole = [row["prompt_ids"] + row["completion_ids"] for row in rows]
    others = [row["prompt_ids"] + row["KL_completion_ids"] for row in rows]
    assert batch["input_ids"].tolist() == [joined(whole)]
    assert batch["KL_input_ids"].tolist() == [joined(others)]
    assert batch["KL_position_ids"].tolist() == [[place for each in others for place in range(len(each))]]
    assert batch["label"].tolist() == [row["label"] for row in rows]
    assert not any(name.endswith("attention_mask") for name in batch)


def test_rows_with_images_are_refused(tmp_path):
    pytest.importorskip("PIL")
    rows = [
        {"images": row["images"], "prompt": row["messages"][:1], "chosen": row["messages"][1:], "rejected": [
            {"role": "assistant", "content": "No."}
        ]}
        for row in tiny_dataset("vision", 3)
    ]  # fmt: skip
    with pytest.raises(RunError, match="rows with images cannot be laid end to end"):
        one_step(replace(CASE, data=rows, rows=3, family="gemma3-vlm"))
