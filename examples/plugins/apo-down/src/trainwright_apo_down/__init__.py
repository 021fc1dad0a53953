"""APO-down (D'Oosterlinck et al. 2024, arXiv:2408.06266, equation 8): where both answers are worse than the model's."""

from pydantic import Field

from trainwright import PluginSettings, hookimpl

methods = frozenset({"dpo"})


class Settings(PluginSettings):
    """`beta` scales the rewards."""

    beta: float = Field(0.1, gt=0)


@hookimpl
def compute_loss(ctx):
    from torch import sigmoid

    rewards = ctx.settings.beta * (ctx.policy.sequence_logps() - ctx.reference.sequence_logps())  # (2B,)
    ctx.log_rewards(rewards)
    return ctx.loss(sigmoid(rewards.chosen) + sigmoid(-rewards.chosen_minus_rejected()), per="pair")
