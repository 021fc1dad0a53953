"""The loss provider `sft`: the negative log-likelihood of preferred answers, to mix with a loss on pairs.

It is core's because any loss on pairs may be mixed with it (RPO and MPO do so), and no plugin may need another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainwright.hooks import hookimpl

if TYPE_CHECKING:
    from trainwright.loss.context import Loss, LossContext

methods = frozenset({"dpo"})
reference_free = True


@hookimpl
def compute_loss(ctx: LossContext) -> Loss:
    """Mean over the tokens of chosen answers, in nats."""
    return ctx.loss(-ctx.policy.sequence_logps().chosen, per="chosen_token")
