"""APO-down holds what every loss must hold."""

import torch

from trainwright.testing import LossContract


class TestAPODown(LossContract):
    loss = "apo_down"
    method = "dpo"
    settings = {"beta": 0.2}  # noqa: RUF012

    def reference(self, policy, reference, settings):
        half = len(policy) // 2
        rewards = torch.stack([settings.beta * (p - r).sum() for p, r in zip(policy, reference, strict=True)])
        chosen, rejected = rewards[:half], rewards[half:]
        return (1 / (1 + torch.exp(-chosen)) + 1 - 1 / (1 + torch.exp(rejected - chosen))).mean()
