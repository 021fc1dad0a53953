"""The rows: the bare products, the peers and ours, each a function of (hidden, weight, targets).

Every one returns the sum of `-log p(target)`, `()`, or each `log p(target)`, `(N,)`. What is not installed fails when
it is called, with `ModuleNotFoundError`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lm_head.cells import IGNORED
from trainwright_ops import linear_logps, linear_nll

Function = Callable[[Tensor, Tensor, Tensor], Tensor]
TRL_VOCABULARY_CHUNK = 32_768  # what TRL 1.16's add_fused_lm_head passes


@dataclass(frozen=True)
class Row:
    """One way to compute it.

    Attributes:
        name: What `--rows` knows it by.
        title: As printed.
        kind: What it yields: nothing but `products`, the summed `nll`, or `logps` token by token.
        function: The computation; its backward pass is autograd's.
        compiled: Whether torch.compile comes first.
        peer: Whether ours is to be ahead of it.
        statistics: Whether entropy (and top-1, for `nll`) come with it.
    """

    name: str
    title: str
    kind: Literal["products", "nll", "logps"]
    function: Function
    compiled: bool = False
    peer: bool = False
    statistics: bool = False


@torch.no_grad()
def bare_products(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """The matrix products that no exact method avoids, without anything between them; the targets do not matter.

    The logits stand for their own gradient, which has their shape and dtype.
    """
    logits = hidden @ weight.t()
    gradients = [logits @ weight]
    if weight.requires_grad:
        gradients.append(logits.t() @ hidden)
    return gradients[0]


def full_logits(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """As models compute it: all logits, in fp32."""
    logits = F.linear(hidden, weight).float()
    return F.cross_entropy(logits, targets, ignore_index=IGNORED, reduction="sum")


def trl_logps(hidden: Tensor, weight: Tensor, targets: Tensor, outputs: tuple[str, ...] = ("log_probs",)) -> Tensor:
    """As TRL's `add_fused_lm_head` calls its kernels: unlabelled tokens dropped before, zeros put in after."""
    from trl.kernels import ChunkedLogProbFunction

    kept = targets != IGNORED
    per_token = ChunkedLogProbFunction.apply(
        hidden[kept], weight, None, targets[kept], 1.0, TRL_VOCABULARY_CHUNK, None, 1.0, outputs
    )
    scattered = [x.new_zeros(kept.shape).masked_scatter(kept, x) for x in per_token if x is not None]
    logps: Tensor = scattered[0]
    return logps


def trl_nll(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """The loss of TRL's SFTTrainer, which asks for entropy and top-1."""
    return -trl_logps(hidden, weight, targets, ("log_probs", "entropy", "is_top1")).sum()


def liger(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """Liger Kernel's fused linear cross-entropy, its own tiles."""
    from liger_kernel.transformers.functional import liger_fused_linear_cross_entropy

    loss: Tensor = liger_fused_linear_cross_entropy(hidden, weight, targets, ignore_index=IGNORED, reduction="sum")
    return loss


def cut_cross_entropy(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """Apple's cut-cross-entropy, its own implementation and gradient filter."""
    from cut_cross_entropy import linear_cross_entropy

    loss: Tensor = linear_cross_entropy(hidden, weight, targets, ignore_index=IGNORED, reduction="sum")
    return loss


def ours(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    statistics: bool = False,
    memory: Literal["default", "lowest"] = "default",
) -> Tensor:
    """`trainwright_ops.linear_nll`."""
    return linear_nll(hidden, weight, targets, statistics=statistics, memory=memory).loss


def our_logps(hidden: Tensor, weight: Tensor, targets: Tensor, statistics: tuple[str, ...] = ()) -> Tensor:
    """`trainwright_ops.linear_logps`."""
    return linear_logps(hidden, weight, targets, statistics=statistics).logps


ROWS = (
    Row("products", "bare products", "products", bare_products),
    Row("eager", "full logits, eager", "nll", full_logits, peer=True),
    Row("compiled", "full logits, compiled", "nll", full_logits, compiled=True, peer=True),
    Row("trl", "TRL, entropy and top-1", "nll", trl_nll, peer=True, statistics=True),
    Row("liger", "Liger", "nll", liger, peer=True),
    Row("cce", "cut-cross-entropy", "nll", cut_cross_entropy, peer=True),
    Row("nll", "linear_nll", "nll", ours),
    Row("nll-statistics", "linear_nll, entropy and top-1", "nll", partial(ours, statistics=True), statistics=True),
    Row("nll-lowest", 'linear_nll, memory="lowest"', "nll", partial(ours, memory="lowest")),
    Row("trl-logps", "TRL log-probs", "logps", trl_logps, peer=True),
    Row("logps", "linear_logps", "logps", our_logps),
    Row(
        "trl-logps-entropy",
        "TRL log-probs, entropy",
        "logps",
        partial(trl_logps, outputs=("log_probs", "entropy")),
        peer=True,
        statistics=True,
    ),
    Row(
        "logps-entropy",
        "linear_logps, entropy",
        "logps",
        partial(our_logps, statistics=("entropy",)),
        statistics=True,
    ),
)
TITLES = {row.name: row.title for row in ROWS}
