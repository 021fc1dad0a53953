"""What every loss must hold, on tiny models trained by TRL; and the values against a plain formula."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from trainwright.testing import LossContract


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
