"""On a GPU: a plugin's loss trains, agrees with TRL's own, and its step never waits for the device."""

from dataclasses import replace

import pytest
import torch

from trainwright.testing.bench import Case, one_step

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
ON_GPU = {"use_cpu": False}


def nll(ctx):
    tokens = ctx.policy.token_logps(statistics=("entropy", "top1"))
    ctx.metric("entropy", tokens.statistics["entropy"])
    return ctx.loss(-tokens.logps, per="token")


def test_it_agrees_with_trl():
    case = Case(nll, per_device=2, accumulate=4, training=ON_GPU)
    mine, theirs = one_step(case), one_step(replace(case, loss="trl"))
    assert mine.loss == pytest.approx(theirs.loss, rel=1e-4)
    for name, gradient in theirs.gradients.items():
        torch.testing.assert_close(mine.gradients[name], gradient, rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("bf16", [False, True])
def test_a_step_never_waits_for_the_device(bf16):
    """CUDA itself says so: any synchronising call inside `compute_loss` raises."""
    calls = []

    def wrap(trainer):
        compute_loss = trainer.compute_loss

        def watched(*args, **kwargs):
            calls.append(None)
            torch.cuda.set_sync_debug_mode("default" if len(calls) == 1 else "error")
            try:
                return compute_loss(*args, **kwargs)
            finally:
                torch.cuda.set_sync_debug_mode("default")

        trainer.compute_loss = watched

    case = Case(nll, per_device=2, accumulate=4, training={**ON_GPU, "bf16": bf16}, wrap=wrap)
    assert one_step(case).loss > 0
    assert len(calls) == 4
