"""DiscoPOP (Lu et al. 2024, arXiv:2406.08414, equation 5): logistic for wrong pairs, exponential for right ones."""

from pydantic import Field

from trainwright import PluginSettings, hookimpl

methods = frozenset({"dpo"})


class Settings(PluginSettings):
    """`beta` scales the rewards; `tau` is how far around a margin of 0 the two losses are blended."""

    beta: float = Field(0.1, gt=0)
    tau: float = Field(0.05, gt=0)


@hookimpl
def compute_loss(ctx):
    from torch.nn.functional import logsigmoid

    rewards = ctx.settings.beta * (ctx.policy.sequence_logps() - ctx.reference.sequence_logps())  # (2B,)
    ctx.log_rewards(rewards)
    margin = rewards.chosen_minus_rejected()  # (B,)
    right, wrong = logsigmoid(margin / ctx.settings.tau), logsigmoid(-margin / ctx.settings.tau)
    return ctx.loss((right - margin).exp() - wrong.exp() * logsigmoid(margin), per="pair")
