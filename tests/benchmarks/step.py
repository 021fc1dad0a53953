"""What the hooks cost: a step through them against a step of TRL's own trainer, on the same tiny model and batches.

    python tests/benchmarks/step.py [--steps 60] [--repeats 7]

The trainers take turns, so that a machine whose speed drifts slows all of them; medians of the steps' wall-clock times
are compared within each turn, and the median of those ratios is the result.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.update(HF_HUB_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1", TOKENIZERS_PARALLELISM="false")

GOAL = 1.02
VARIANTS = ("TRL's own trainer", "trl through the hooks", "chunked_nll")


def step_times(variant: str, steps: int) -> list[float]:
    """Seconds of each step."""
    import torch
    from transformers import TrainerCallback

    class Times(TrainerCallback):  # type: ignore[misc]
        def __init__(self) -> None:
            self.seconds: list[float] = []

        def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
            self.start = time.perf_counter()

        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            self.seconds.append(time.perf_counter() - self.start)

    torch.manual_seed(0)
    times = Times()
    with tempfile.TemporaryDirectory() as folder:
        trainer = make(variant, steps, Path(folder))
        trainer.add_callback(times)
        trainer.train()
    return times.seconds[5:]


def make(variant: str, steps: int, folder: Path) -> Any:
    """A trainer of the variant, all on the same model, data and settings."""
    from datasets import Dataset
    from trl import SFTTrainer

    from trainwright.run.folder import RunFolder
    from trainwright.testing import tiny_dataset, tiny_model, tiny_tokenizer
    from trainwright.testing.bench import Case, binding
    from trainwright.trainer.bind import make_trainer, training_arguments
    from trainwright.trainer.methods import METHODS

    values = {
        "max_steps": steps,
        "logging_steps": 10,
        "save_strategy": "no",
        "per_device_train_batch_size": 8,
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
    }
    keywords = {
        "model": tiny_model("llama", hidden_size=128, intermediate_size=256),
        "args": training_arguments(METHODS["sft"], values, folder),
        "train_dataset": Dataset.from_list(tiny_dataset("messages", 64)),
        "processing_class": tiny_tokenizer("llama"),
    }
    if variant == VARIANTS[0]:
        return SFTTrainer(**keywords)
    loss = "trl" if variant == VARIANTS[1] else variant
    return make_trainer(binding(Case(loss)), RunFolder(folder), **keywords)


def main() -> int:
    """Print medians and ratios; 1 where the goal is missed."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=7)
    asked = parser.parse_args()
    torch.set_num_threads(1)  # threads that wait for each other are what differs most from step to step
    found: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
    for _ in range(asked.repeats):
        for variant in VARIANTS:
            found[variant].append(statistics.median(step_times(variant, asked.steps)))
    base, missed = found[VARIANTS[0]], False
    print(f"\n{'':24}{'median step':>14}{'ratio':>9}   goal ≤ {GOAL}")
    for variant, medians in found.items():
        ratio = statistics.median(own / other for own, other in zip(medians, base, strict=True))
        missed |= ratio > GOAL
        verdict = "reached" if ratio <= GOAL else "not reached"
        print(f"{variant:24}{statistics.median(medians) * 1e3:11.2f} ms{ratio:9.3f}   {verdict}")

    return int(missed)


if __name__ == "__main__":
    raise SystemExit(main())
