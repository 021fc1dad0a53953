"""CPO holds what every loss must hold."""

import torch

from trainwright.testing import LossContract


class TestCPO(LossContract):
    loss = "cpo"
    method = "dpo"
    settings = {"beta": 0.2, "alpha": 0.7}  # noqa: RUF012

    def reference(self, policy, reference, settings):
        half = len(policy) // 2
        sums = torch.stack([logps.sum() for logps in policy])
        preference = torch.log1p(torch.exp(settings.beta * (sums[half:] - sums[:half]))).mean()
        return preference - settings.alpha * torch.cat(list(policy[:half])).mean()
