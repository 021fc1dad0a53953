"""What is known of the tokens: the memory that the kernels write, and what is read from it."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from trainwright_ops.gpu import kernels
from trainwright_ops.plan import Head, Measured


def new_state(head: Head) -> Tensor:
    """The state of tokens of whose logits nothing has been seen, `(STATE_ROWS, N)`, fp32."""
    state = torch.zeros(kernels.STATE_ROWS, len(head.targets), device=head.hidden.device)
    state[kernels.REFERENCE.value] = -1e30
    state[kernels.SLOPE.value] = 1.0
    state[kernels.HIGHEST.value : kernels.BEFORE.value + 1] = -math.inf
    return state


def measured(
    state: Tensor,  # (STATE_ROWS, N)
    names: tuple[str, ...],
    vocabulary: int,
) -> Measured:
    """Log-probabilities and statistics in nats.

    A likely target's log-probability is `-log1p(others / target)`: what is left to learn keeps its digits.
    """
    reference, others, target = state[0], state[1], state[2]
    at_target = torch.exp(target - reference)
    log_sum = (others + at_target).log()
    far = log_sum + (reference - target)
    nll = torch.where(others < at_target, torch.log1p(others / at_target), far)
    values = {name: _STATISTICS[name](state, others + at_target, log_sum, vocabulary) for name in names}
    return Measured(-nll, torch.stack((reference, log_sum)), values)


def scales(
    state: Tensor,  # (STATE_ROWS, n)
) -> tuple[Tensor, Tensor]:
    """What a sum of `exp(y - reference) · row` is divided by, and the weight of the target's row, `(n,)` each."""
    others, at_target = state[1], torch.exp(state[2] - state[0])
    total = others + at_target
    return total, others / total * state[3]


def _entropy(state: Tensor, total: Tensor, log_sum: Tensor, _: int) -> Tensor:
    above = state[2] - state[0]
    weighted = state[kernels.WEIGHTED.value] + torch.exp(above) * above
    return log_sum - weighted / total


def _top1(state: Tensor, _: Tensor, __: Tensor, ___: int) -> Tensor:
    """The first of several equal logits counts, as with `argmax`."""
    return (state[2] >= state[kernels.HIGHEST.value]) & (state[2] > state[kernels.BEFORE.value])


def _mean_logit(state: Tensor, _: Tensor, __: Tensor, vocabulary: int) -> Tensor:
    return state[kernels.TOTAL.value] / vocabulary


def _log_sum_sq(state: Tensor, _: Tensor, log_sum: Tensor, __: int) -> Tensor:
    return state[kernels.SQUARES.value].log() - 2 * log_sum


_STATISTICS: dict[str, Callable[[Tensor, Tensor, Tensor, int], Tensor]] = {
    "entropy": _entropy,
    "top1": _top1,
    "mean_logit": _mean_logit,
    "log_sum_sq": _log_sum_sq,
}
