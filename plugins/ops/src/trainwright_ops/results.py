"""What the functions return. `N` stands for the shape of `targets`, whatever it is."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

STATISTICS = ("entropy", "top1", "mean_logit", "log_sum_sq")


class LinearNLL(NamedTuple):
    """Result of `linear_nll`; only `loss` carries gradient, ignored tokens hold 0 (False).

    Attributes:
        loss: Sum over the tokens that are not ignored, `()`, fp32 (fp64 for fp64 inputs), in nats.
        nll: Negative log-likelihood of each target, `(N)`, dtype of `loss`; never weighted, not even with `dft`.
        entropy: Entropy of each predicted distribution in nats, `(N)`, dtype of `loss`; None unless asked.
        top1: Whether the target is the (first) likeliest token, `(N)`, bool; None unless asked.
    """

    loss: Tensor
    nll: Tensor
    entropy: Tensor | None = None
    top1: Tensor | None = None


class LinearLogps(NamedTuple):
    """Result of `linear_logps`; only `logps` carries gradient, ignored tokens hold 0 (False).

    Attributes:
        logps: Log-probability of each target, `(N)`, fp32 (fp64 for fp64 inputs), in nats.
        entropy: Entropy of each predicted distribution in nats, `(N)`, dtype of `logps`; None unless asked.
        top1: Whether the target is the (first) likeliest token, `(N)`, bool; None unless asked.
        mean_logit: Mean of each token's logits over the vocabulary, `(N)`, dtype of `logps`; None unless asked.
        log_sum_sq: Log of the sum of squared probabilities, `(N)`, dtype of `logps`; None unless asked.
    """

    logps: Tensor
    entropy: Tensor | None = None
    top1: Tensor | None = None
    mean_logit: Tensor | None = None
    log_sum_sq: Tensor | None = None
