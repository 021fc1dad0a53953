"""The executable specification: what the functions compute, with all logits in memory and autograd's gradients."""

from __future__ import annotations

from collections.abc import Collection

import torch
import torch.nn.functional as F
from torch import Tensor

from trainwright_ops.results import LinearLogps, LinearNLL
from trainwright_ops.weights import Weight


def linear_nll_reference(
    hidden: Tensor,  # (..., H)
    weight: Weight,  # (V, H)
    targets: Tensor,  # (...)
    *,
    bias: Tensor | None = None,  # (V,)
    low_rank: tuple[Tensor, Tensor] | None = None,  # (..., r), (V, r)
    scale: float = 1.0,
    softcap: float | None = None,
    temperature: float = 1.0,
    ignore_index: int | None = -100,
    chunk_size: int | None = None,
    memory: str = "default",
    dft: bool = False,
    statistics: bool = False,
) -> LinearNLL:
    """`linear_nll` with full logits `(..., V)`; `chunk_size` and `memory` do not change the result."""
    names = ("entropy", "top1") if statistics else ()
    head = {"bias": bias, "low_rank": low_rank, "scale": scale, "softcap": softcap, "temperature": temperature}
    result = linear_logps_reference(hidden, weight, targets, **head, ignore_index=ignore_index, statistics=names)  # type: ignore[arg-type]
    weights = result.logps.detach().exp() if dft else 1.0
    loss = -(weights * result.logps).sum()
    return LinearNLL(loss, -result.logps.detach(), result.entropy, result.top1)


def linear_logps_reference(
    hidden: Tensor,  # (..., H)
    weight: Weight,  # (V, H)
    targets: Tensor,  # (...)
    *,
    bias: Tensor | None = None,  # (V,)
    low_rank: tuple[Tensor, Tensor] | None = None,  # (..., r), (V, r)
    scale: float = 1.0,
    softcap: float | None = None,
    temperature: float = 1.0,
    ignore_index: int | None = -100,
    chunk_size: int | None = None,
    memory: str = "default",
    statistics: Collection[str] = (),
) -> LinearLogps:
    """`linear_logps` with full logits `(..., V)`; `chunk_size` and `memory` do not change the result."""
    matrix = weight if isinstance(weight, Tensor) else weight.rows(0, weight.shape[0])
    products = F.linear(hidden, matrix, bias)
    if low_rank is not None:
        products = products + F.linear(*low_rank)
    logits = products if products.dtype == torch.float64 else products.float()
    logits = logits * scale
    if softcap is not None:
        logits = softcap * torch.tanh(logits / softcap)
    logits = logits / temperature
    log_probs = logits.log_softmax(-1)

    supervised = torch.ones_like(targets, dtype=torch.bool) if ignore_index is None else targets != ignore_index
    index = targets.long().masked_fill(~supervised, 0)
    logps = log_probs.gather(-1, index.unsqueeze(-1)).squeeze(-1)
    every = {
        "entropy": -(log_probs.exp() * log_probs).sum(-1),
        "top1": logits.argmax(-1) == index,
        "mean_logit": logits.mean(-1),
        "log_sum_sq": (2 * log_probs).logsumexp(-1),
    }
    asked = {name: every[name].detach().masked_fill(~supervised, 0) for name in statistics}
    return LinearLogps(logps.masked_fill(~supervised, 0), **asked)
