"""CPO (Xu et al. 2024, arXiv:2401.08417, equation 5): DPO without a reference, and the likelihood of chosen answers."""

from pydantic import Field

from trainwright import PluginSettings, hookimpl

methods = frozenset({"dpo"})
reference_free = True


class Settings(PluginSettings):
    """`beta` scales the rewards; `alpha` is the weight of the likelihood, a mean over the tokens of chosen answers."""

    beta: float = Field(0.1, gt=0)
    alpha: float = Field(1.0, ge=0)


@hookimpl
def compute_loss(ctx):
    from torch.nn.functional import logsigmoid

    logps = ctx.policy.sequence_logps()  # (2B,)
    rewards = ctx.settings.beta * logps
    ctx.log_rewards(rewards)
    preference = ctx.loss(-logsigmoid(rewards.chosen_minus_rejected()), per="pair")
    return preference + ctx.settings.alpha * ctx.loss(-logps.chosen, per="chosen_token")
