"""What every loss must hold, on tiny models trained by TRL; and the values against plain formulas."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from trainwright.testing import LossContract


class TestKTO(LossContract):
    loss = "kto"
    method = "kto"
    settings: ClassVar = {"beta": 0.3, "desirable_weight": 1.2, "undesirable_weight": 0.9}

    def reference(self, policy: Any, reference: Any, settings: Any) -> Any:
        """Equation 7 as it is written, with the reference point over all mismatched rows."""
        mismatched = zip(policy.mismatched, reference.mismatched, strict=True)
        z = torch.stack([own.sum() - fixed.sum() for own, fixed in mismatched]).mean().clamp(min=0).detach()
        losses = []
        for own, fixed, desirable in zip(policy, reference, policy.desirable.tolist(), strict=True):
            r = own.sum() - fixed.sum()
            if desirable:
                losses.append(settings.desirable_weight * (1 - torch.sigmoid(settings.beta * (r - z))))
            else:
                losses.append(settings.undesirable_weight * (1 - torch.sigmoid(settings.beta * (z - r))))
        return torch.stack(losses).mean()


class TestAPOZeroUnpaired(LossContract):
    loss = "kto"
    method = "kto"
    settings: ClassVar = {"loss_type": "apo_zero_unpaired", "undesirable_weight": 2.0}

    def reference(self, policy: Any, reference: Any, settings: Any) -> Any:
        """Up with what is desirable and down with what is not, each against the reference itself."""
        losses = []
        for own, fixed, desirable in zip(policy, reference, policy.desirable.tolist(), strict=True):
            win = torch.sigmoid(settings.beta * (own.sum() - fixed.sum()))
            losses.append(1 - win if desirable else settings.undesirable_weight * win)
        return torch.stack(losses).mean()
