"""`loss: sigmoid_norm`: length-normalised DPO (Tülu 3, Lambert et al. 2024, arXiv:2411.15124, §5.1.2, equation 6).

    reward(y) = β / |y| · log(π(y|x) / π_ref(y|x))        loss = -log σ(reward(chosen) − reward(rejected))

Light to import: `trainwright validate` reads `Settings` and `methods` from here, torch waits until the first step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from trainwright.hooks import PluginSettings, hookimpl

if TYPE_CHECKING:
    from torch import Tensor

    from trainwright.loss.context import Loss, LossContext

methods = frozenset({"dpo"})


class Settings(PluginSettings):
    """What may stand beside `name: sigmoid_norm`."""

    beta: float = Field(
        5.0,
        gt=0,
        allow_inf_nan=False,
        description="Scale of the rewards, per nat a token. Tülu 3 takes 5; that of plain DPO, whose log-ratios are "
        "sums over tokens, is about that over the length of an answer.",
    )
    label_smoothing: float = Field(
        0.0,
        ge=0,
        lt=0.5,
        allow_inf_nan=False,
        description="Probability that a pair is labelled the wrong way round (conservative DPO).",
    )
    ld_alpha: float | None = Field(
        None,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="Weight of an answer's tokens beyond the length of the other one (LD-DPO, arXiv:2409.06411); "
        "1, or null, for all alike.",
    )


@hookimpl
def compute_loss(ctx: LossContext) -> Loss:
    """`-(1 − ε) log σ(margin) − ε log σ(−margin)` a pair, with ε the label smoothing; logs the rewards."""
    from torch.nn.functional import logsigmoid

    settings: Settings = ctx.settings
    weights = None if settings.ld_alpha is None else length_weights(ctx, settings.ld_alpha)
    policy = ctx.policy.sequence_logps(average=True, weights=weights)
    rewards = settings.beta * (policy - ctx.reference.sequence_logps(average=True, weights=weights))  # (2B,)
    ctx.log_rewards(rewards)
    margin = rewards.chosen_minus_rejected()  # (B,)
    wrong = settings.label_smoothing
    return ctx.loss(-(1 - wrong) * logsigmoid(margin) - wrong * logsigmoid(-margin), per="pair")


def length_weights(ctx: LossContext, alpha: float) -> Tensor:
    """The weight of each supervised token, `(N,)`: 1 up to the length of the pair's shorter answer, then `alpha`.

    So that, with Liu et al. 2024, arXiv:2409.06411, `log π = log π(shared part) + α · log π(the rest)`. The mean is
    still taken over the whole answer, as TRL does.
    """
    import torch

    supervision = ctx.supervision
    assert supervision is not None
    chosen, rejected = supervision.lengths.chunk(2)
    shared = torch.minimum(chosen, rejected).repeat(2)  # (2B,)
    beyond = supervision.position >= shared[supervision.sequence]
    ones = torch.ones_like(ctx.policy.token_logps().logps.detach())
    return ones.masked_fill(beyond.to(ones.device), alpha)
