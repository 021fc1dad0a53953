"""IPO (Azar et al. 2023, arXiv:2310.12036, equation 17), on means over tokens: margins are drawn to `1 / (2 beta)`."""

from pydantic import Field

from trainwright import PluginSettings, hookimpl

methods = frozenset({"dpo"})


class Settings(PluginSettings):
    """`beta`, the paper's τ, is half the inverse of the margin that a pair is to reach, in nats a token."""

    beta: float = Field(0.1, gt=0)


@hookimpl
def compute_loss(ctx):
    ratios = ctx.policy.sequence_logps(average=True) - ctx.reference.sequence_logps(average=True)  # (2B,)
    ctx.log_rewards(ctx.settings.beta * ratios)
    return ctx.loss((ratios.chosen_minus_rejected() - 0.5 / ctx.settings.beta) ** 2, per="pair")
