"""DiscoPOP holds what every loss must hold."""

import torch

from trainwright.testing import LossContract


class TestDiscoPOP(LossContract):
    loss = "discopop"
    method = "dpo"
    settings = {"beta": 0.1, "tau": 0.5}  # noqa: RUF012

    def reference(self, policy, reference, settings):
        half = len(policy) // 2
        rewards = torch.stack([settings.beta * (p - r).sum() for p, r in zip(policy, reference, strict=True)])
        margin = rewards[:half] - rewards[half:]
        right = 1 / (1 + torch.exp(-margin / settings.tau))
        return ((1 - right) * torch.log1p(torch.exp(-margin)) + right * torch.exp(-margin)).mean()
