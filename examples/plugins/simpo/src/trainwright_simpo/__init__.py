"""SimPO (Meng et al. 2024, arXiv:2405.14734, equation 6): length-normalised rewards, a target margin, no reference."""

from pydantic import Field

from trainwright import PluginSettings, hookimpl

methods = frozenset({"dpo"})
reference_free = True


class Settings(PluginSettings):
    """`beta` scales the rewards, nats a token; `gamma` is the margin that a pair is to reach."""

    beta: float = Field(2.0, gt=0)
    gamma: float = Field(0.5, ge=0)


@hookimpl
def compute_loss(ctx):
    from torch.nn.functional import logsigmoid

    rewards = ctx.settings.beta * ctx.policy.sequence_logps(average=True)  # (2B,)
    ctx.log_rewards(rewards)
    margin = rewards.chosen_minus_rejected()  # (B,)
    return ctx.loss(-logsigmoid(margin - ctx.settings.gamma), per="pair")
