"""How far plugins' losses drift from TRL's own over 20 optimizer steps in float32, same seed and data.

    python tests/benchmarks/parity.py

Prints the largest relative difference of the logged loss and gradient norm; then, of a window that is cut into ragged
micro-batches, what TRL's loss and this one's become, beside their values on one batch.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainwright.testing.bench import Case

os.environ.update(HF_HUB_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1", TOKENIZERS_PARALLELISM="false")

GOAL = 1e-5
FAMILIES = ("llama", "qwen3", "gemma2", "cohere2", "granite", "mixtral")
STEPS = {"max_steps": 20, "learning_rate": 2e-4, "max_grad_norm": 1.0}
NORM: dict[str, Any] = {"loss_type": ["sigmoid_norm"], "beta": 5.0}
LORA = {"r": 4, "target_modules": "all-linear"}
MIX = [{"name": "sigmoid_norm"}, {"name": "sft", "weight": 0.1}]


def comparisons() -> dict[str, tuple[Case, Case]]:
    """Name → TRL's case and this repository's."""
    from trainwright.testing.bench import Case

    found = {}
    for family in FAMILIES:
        sft = Case("trl", family=family, rows=64, per_device=4, accumulate=2, training=STEPS)
        found[f"chunked_nll, {family}"] = sft, replace(sft, loss="chunked_nll")
    pairs = Case("trl", method="dpo", rows=16, per_device=8, training=STEPS | NORM)
    for name, changes, settings in (
        ("sigmoid_norm", {}, {}),
        ("sigmoid_norm, 4 micro-batches", {"per_device": 2, "accumulate": 4}, {}),
        ("sigmoid_norm, LoRA", {"peft": LORA}, {}),
        ("sigmoid_norm, ld_alpha", {"training": pairs.training | {"ld_alpha": 0.5}}, {"ld_alpha": 0.5}),
    ):
        theirs = replace(pairs, **changes)
        found[name] = theirs, replace(theirs, loss="sigmoid_norm", settings=settings, training=STEPS)
    both = {"loss_type": ["sigmoid_norm", "sft"], "loss_weights": [1.0, 0.1]}
    found["sigmoid_norm + 0.1 × sft"] = (
        replace(pairs, training=pairs.training | both),
        replace(pairs, loss=MIX, training=STEPS),
    )
    return found


def largest_difference(theirs: Case, mine: Case) -> tuple[float, float]:
    """The largest relative differences of (loss, gradient norm)."""
    from trainwright.testing.bench import one_step

    histories = [one_step(case).history for case in (mine, theirs)]
    loss, norm = (
        max(abs(own[key] - other[key]) / abs(other[key]) for own, other in zip(*histories, strict=True))
        for key in ("loss", "grad_norm")
    )
    return loss, norm


def put_ragged_windows() -> None:
    """Seven pairs on one device: as one batch, and as 2 + 2 + 2 + 1."""
    from trainwright.testing.bench import Case, one_step

    print(f"\n{'7 pairs, first step':32}{'one batch':>16}{'2 + 2 + 2 + 1':>16}")
    for name, loss_types, loss in (
        ("sigmoid_norm", ["sigmoid_norm"], "sigmoid_norm"),
        ("sigmoid_norm + 0.1 × sft", ["sigmoid_norm", "sft"], MIX),
    ):
        weights = [1.0, 0.1][: len(loss_types)]
        theirs = Case("trl", method="dpo", rows=7, training=NORM | {"loss_type": loss_types, "loss_weights": weights})
        for who, case in (("TRL", theirs), ("here", replace(theirs, loss=loss, training={}))):
            cuts = [replace(case, per_device=7), replace(case, per_device=2, accumulate=4)]
            whole, parts = (one_step(cut).loss for cut in cuts)
            print(f"{f'{name}, {who}':32}{whole:16.7f}{parts:16.7f}")


def main() -> int:
    """Print the differences; 1 where the goal is missed."""
    print(f"{'':32}{'loss':>12}{'grad norm':>12}   goal ≤ {GOAL:g}")
    missed = False
    for name, (theirs, mine) in comparisons().items():
        loss, norm = largest_difference(theirs, mine)
        missed |= max(loss, norm) > GOAL
        print(f"{name:32}{loss:12.2e}{norm:12.2e}   {'reached' if max(loss, norm) <= GOAL else 'not reached'}")
    put_ragged_windows()
    return int(missed)


if __name__ == "__main__":
    raise SystemExit(main())
