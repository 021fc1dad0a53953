"""The loss on log-probabilities that are given, and its reference point on real trainers."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError

import trainwright_kto as plugin
from trainwright.loss.sums import Sums, means
from trainwright.testing import tiny_dataset
from trainwright.testing.bench import Case, _trainer, one_step
from trainwright.testing.given import given_logps, mean_over_units
from trainwright.testing.oracle import Logps, all_logps

CASE = Case("kto", method="kto", settings={"beta": 0.3}, rows=8)


def given(policy, mismatched, desirable, **settings):
    """Loss, metrics and gradients of rows of one token each, under a reference that gives every token probability 1."""

    def logps(values):
        return [torch.tensor([value], dtype=torch.float64, requires_grad=True) for value in values]

    own, zeros = Logps(logps(policy)), Logps(logps([0.0] * len(policy)))
    own.mismatched, own.desirable = logps(mismatched), torch.tensor(desirable)
    zeros.mismatched = logps([0.0] * len(mismatched))
    sums = Sums()
    context = given_logps(own, zeros, settings=plugin.Settings(**settings), method="kto", sums=sums)
    value = mean_over_units(context, plugin.compute_loss(context))
    gradients = torch.autograd.grad(value, [*own, *own.mismatched], materialize_grads=True)
    return value.item(), means(sums.reduce()), torch.cat(gradients)


def sigmoid(value):
    return torch.sigmoid(torch.tensor(value, dtype=torch.float64)).item()


def test_equation_7():
    value, _, _ = given([2.0, -1.0], [0.5, 1.5], [True, False], beta=0.4, desirable_weight=1.5, undesirable_weight=0.5)
    desirable = 1.5 * (1 - sigmoid(0.4 * (2.0 - 1.0)))
    undesirable = 0.5 * (1 - sigmoid(0.4 * (1.0 + 1.0)))
    assert value == pytest.approx((desirable + undesirable) / 2, rel=1e-12)


def test_the_reference_point_is_never_negative_and_held_constant():
    below, metrics, gradients = given([2.0, -1.0], [-3.0, 1.0], [True, False], beta=0.4)
    at_zero, _, _ = given([2.0, -1.0], [0.0, 0.0], [True, False], beta=0.4)
    assert below == at_zero
    assert metrics["kl"] == 0.0
    _, metrics, gradients = given([2.0, -1.0], [3.0, 1.0], [True, False], beta=0.4)
    assert metrics["kl"] == 2.0
    assert (gradients[:2] != 0).all()
    assert (gradients[2:] == 0).all()


def test_apo_zero_unpaired_asks_for_no_mismatched_rows():
    value, metrics, _ = given([2.0, -1.0], [], [True, False], beta=0.4, loss_type="apo_zero_unpaired")
    assert value == pytest.approx((1 - sigmoid(0.8) + sigmoid(-0.4)) / 2, rel=1e-12)
    assert "kl" not in metrics


def test_metrics():
    _, metrics, _ = given([2.0, -1.0, 0.5, 3.0], [1.0] * 4, [True, False, True, False], beta=0.5)
    assert metrics["rewards/chosen"] == pytest.approx(0.5 * (2.0 + 0.5) / 2)
    assert metrics["rewards/rejected"] == pytest.approx(0.5 * (-1.0 + 3.0) / 2)
    assert metrics["rewards/margins"] == pytest.approx(metrics["rewards/chosen"] - metrics["rewards/rejected"])
    # on the right side of the reference point are 2.0 > 1 and -1.0 < 1
    assert metrics["rewards/accuracies"] == 0.5


@pytest.mark.parametrize("liked", [True, False])
def test_rows_of_one_kind_only(liked):
    value, metrics, gradients = given([2.0, -1.0], [0.5, 0.5], [liked, liked])
    other = "rejected" if liked else "chosen"
    assert 0 < value < 1
    assert gradients.isfinite().all()
    assert not {f"rewards/{other}", "rewards/margins"} & metrics.keys()


def test_micro_batches_of_one_kind_equal_the_whole():
    rows = sorted(tiny_dataset("unpaired", 8), key=lambda row: row["label"])
    whole = one_step(replace(CASE, data=rows, per_device=8))
    parts = one_step(replace(CASE, data=rows, per_device=2, accumulate=4))
    assert parts.loss == pytest.approx(whole.loss, rel=1e-5)
    for name in ("kl", "rewards/margins", "rewards/chosen", "logps/rejected", "entropy", "rewards/accuracies"):
        assert parts.history[0][name] == pytest.approx(whole.history[0][name], rel=1e-5), name


def test_a_last_step_of_one_row_has_another_row_s_completion(tmp_path):
    case = replace(CASE, rows=9, per_device=4, accumulate=2, training={"max_steps": 2}, dtype="float64")
    trainer = _trainer(case, tmp_path)
    batch = trainer.data_collator([trainer.train_dataset[8]])
    assert trainer.train_dataset[8]["KL_completion_ids"] != trainer.train_dataset[8]["completion_ids"]
    (policy,), (fixed,) = (all_logps(model, batch).mismatched for model in (trainer.model, trainer.ref_model))
    expected = max((policy.sum() - fixed.sum()).item(), 0.0)
    assert expected > 0
    assert one_step(case).history[1]["kl"] == pytest.approx(expected, rel=1e-6)


def test_passes_of_a_step():
    """The policy's own rows with gradient and the mismatched ones without; the reference takes both in one pass."""
    for loss_type, expected in (
        ("kto", {"policy": 6, "reference": 3}),
        ("apo_zero_unpaired", {"policy": 3, "reference": 3}),
    ):
        calls = {"policy": 0, "reference": 0}

        def count(name, calls=calls):
            return lambda *args: calls.update({name: calls[name] + 1})

        def wrap(trainer, count=count):
            trainer.model.register_forward_hook(count("policy"))
            trainer.ref_model.register_forward_hook(count("reference"))

        one_step(replace(CASE, settings={"loss_type": loss_type}, rows=6, per_device=2, accumulate=3, wrap=wrap))
        assert calls == expected, loss_type


def test_bf16_autocast_keeps_the_gradients():
    """The passes without gradient come first and leave no detached weights behind."""
    plain = one_step(replace(CASE, training={"gradient_checkpointing": False}))
    mixed = one_step(replace(CASE, training={"gradient_checkpointing": False, "bf16": True}))
    assert mixed.loss == pytest.approx(plain.loss, rel=2e-2)
    assert mixed.gradients.keys() == plain.gradients.keys()
    assert all(gradient.abs().sum() > 0 for gradient in mixed.gradients.values())


def test_precomputed_references_serve_both_kinds_of_rows():
    live = one_step(replace(CASE, per_device=4, accumulate=2))
    precomputed = one_step(replace(CASE, per_device=4, accumulate=2, training={"precompute_ref_log_probs": True}))
    assert precomputed.loss == pytest.approx(live.loss, rel=1e-5)
    assert precomputed.history[0]["kl"] == pytest.approx(live.history[0]["kl"], rel=1e-4)


@pytest.mark.parametrize(
    "settings",
    [
        {"beta": 0},
        {"beta": -1.0},
        {"beta": float("inf")},
        {"desirable_weight": float("nan")},
        {"desirable_weight": 0},
        {"undesirable_weight": -2},
        {"loss_type": "bco"},
        {"x": 1},
    ],
    ids=str,
)
def test_settings_that_make_no_sense(settings):
    with pytest.raises(ValidationError):
        plugin.Settings(**settings)


def test_importing_it_does_not_import_torch():
    code = "import sys, trainwright_kto as p; p.Settings(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
