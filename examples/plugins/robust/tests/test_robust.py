"""Robust DPO holds what every loss must hold."""

import torch

from trainwright.testing import LossContract


class TestRobust(LossContract):
    loss = "robust"
    method = "dpo"
    settings = {"beta": 0.2, "label_smoothing": 0.15}  # noqa: RUF012

    def reference(self, policy, reference, settings):
        half, share = len(policy) // 2, settings.label_smoothing
        rewards = torch.stack([settings.beta * (p - r).sum() for p, r in zip(policy, reference, strict=True)])
        margin = rewards[:half] - rewards[half:]
        right, wrong = torch.log1p(torch.exp(-margin)), torch.log1p(torch.exp(margin))
        return (((1 - share) * right - share * wrong) / (1 - 2 * share)).mean()
