"""The loss provider `trl`: what TRL's own trainer computes for the method, normalisation and metrics included."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainwright.hooks import hookimpl

if TYPE_CHECKING:
    from trainwright.loss.context import Loss, LossContext


@hookimpl
def compute_loss(ctx: LossContext) -> Loss:
    """TRL's own loss."""
    return ctx.native()
