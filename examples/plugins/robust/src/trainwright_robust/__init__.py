"""Robust DPO (Ray Chowdhury et al. 2024, arXiv:2403.00409): unbiased where a share of the labels is flipped."""

from pydantic import Field

from trainwright import PluginSettings, hookimpl

methods = frozenset({"dpo"})


class Settings(PluginSettings):
    """`beta` scales the rewards; `label_smoothing` is the share of pairs that are labelled the wrong way round."""

    beta: float = Field(0.1, gt=0)
    label_smoothing: float = Field(0.1, ge=0, lt=0.5)


@hookimpl
def compute_loss(ctx):
    from torch.nn.functional import logsigmoid

    rewards = ctx.settings.beta * (ctx.policy.sequence_logps() - ctx.reference.sequence_logps())  # (2B,)
    ctx.log_rewards(rewards)
    margin, flipped = rewards.chosen_minus_rejected(), ctx.settings.label_smoothing
    loss = flipped * logsigmoid(-margin) - (1 - flipped) * logsigmoid(margin)
    return ctx.loss(loss / (1 - 2 * flipped), per="pair")
