"""Means over an accumulation window, known at its first micro-batch: right for ragged windows and ranks, run once."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import softplus

from trainwright.errors import RunError
from trainwright.testing.bench import Case, _trainer, on_ranks, one_step

ROLLOUT = {
    "max_completion_length": 5,
    "num_generations": 2,
    "per_device_train_batch_size": 2,
    "gradient_accumulation_steps": 2,
    "beta": 0.0,
}


def lengths(ctx):
    return ctx.supervision.lengths.double()


def policy_logps(ctx):
    return ctx.policy.sequence_logps()


def margins(ctx):
    return (ctx.policy.sequence_logps() - ctx.reference.sequence_logps()).chosen_minus_rejected()


def nll(ctx):
    return ctx.loss(-ctx.policy.token_logps().logps, per="token")


def loss_of_mean_lengths(ctx):
    ctx.metric("length", ctx.window_mean(lengths))
    return ctx.loss(ctx.policy.token_logps().logps * 0 + ctx.window_mean(lengths), per="token")


def centred_dpo(ctx):
    centre = ctx.window_mean(margins)
    assert not centre.requires_grad
    return ctx.loss(softplus(-0.1 * (margins(ctx) - centre)), per="pair")


def mean_length(rows, tmp_path):
    trainer = _trainer(Case(nll, rows=rows, per_device=rows), tmp_path / "all")
    (batch,) = trainer.get_train_dataloader()
    return float(batch["trainwright_supervision"]["lengths"].double().mean())


def test_every_micro_batch_of_a_ragged_window_gets_the_mean_of_all(tmp_path):
    seen = []

    def loss(ctx):
        seen.append(float(ctx.window_mean(lengths)))
        return nll(ctx)

    one_step(Case(loss, rows=7, per_device=2, accumulate=4))
    assert seen == [mean_length(7, tmp_path)] * 4


def test_values_may_bring_a_count_of_their_own(tmp_path):
    seen = []

    def long_ones(ctx):
        mask = ctx.supervision.lengths > 60
        return lengths(ctx) * mask, mask.sum()

    def loss(ctx):
        seen.append(float(ctx.window_mean(long_ones)))
        return nll(ctx)

    one_step(Case(loss, rows=6, per_device=2, accumulate=3))
    (batch,) = _trainer(Case(nll, rows=6, per_device=6), tmp_path).get_train_dataloader()
    every = batch["trainwright_supervision"]["lengths"].double()
    assert 0 < (every > 60).sum() < 6
    assert seen == pytest.approx([float(every[every > 60].mean())] * 3)


def test_a_function_is_asked_once_a_micro_batch_and_window():
    asked = []

    def values(ctx):
        asked.append(ctx.batch["input_ids"].shape[0])
        return lengths(ctx)

    def loss(ctx):
        ctx.window_mean(values)
        return nll(ctx)

    one_step(Case(loss, rows=10, per_device=2, accumulate=3, training={"max_steps": 2}))
    assert asked == [2, 2, 2, 2, 2]  # of the second window, two micro-batches are left


def test_it_makes_the_loss_independent_of_the_split():
    whole = one_step(Case(centred_dpo, method="dpo", rows=8, per_device=8))
    parts = one_step(Case(centred_dpo, method="dpo", rows=8, per_device=2, accumulate=4))
    assert parts.loss == pytest.approx(whole.loss, rel=1e-5)
    for name, gradient in whole.gradients.items():
        torch.testing.assert_close(parts.gradients[name], gradient, rtol=1e-3, atol=1e-6)


def test_what_ran_without_gradient_does_not_serve_the_loss():
    def loss(ctx):
        ctx.window_mean(policy_logps)
        return nll(ctx)

    with_mean = one_step(Case(loss, per_device=4, accumulate=2))
    plain = one_step(Case(nll, per_device=4, accumulate=2))
    assert with_mean.loss == plain.loss
    for name, gradient in plain.gradients.items():
        torch.testing.assert_close(with_mean.gradients[name], gradient, rtol=0, atol=0)


def test_a_reference_that_ran_ahead_is_not_run_again():
    calls = []

    def wrap(trainer):
        trainer.ref_model.register_forward_hook(lambda *args: calls.append(None))

    one_step(Case(centred_dpo, method="dpo", rows=8, per_device=2, accumulate=4, wrap=wrap))
    assert len(calls) == 4


def test_two_ranks_of_unequal_numbers_of_tokens_have_one_mean(tmp_path):
    case = Case(loss_of_mean_lengths, rows=8, per_device=2, accumulate=2)
    (outcome,) = on_ranks([case])
    assert outcome.history[0]["length"] == pytest.approx(mean_length(8, tmp_path), rel=1e-6)
    assert outcome.loss == pytest.approx(mean_length(8, tmp_path), rel=1e-6)


def test_in_evaluation_it_is_the_mean_of_the_batch(tmp_path):
    seen = []

    def loss(ctx):
        seen.append((float(ctx.window_mean(lengths)), float(lengths(ctx).mean())))
        return nll(ctx)

    trainer = _trainer(Case(loss, rows=5, training={"per_device_eval_batch_size": 2}), tmp_path)
    trainer.eval_dataset = trainer.train_dataset
    trainer.evaluate()
    assert len(seen) == 3
    assert all(mean == own for mean, own in seen)


def test_a_window_of_rollouts():
    seen = []

    def loss(ctx):
        seen.append((float(ctx.window_mean(lengths)), lengths(ctx)))
        return ctx.loss(ctx.policy.token_logps().logps * 0, per="token")

    one_step(Case(loss, method="grpo", rows=4, training=ROLLOUT))
    assert len(seen) == 2
    assert {mean for mean, _ in seen} == {float(torch.cat([own for _, own in seen]).mean())}


def test_trls_own_loss_knows_of_no_window():
    def wrap(trainer):
        trainer.binding = replace(trainer.binding, compute_loss=lambda ctx: ctx.window_mean(lengths))

    with pytest.raises(RunError, match="nothing is known of the window"):
        one_step(Case("trl", wrap=wrap))
