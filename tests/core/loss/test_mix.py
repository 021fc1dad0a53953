"""Losses mixed by weight: what each is divided by, what they share, what is logged."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import logsigmoid

from trainwright.loss import chosen_nll
from trainwright.loss.mix import Component, Mix
from trainwright.testing import LossContract
from trainwright.testing.bench import Case, _trainer, on_ranks, one_step
from trainwright.testing.loss_contract import FLOAT32_ROUNDING, FLOAT64_ROUNDING, assert_equal
from trainwright_ops import linear_nll


def sigmoid(ctx):
    rewards = 0.5 * (ctx.policy.sequence_logps() - ctx.reference.sequence_logps())
    ctx.log_rewards(rewards)
    return ctx.loss(-logsigmoid(rewards.chosen_minus_rejected()), per="pair")


def hinge(ctx):
    ratios = ctx.policy.sequence_logps() - ctx.reference.sequence_logps()
    ctx.log_rewards(0.1 * ratios)
    return ctx.loss(torch.relu(1 - 0.1 * ratios.chosen_minus_rejected()), per="pair")


def own_pass(ctx):
    """Runs the policy with a head function of its own."""
    found = ctx.policy.apply(lambda head: {"nll": linear_nll(**head.keywords()).loss})
    return ctx.loss(found["nll"], per="token")


def two_units(ctx):
    logps = ctx.policy.sequence_logps()
    return ctx.loss(-logsigmoid(logps.chosen_minus_rejected()), per="pair") + 0.5 * ctx.loss(-logps, per="token")


def mix(*parts):
    losses = {**globals(), "sft": chosen_nll.compute_loss}
    return Mix([Component(name, weight, losses[name], None) for name, weight in parts])


TWO = mix(("sigmoid", 0.8), ("sft", 0.3))
ALL = mix(("sigmoid", 1.0), ("sft", 0.1), ("two_units", 0.2), ("own_pass", 0.4))
CASE = Case(TWO, method="dpo")


class TestChosenNLL(LossContract):
    loss = "sft"
    method = "dpo"

    def reference(self, policy, reference, settings):
        return -torch.cat(list(policy[: len(policy) // 2])).mean()


def test_on_one_batch_it_is_trls_mix():
    native = {"loss_type": ["sigmoid", "sft"], "loss_weights": [0.8, 0.3], "beta": 0.5}
    assert_equal(one_step(CASE), one_step(replace(CASE, loss="trl", training=native)), FLOAT32_ROUNDING)


@pytest.mark.parametrize("loss", [TWO, ALL], ids=["two", "all"])
def test_each_loss_is_divided_by_the_windows_count_of_its_unit(loss):
    """A window of 2 + 2 + 2 + 1 ragged pairs is the same as one batch of 7."""
    case = replace(CASE, loss=loss, rows=7, dtype="float64")
    whole = one_step(replace(case, per_device=7))
    assert_equal(one_step(replace(case, per_device=2, accumulate=4)), whole, FLOAT64_ROUNDING)
    logged = whole.history[0]
    weighted = sum(each.weight * logged[f"loss/{each.name}"] for each in loss.components)
    assert whole.loss == pytest.approx(weighted, rel=1e-6)


def test_two_ranks_equal_one():
    case = replace(CASE, loss=ALL)
    wide, deep = on_ranks([replace(case, per_device=4), replace(case, per_device=2, accumulate=2)])
    whole = one_step(case)
    assert_equal(wide, whole, FLOAT32_ROUNDING)
    assert_equal(deep, whole, FLOAT32_ROUNDING)
    names = [name for name in whole.history[0] if "/" in name and not name.startswith("time/")]
    assert {name: wide.history[0][name] for name in names} == pytest.approx(
        {name: whole.history[0][name] for name in names}, rel=1e-4
    )


@pytest.mark.parametrize(
    ("loss", "policy"), [(TWO, 1), (mix(("sft", 1.0), ("sigmoid", 1.0), ("hinge", 2.0)), 1), (ALL, 2)]
)
def test_the_models_run_once_for_all_losses(loss, policy):
    runs = Counter()

    def wrap(trainer):
        for name, model in (("policy", trainer.model), ("reference", trainer.ref_model)):
            model.model.register_forward_hook(lambda *_, name=name: runs.update([name]))

    one_step(replace(CASE, loss=loss, wrap=wrap))
    assert runs == {"policy": policy, "reference": 1}


def test_a_name_that_an_earlier_loss_has_logged_carries_the_later_ones_name():
    logged = one_step(replace(CASE, loss=mix(("sigmoid", 1.0), ("hinge", 1.0)))).history[0]
    alone = {loss.__name__: one_step(replace(CASE, loss=loss)).history[0] for loss in (sigmoid, hinge)}
    for metric in ("rewards/chosen", "rewards/margins", "rewards/accuracies"):
        assert logged[metric] == pytest.approx(alone["sigmoid"][metric], rel=1e-5)
        assert logged[f"hinge/{metric}"] == pytest.approx(alone["hinge"][metric], rel=1e-5)
    assert not {f"hinge/{metric}" for metric in ("entropy", "logps/chosen")} & logged.keys()


def test_evaluation_is_a_mean_over_all_units_of_each_loss(tmp_path):
    case = replace(CASE, loss=ALL, rows=7, dtype="float64")
    found = {}
    for size in (1, 3, 7):
        trainer = _trainer(replace(case, training={"per_device_eval_batch_size": size}), tmp_path / str(size))
        trainer.eval_dataset = trainer.train_dataset
        found[size] = trainer.evaluate()
    names = ["eval_loss", *(f"eval_loss/{each.name}" for each in ALL.components)]
    for size in (1, 3):
        assert [found[size][name] for name in names] == pytest.approx([found[7][name] for name in names], rel=1e-9)
    weighted = sum(each.weight * found[7][f"eval_loss/{each.name}"] for each in ALL.components)
    assert found[7]["eval_loss"] == pytest.approx(weighted, rel=1e-9)


def test_losses_add_and_numbers_multiply_them(tmp_path):
    """A loss of two units in one function is the mix of two functions."""
    pair = lambda ctx: ctx.loss(-logsigmoid(ctx.policy.sequence_logps().chosen_minus_rejected()), per="pair")
    token = lambda ctx: ctx.loss(-ctx.policy.token_logps().logps, per="token")
    case = replace(CASE, rows=7, per_device=2, accumulate=4, dtype="float64")
    apart = Mix([Component("pair", 1.0, pair, None), Component("token", 0.5, token, None)])
    assert_equal(one_step(replace(case, loss=two_units)), one_step(replace(case, loss=apart)), FLOAT64_ROUNDING)


def test_a_mix_copies_nothing_to_the_host():
    contract = LossContract()
    contract.loss, contract.method = TWO, "dpo"
    contract.test_a_step_copies_nothing_to_the_host()


def test_a_window_without_a_supervised_token_is_no_crash():
    contract = LossContract()
    contract.loss, contract.method = ALL, "dpo"
    contract.test_no_supervised_token_is_a_zero_and_not_a_crash()
