"""What every loss must hold, on tiny models trained by TRL; and 20 steps against TRL's own loss of this name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import pytest
import torch

from trainwright.testing import LossContract
from trainwright.testing.bench import Case, one_step

TRAINING = {"max_steps": 20, "learning_rate": 2e-4, "max_grad_norm": 1.0}


def rewards(policy: Any, reference: Any, settings: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Of chosen and rejected answers, `(pairs,)` each, written as in the papers."""
    half = len(policy) // 2
    alpha = 1.0 if settings.ld_alpha is None else settings.ld_alpha
    found = []
    for number, (logps, fixed) in enumerate(zip(policy, reference, strict=True)):
        shared = min(len(logps), len(policy[(number + half) % (2 * half)]))
        ratio = logps - fixed
        found.append(settings.beta / len(logps) * (ratio[:shared].sum() + alpha * ratio[shared:].sum()))
    return torch.stack(found[:half]), torch.stack(found[half:])


class TestSigmoidNorm(LossContract):
    loss = "sigmoid_norm"
    method = "dpo"

    def reference(self, policy: Any, reference: Any, settings: Any) -> Any:
        chosen, rejected = rewards(policy, reference, settings)
        clean, flipped = torch.log1p((rejected - chosen).exp()), torch.log1p((chosen - rejected).exp())
        return ((1 - settings.label_smoothing) * clean + settings.label_smoothing * flipped).mean()


class Smoothed(TestSigmoidNorm):
    settings: ClassVar = {"beta": 2.5, "label_smoothing": 0.1, "ld_alpha": 0.3}


@pytest.mark.parametrize(
    "settings",
    [
        {"beta": 0.1, "label_smoothing": 0.2},
        {"beta": 8.0, "ld_alpha": 0.0},
        {"ld_alpha": 0.4},
        {"beta": 2.5, "label_smoothing": 0.45, "ld_alpha": 0.9},
    ],
    ids=str,
)
def test_formula_with_settings(settings):
    contract = TestSigmoidNorm()
    contract.settings = settings
    contract.test_formula_equals_the_plain_reference()


def test_smoothing_and_desensitisation_hold_the_contract():
    contract = Smoothed()
    contract.test_value_and_gradients_equal_the_plain_reference()
    contract.test_many_micro_batches_equal_one_batch()
    contract.test_padding_changes_nothing()
    contract.test_a_step_copies_nothing_to_the_host()


def test_a_weight_of_one_is_no_desensitisation():
    case = Case("sigmoid_norm", method="dpo", dtype="float64")
    assert one_step(replace(case, settings={"ld_alpha": 1.0})).loss == pytest.approx(one_step(case).loss, rel=1e-12)


# ── against TRL ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("accumulate", [1, 4])
@pytest.mark.parametrize("ld_alpha", [None, 0.5])
def test_twenty_steps_follow_trls_own(accumulate, ld_alpha):
    """Loss and gradient norm in float32, same seed and data: float32 rounding apart, and no more."""
    case = Case("trl", method="dpo", rows=16, per_device=8 // accumulate, accumulate=accumulate)
    native = {"loss_type": ["sigmoid_norm"], "beta": 5.0, "ld_alpha": ld_alpha}
    theirs = one_step(replace(case, training=TRAINING | native)).history
    mine = one_step(replace(case, loss="sigmoid_norm", settings={"ld_alpha": ld_alpha}, training=TRAINING)).history
    assert len(mine) == 20
    for own, other in zip(mine, theirs, strict=True):
        assert own["loss"] == pytest.approx(other["loss"], rel=1e-5)
        assert own["grad_norm"] == pytest.approx(other["grad_norm"], rel=1e-5)


def test_metrics_have_trls_names_and_values():
    case = Case("trl", method="dpo")
    (theirs,) = one_step(replace(case, training={"loss_type": ["sigmoid_norm"], "beta": 5.0})).history
    (mine,) = one_step(replace(case, loss="sigmoid_norm")).history
    assert {name for name in theirs if "/" in name or "entropy" in name or "token" in name} <= mine.keys()
    for name in ("entropy", "mean_token_accuracy", "logits/chosen", "logits/rejected", "logps/chosen", "num_tokens"):
        assert mine[name] == pytest.approx(theirs[name], rel=1e-5), name


def test_rewards_are_what_the_loss_compares():
    """TRL logs sums over tokens, which for one-sided lengths disagree with the loss about who is preferred."""
    case = Case("sigmoid_norm", method="dpo", dtype="float64", rows=1, per_device=1)
    outcome = one_step(case)
    (logged,) = outcome.history
    assert outcome.loss == pytest.approx(torch.tensor(-logged["rewards/margins"]).exp().log1p().item(), rel=1e-5)
    assert logged["rewards/margins"] == pytest.approx(logged["rewards/chosen"] - logged["rewards/rejected"], rel=1e-9)
    assert logged["rewards/accuracies"] == float(logged["rewards/margins"] > 0)


@pytest.mark.parametrize("loss_type", ["sigmoid_norm", "sft"])
def test_trl_depends_on_how_a_ragged_window_is_cut_and_this_does_not(loss_type):
    """Seven pairs as 7 or as 2 + 2 + 2 + 1: TRL takes the mean of the micro-batches' means."""
    cuts = [{"per_device": 7, "accumulate": 1}, {"per_device": 2, "accumulate": 4}]
    name = loss_type if loss_type == "sft" else "sigmoid_norm"
    theirs = Case("trl", method="dpo", rows=7, training={"loss_type": [loss_type], "beta": 5.0, "max_steps": 1})
    mine = replace(theirs, loss=name, training={"max_steps": 1})
    whole, parts = (one_step(replace(mine, **cut)).loss for cut in cuts)
    assert parts == pytest.approx(whole, rel=1e-6)
    assert one_step(replace(theirs, **cuts[0])).loss == pytest.approx(whole, rel=1e-6)
    assert one_step(replace(theirs, **cuts[1])).loss != pytest.approx(whole, rel=1e-4)
