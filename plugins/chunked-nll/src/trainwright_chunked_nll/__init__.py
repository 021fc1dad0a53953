"""`loss: chunked_nll`: the negative log-likelihood of SFT without the logits, with entropy and token accuracy.

Light to import: `trainwright validate` reads `Settings` and `methods` from here, torch waits until the first step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from trainwright.hooks import PluginSettings, hookimpl

if TYPE_CHECKING:
    from torch import Tensor

    from trainwright.loss.context import Loss, LossContext
    from trainwright.loss.head import Head

# Not gkd, whose batches hold labels too: this loss would leave the teacher, which gkd loads, without a use.
methods = frozenset({"sft"})


class Settings(PluginSettings):
    """What may stand beside `name: chunked_nll`."""

    chunk_size: int | None = Field(
        None,
        ge=1,
        description="Supervised tokens whose logits exist at once; memory is chunk_size × vocabulary × 8 to 10 bytes. "
        "Default: as many as make 64 MiB of float32 logits on a CPU, 1 GiB on a GPU.",
    )
    dft: bool = Field(
        False,
        description="Weigh each token's loss by its own probability, taken as a constant (dynamic fine-tuning, "
        "arXiv:2508.05629); the unweighted loss is then logged as `nll`.",
    )


@hookimpl
def compute_loss(ctx: LossContext) -> Loss:
    """Sum of `-log p(target)` over the supervised tokens, in one pass over the head.

    Logs the means over tokens of `entropy` (nats) and `mean_token_accuracy` (greedy decoding gives the target), TRL's
    names. A mixture of experts' router loss is added by core.
    """
    from trainwright_ops import linear_nll

    settings: Settings = ctx.settings

    def function(head: Head) -> Mapping[str, Tensor]:
        found = linear_nll(**head.keywords(), chunk_size=settings.chunk_size, dft=settings.dft, statistics=True)
        return {name: value for name, value in found._asdict().items() if value is not None}

    found = ctx.policy.apply(function)
    ctx.metric("entropy", found["entropy"])
    ctx.metric("mean_token_accuracy", found["top1"])
    if settings.dft:
        ctx.metric("nll", found["nll"])
    return ctx.loss(found["loss"], per="token")
