"""`loss: kto`: learn from thumbs up and down, with KTO (arXiv 2402.01306) or APO-zero (arXiv 2408.06266).

Light to import: `trainwright validate` reads `Settings` and asks the rule from here, torch waits until the first step.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field, ValidationError

from trainwright.hooks import PluginSettings, hookimpl

if TYPE_CHECKING:
    from torch import Tensor

    from trainwright.config import RunConfig
    from trainwright.errors import Problem
    from trainwright.loss.context import Loss, LossContext

methods = frozenset({"kto"})


class Settings(PluginSettings):
    """What may stand beside `name: kto`."""

    beta: float = Field(
        0.1,
        gt=0,
        allow_inf_nan=False,
        description="How fast the value of an answer saturates; larger keeps closer to the reference.",
    )
    desirable_weight: float = Field(
        1.0, gt=0, allow_inf_nan=False, description="λ_D: what the loss of a desirable answer is multiplied by."
    )
    undesirable_weight: float = Field(
        1.0, gt=0, allow_inf_nan=False, description="λ_U: the same of an undesirable answer."
    )
    loss_type: Literal["kto", "apo_zero_unpaired"] = Field(
        "kto",
        description="`kto` values answers against a reference point, the policy's divergence from the reference; "
        "`apo_zero_unpaired` against zero, without the passes that the divergence takes.",
    )

    @property
    def asks_mismatched(self) -> bool:
        """Only a reference point is estimated with mismatched rows."""
        return self.loss_type == "kto"


@hookimpl
def compute_loss(ctx: LossContext) -> Loss:
    """`λ_y − v(x, y)` with `v = λ_D σ(β(r − z₀))` for desirable and `λ_U σ(β(z₀ − r))` for undesirable answers (eq. 7).

    `r` is the sum over the answer of log π/π_ref. `z₀` is the mean of the same over mismatched rows of the accumulation
    window and all ranks, clamped at 0 and held constant; 0 for APO-zero (arXiv 2408.06266).
    """
    import torch

    settings: Settings = ctx.settings
    point: Tensor | float = 0.0
    if settings.loss_type == "kto":  # before the rows' own passes: the reference then takes them along
        point = ctx.window_mean(divergence).clamp(min=0)
        ctx.metric("kl", point)
    ratios = ctx.policy.sequence_logps() - ctx.reference.sequence_logps()  # (B,)
    desirable = ctx.batch["label"].bool()
    value = settings.beta * torch.where(desirable, ratios - point, point - ratios)
    up, down = (ratios.new_full((), each) for each in (settings.desirable_weight, settings.undesirable_weight))
    ctx.log_rewards(settings.beta * ratios)
    ctx.metric("rewards/accuracies", value > 0)
    return ctx.loss(torch.where(desirable, up, down) * torch.sigmoid(-value), per="sequence")


def divergence(ctx: LossContext) -> tuple[Tensor, Tensor]:
    """Log π/π_ref of other rows' answers, `(B,)`, 0 for a row that found no other; and how many rows did."""
    policy, reference = ctx.policy.mismatched, ctx.reference.mismatched
    return policy.sequence_logps() - reference.sequence_logps(), (policy.lengths > 0).sum()


@hookimpl
def validate_config(config: RunConfig) -> Iterator[Problem]:
    """Warn where desirable and undesirable rows are out of the balance that the authors advise."""
    from trainwright_kto.balance import problem

    for key, choice in config.losses.items():
        if choice.name == "kto" and config.method in methods:
            try:
                settings = Settings(**choice.settings)
            except ValidationError:
                continue  # told already, with the place of each key
            yield from problem(config, key, settings)
