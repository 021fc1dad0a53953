"""On a GPU: a plugin's loss trains, agrees with TRL's own, and its step never waits for the device."""

from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch

from trainwright.testing.bench import Case, one_step

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
ON_GPU = {"use_cpu": False}


@contextmanager
def sync_mode(mode):
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode(mode)
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)


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
    """CUDA itself says so: a synchronising call inside `compute_loss` raises, but for those of the model's layers."""
    calls = []

    def wrap(trainer):
        compute_loss, layers = trainer.compute_loss, trainer.model.model.forward

        def unwatched(*args, **kwargs):  # transformers looks at the attention mask on the host
            with sync_mode("default"):
                return layers(*args, **kwargs)

        def watched(*args, **kwargs):
            calls.append(None)
            with sync_mode("default" if len(calls) == 1 else "error"):  # the first verifies the model's logits
                return compute_loss(*args, **kwargs)

        trainer.compute_loss, trainer.model.model.forward = watched, unwatched

    case = Case(nll, per_device=2, accumulate=4, training={**ON_GPU, "bf16": bf16}, wrap=wrap)
    assert one_step(case).loss > 0
    assert len(calls) == 4
