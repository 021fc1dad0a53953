"""How far `chunked_nll` drifts from TRL's own NLL over 20 optimizer steps in float32, same seed and data.

    python tests/benchmarks/parity.py

Prints the largest relative difference of the logged loss and gradient norm, for several model families.
"""

from __future__ import annotations

import os
from dataclasses import replace

os.environ.update(HF_HUB_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1", TOKENIZERS_PARALLELISM="false")

GOAL = 1e-5
FAMILIES = ("llama", "qwen3", "gemma2", "cohere2", "granite", "mixtral")
STEPS = {"max_steps": 20, "learning_rate": 2e-4, "max_grad_norm": 1.0}


def largest_difference(family: str) -> tuple[float, float]:
    """The largest relative differences of (loss, gradient norm)."""
    from trainwright.testing.bench import Case, one_step

    case = Case("trl", family=family, rows=64, per_device=4, accumulate=2, training=STEPS)
    theirs, mine = one_step(case).history, one_step(replace(case, loss="chunked_nll")).history
    loss, norm = (
        max(abs(own[key] - other[key]) / abs(other[key]) for own, other in zip(mine, theirs, strict=True))
        for key in ("loss", "grad_norm")
    )
    return loss, norm


def main() -> int:
    """Print the differences; 1 where the goal is missed."""
    print(f"{'family':12}{'loss':>12}{'grad norm':>12}   goal ≤ {GOAL:g}")
    missed = False
    for family in FAMILIES:
        loss, norm = largest_difference(family)
        missed |= max(loss, norm) > GOAL
        print(f"{family:12}{loss:12.2e}{norm:12.2e}   {'reached' if max(loss, norm) <= GOAL else 'not reached'}")
    return int(missed)


if __name__ == "__main__":
    raise SystemExit(main())
