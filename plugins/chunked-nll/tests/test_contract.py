"""What every loss must hold, on tiny models trained by TRL; and the values against a plain formula."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import pytest
import torch

from trainwright.testing import LossContract
from trainwright.testing.bench import Case, one_step


class TestChunkedNLL(LossContract):
    loss = "chunked_nll"
    method = "sft"

    def reference(self, policy: Any, reference: Any, settings: Any) -> Any:
        return -torch.cat(list(policy)).mean()


class DynamicFineTuning(LossContract):
    loss = "chunked_nll"
    settings: ClassVar = {"dft": True, "chunk_size": 16}

    def reference(self, policy: Any, reference: Any, settings: Any) -> Any:
        logps = torch.cat(list(policy))
        return -(logps.detach().exp() * logps).mean()


def test_dynamic_fine_tuning():
    contract = DynamicFineTuning()
    contract.test_value_and_gradients_equal_the_plain_reference()
    contract.test_many_micro_batches_equal_one_batch()


def test_twenty_steps_follow_trls_own_nll():
    """Loss and gradient norm in float32, same seed and data: float32 rounding apart, and no more."""
    training = {"max_steps": 20, "learning_rate": 2e-4, "max_grad_norm": 1.0}
    case = Case("trl", rows=64, per_device=4, accumulate=2, training=training)
    theirs, mine = one_step(case).history, one_step(replace(case, loss="chunked_nll")).history
    assert len(mine) == 20
    for own, other in zip(mine, theirs, strict=True):
        assert own["loss"] == pytest.approx(other["loss"], rel=1e-5)
        assert own["grad_norm"] == pytest.approx(other["grad_norm"], rel=1e-5)
        # TRL takes the mean of the micro-batches' means, whatever their numbers of tokens.
        assert own["entropy"] == pytest.approx(other["entropy"], rel=1e-2)
