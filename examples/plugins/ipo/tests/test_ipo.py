"""IPO holds what every loss must hold."""

import torch

from trainwright.testing import LossContract


class TestIPO(LossContract):
    loss = "ipo"
    method = "dpo"
    settings = {"beta": 0.3}  # noqa: RUF012

    def reference(self, policy, reference, settings):
        half = len(policy) // 2
        ratios = torch.stack([(own - other).mean() for own, other in zip(policy, reference, strict=True)])
        return (ratios[:half] - ratios[half:] - 1 / (2 * settings.beta)).square().mean()
