"""The hooked trainer: TRL's own loss through the hook, aux losses, references, rollouts, wrappers."""

from dataclasses import replace

import pytest
import torch

from trainwright.errors import RunError
from trainwright.testing import tiny_model
from trainwright.testing.bench import Case, _trainer, one_step
from trainwright.trainer.hooked import Binding


def nll(ctx):
    return ctx.loss(-ctx.policy.token_logps().logps, per="token")


@pytest.mark.parametrize("family", ["llama", "gemma2", "cohere2", "qwen3"])
def test_nll_written_on_the_context_equals_trl(family):
    theirs = one_step(Case("trl", family=family, per_device=2, accumulate=4))
    mine = one_step(Case(nll, family=family, per_device=2, accumulate=4))
    assert mine.loss == pytest.approx(theirs.loss, rel=1e-5)
    for name, gradient in theirs.gradients.items():
        torch.testing.assert_close(mine.gradients[name], gradient, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("family", ["mixtral", "qwen3-moe"])
def test_the_load_balancing_loss_is_kept(family):
    theirs = one_step(Case("trl", family=family, per_device=4, accumulate=2))
    mine = one_step(Case(nll, family=family, per_device=4, accumulate=2))
    assert mine.history[0]["aux_loss"] == pytest.approx(theirs.history[0]["aux_loss"], rel=1e-5)
    assert mine.loss == pytest.approx(theirs.loss, rel=1e-5)
    off = one_step(Case(nll, family=family, training={"router_aux_loss_coef": 0.0}))
    assert "aux_loss" not in off.history[0]
    assert off.loss < mine.loss


def test_a_missing_reference_is_explained():
    def needs_reference(ctx):
        return ctx.loss(ctx.policy.token_logps().logps - ctx.reference.token_logps().logps, per="token")

    with pytest.raises(RunError, match="needs a reference model"):
        one_step(Case(needs_reference))
    adapted = Case(needs_reference, peft={"target_modules": ["q_proj"]})
    assert one_step(adapted).loss == pytest.approx(0.0, abs=1e-6)  # an untrained adapter changes nothing


def test_a_unit_that_the_batch_does_not_hold_is_refused():
    with pytest.raises(RunError, match="per 'pair'"):
        one_step(Case(lambda ctx: ctx.loss(ctx.policy.sequence_logps(), per="pair")))


def test_metrics_of_a_loss_are_logged_as_means():
    def counting(ctx):
        ctx.metric("rows", torch.tensor(float(ctx.batch["input_ids"].shape[0])), count=1)
        return nll(ctx)

    outcome = one_step(Case(counting, per_device=2, accumulate=4))
    assert outcome.history[0]["rows"] == 2.0
    assert outcome.history[0]["num_tokens"] > 0


def test_evaluation_is_a_mean_over_all_tokens(tmp_path):
    """Not a mean of means over batches of different lengths."""
    case = Case(nll, rows=7)
    values = {}
    for size in (1, 7):
        trainer = _trainer(replace(case, training={"per_device_eval_batch_size": size}), tmp_path / str(size))
        trainer.eval_dataset = trainer.train_dataset
        values[size] = trainer.evaluate()["eval_loss"]
    assert values[1] == pytest.approx(values[7], rel=1e-6)


def test_precomputed_references_serve_as_live_ones_do():
    def dpo(ctx):
        margin = (ctx.policy.sequence_logps() - ctx.reference.sequence_logps()).chosen_minus_rejected()
        return ctx.loss(torch.nn.functional.softplus(-0.1 * margin), per="pair")

    case = Case(dpo, method="dpo")
    live = one_step(case)
    precomputed = one_step(replace(case, training={"precompute_ref_log_probs": True}))
    assert precomputed.loss == pytest.approx(live.loss, rel=1e-5)
    native = one_step(replace(case, loss="trl"))
    assert native.loss == pytest.approx(live.loss, rel=1e-5)

    def tokens(ctx):
        return ctx.loss(ctx.reference.token_logps().logps * ctx.policy.token_logps().logps, per="token")

    by_token = [replace(case, loss=tokens, training={"precompute_ref_log_probs": flag}) for flag in (False, True)]
    live, precomputed = map(one_step, by_token)
    assert precomputed.loss == pytest.approx(live.loss, rel=1e-5)

    def entropy(ctx):
        return ctx.loss(ctx.reference.token_logps(statistics=("entropy",)).statistics["entropy"], per="token")

    with pytest.raises(RunError, match="log-probabilities were precomputed, and this loss asks for more"):
        one_step(replace(by_token[1], loss=entropy))


ROLLOUT = {
    "max_completion_length": 5,
    "num_generations": 2,
    "per_device_train_batch_size": 2,
    "gradient_accumulation_steps": 2,
    "beta": 0.0,
}


@pytest.mark.parametrize("method", ["grpo", "rloo"])
def test_rollouts_are_normalised_over_their_window(method):
    counted = []

    def reinforce(ctx):
        tokens = ctx.policy.token_logps()
        advantages = ctx.batch["advantages"].flatten()[tokens.sequence]
        counted.append(tokens.logps.numel())
        return ctx.loss(-(advantages * tokens.logps) * 0 + 1.0, per="token")

    outcome = one_step(Case(reinforce, method=method, rows=4, training=ROLLOUT))
    assert len(counted) == 2
    assert outcome.loss == pytest.approx(1.0)  # one a token, divided by all tokens of the window


def test_a_teacher_is_run_without_gradients():
    teacher = tiny_model("llama", seed=5)

    def distil(ctx):
        theirs = ctx.teacher.token_logps().logps
        assert not theirs.requires_grad
        return ctx.loss((ctx.policy.token_logps().logps - theirs).square(), per="token")

    def wrap(trainer):
        trainer.teacher_model = teacher
        from trainwright.loss.head import install_head

        install_head(teacher)

    assert one_step(Case(distil, wrap=wrap)).loss > 0
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_a_binding_needs_no_metrics():
    assert Binding(None, lambda ctx: None, native=True).metrics(None) == {}


def test_what_is_not_at_hand_is_explained():
    with pytest.raises(RunError, match="`loss: trl` only"):
        one_step(Case(lambda ctx: ctx.native()))

    def wrap(trainer):
        trainer.binding = replace(trainer.binding, compute_loss=lambda ctx: ctx.policy.token_logps())

    with pytest.raises(RunError, match="runs inside TRL's loss"):
        one_step(Case("trl", wrap=wrap))
