"""ORPO holds what every loss must hold."""

import torch

from trainwright.testing import LossContract


class TestORPO(LossContract):
    loss = "orpo"
    method = "dpo"
    settings = {"beta": 0.5}  # noqa: RUF012

    def reference(self, policy, reference, settings):
        half = len(policy) // 2
        likelihood = torch.stack([logps.mean().exp() for logps in policy])
        odds = likelihood / (1 - likelihood)
        preference = -torch.log(torch.sigmoid(torch.log(odds[:half] / odds[half:]))).mean()
        return settings.beta * preference - torch.cat(list(policy[:half])).mean()
