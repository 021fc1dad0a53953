"""The engine of torch operators: CPUs, float64 and float16 anywhere, GPUs without Triton.

Four ways through the tiles, the same in `gpu`: `measure` (one product), `directions` (two), `sums` (three) and
`recompute` (three more after a `measure`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from trainwright_ops.gradients import Totals, finished, operand_dtypes, peak
from trainwright_ops.plan import Gradients, Head, Measured, Needs, Plan
from trainwright_ops.tiles import Tile, Tiles

_NOTHING = Needs(False, False, False, False, False)


def keeps(head: Head, plan: Plan) -> bool:
    """Never: a tile is small, so that the caches of a CPU hold it."""
    return False


def measure(head: Head, plan: Plan) -> Measured:
    """Log-probabilities and statistics."""
    return _sweep(head, plan, _NOTHING)[0]


def directions(head: Head, plan: Plan) -> tuple[Measured, Tensor]:
    """Also `d(-logp) / d hidden / factor` of each token, `(N, H)`, where the head is frozen."""
    measured, gradients = _sweep(head, plan, _NOTHING._replace(hidden=True))
    assert gradients.hidden is not None
    return measured, gradients.hidden.to(head.hidden.dtype) if plan.lowest else gradients.hidden


def sums(head: Head, plan: Plan, *, dft: bool) -> tuple[Measured, Gradients]:
    """Also the gradients of the summed negative log-likelihood over `factor`, in fp32 or fp64."""
    return _sweep(head, plan, plan.needs, dft=dft)


def recompute(
    head: Head,
    plan: Plan,
    measured: Measured,
    upstream: Tensor,  # (N,)
) -> Gradients:
    """Gradients of `Σ upstream · logps`, from logits that are computed again, in the dtypes of the operands.

    What was measured is not used here: a normaliser rounded to fp32 would cost large logits their digits.
    """
    tiles = Tiles(head, plan)
    totals = Totals(plan.needs, head, tiles, plan)
    largest = peak(upstream) if plan.dtype == torch.float16 else 1.0
    weights = (upstream / -largest).unsqueeze(1)
    for tile in tiles:
        totals.add(tile.rows, tile.gradient().mul_(weights[tile.rows]), tile.narrow)
    return finished(totals.gradients, plan.transform.factor * largest, operand_dtypes(head), keep=False)


def _sweep(head: Head, plan: Plan, needs: Needs, *, dft: bool = False) -> tuple[Measured, Gradients]:
    """Go through the tiles once."""
    tiles = Tiles(head, plan)
    totals = Totals(needs, head, tiles, plan)
    measured = tiles.measured(plan.statistics)
    for tile in tiles:
        _note(tile, measured)
        if any(needs):
            gradient = tile.gradient()
            if dft:
                gradient.mul_(tile.target_logps.exp().unsqueeze(1))
            totals.add(tile.rows, gradient, tile.narrow)
    return measured, totals.gradients


def _note(tile: Tile, measured: Measured) -> None:
    measured.logps[tile.rows] = tile.target_logps
    for name, values in measured.statistics.items():
        values[tile.rows] = getattr(tile, name)()
