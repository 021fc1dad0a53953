"""SimPO holds what every loss must hold."""

import torch

from trainwright.testing import LossContract


class TestSimPO(LossContract):
    loss = "simpo"
    method = "dpo"
    settings = {"beta": 2.5, "gamma": 0.3}  # noqa: RUF012

    def reference(self, policy, reference, settings):
        half = len(policy) // 2
        rewards = torch.stack([settings.beta * logps.mean() for logps in policy])
        margin = rewards[:half] - rewards[half:]
        return torch.log1p(torch.exp(settings.gamma - margin)).mean()
