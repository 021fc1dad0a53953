"""`loss: chunked_nll`: the negative log-likelihood of SFT without the logits, with entropy and token accuracy.

Light to import: `trainwright validate` reads `Settings` and `methods` from here, torch waits until the first step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

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
        description="At most chunk_size × vocabulary logits exist at once, of 2 to 4 bytes each on a GPU, 8 to 10 on a "
        "CPU. Default: 64 MiB of float32 logits on a CPU; on a GPU 280 to 400 MiB, and with a trained head as much "
        "again as its gradient takes.",
    )
    memory: Literal["default", "lowest"] = Field(
        "default",
        description="`lowest`: smaller tiles, and a trained head's logits are computed again in the backward pass "
        "instead of keeping a float32 sum of its gradient. Takes about a third more time in the head.",
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
        found = linear_nll(**head.keywords(), **settings.model_dump(), statistics=True)
        return {name: value for name, value in found._asdict().items() if value is not None}

    found = ctx.policy.apply(function)
    ctx.metric("entropy", found["entropy"])
    ctx.metric("mean_token_accuracy", found["top1"])
    if settings.dft:
        ctx.metric("nll", found["nll"])
    return ctx.loss(found["loss"], per="token")
