"""ORPO (Hong et al. 2024, arXiv:2403.07691, equations 6 and 7): likelihood of chosen answers, and the ratio of odds."""

from pydantic import Field

from trainwright import PluginSettings, hookimpl

methods = frozenset({"dpo"})
reference_free = True


class Settings(PluginSettings):
    """`beta`, the paper's λ, is the weight of the odds ratio."""

    beta: float = Field(0.1, gt=0)


@hookimpl
def compute_loss(ctx):
    from torch import expm1, log
    from torch.nn.functional import logsigmoid

    logps = ctx.policy.sequence_logps()  # (2B,)
    mean = ctx.policy.sequence_logps(average=True).clamp(max=-1e-6)  # odds of at most a million to one
    ctx.log_rewards(ctx.settings.beta * mean)
    log_odds = mean - log(-expm1(mean))
    ratio = ctx.loss(-logsigmoid(log_odds.chosen_minus_rejected()), per="pair")
    return ctx.loss(-logps.chosen, per="chosen_token") + ctx.settings.beta * ratio
