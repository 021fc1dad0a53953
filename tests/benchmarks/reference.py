"""Reference log-probabilities before training: tokens a second, TRL's own pass against Trainwright's.

    python tests/benchmarks/reference.py [--rows 256] [--rounds 2] [--methods dpo kto]
    python tests/benchmarks/reference.py --small --device cpu     # to try the script; its figures mean nothing

Random weights of Qwen3-1.7B, bf16 autocast, random rows: all of 2,048 tokens, and of 256 to 2,048. Both run the policy
before its training, in turns, in one process, with the same rows of a micro-batch; tokens are counted without padding.
Where a figure is less than TRL's the exit code is 1.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from e2e.cases import Case, Task
from e2e.inputs import random_model, random_rows, tokenizer

BATCH = {"dpo": 4, "kto": 8}  # rows of a micro-batch: 8 sequences
TRLS = {"dpo": ("DPOTrainer", "DPOConfig"), "kto": ("KTOTrainer", "KTOConfig")}


def rows_of(case: Case, asked: argparse.Namespace, ragged: bool) -> list[dict[str, Any]]:
    """The rows of one cell."""
    generator = torch.Generator().manual_seed(1)
    shortest = case.length // 8 if ragged else case.length
    lengths = torch.randint(shortest, case.length + 1, (asked.rows,), generator=generator).tolist()
    return random_rows(Task(case, "trl", "trl", asked.device, tuple(lengths)))


def arguments_of(case: Case, asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The fields that both are given."""
    on_device = {"bf16": True} if asked.device == "cuda" else {"bf16": False, "use_cpu": True}
    return {
        "per_device_train_batch_size": BATCH[case.method],
        "precompute_ref_batch_size": BATCH[case.method],
        "max_length": case.length,
        "precompute_ref_log_probs": True,
        "train_sampling_strategy": "sequential",
        "output_dir": str(folder / "run"),
        "report_to": "none",
        **on_device,
    }


def of_trl(case: Case, rows: Any, asked: argparse.Namespace, folder: Path) -> float:
    """Seconds of TRL's pass."""
    import trl

    kind, config = (getattr(trl, name) for name in TRLS[case.method])
    timed = Timed(kind, "_precompute_ref_logps", asked.device)
    made = type(kind.__name__, (kind,), {"_precompute_ref_logps": timed.method()})
    made(
        model=random_model(case.model, asked.device),
        args=config(**arguments_of(case, asked, folder), disable_tqdm=True),
        train_dataset=rows,
        processing_class=tokenizer(case),
    )
    return timed.seconds


def of_trainwright(case: Case, rows: Any, asked: argparse.Namespace, folder: Path) -> float:
    """Seconds of Trainwright's pass, cache and all."""
    from trainwright.reference import precompute
    from trainwright.run.folder import RunFolder
    from trainwright.trainer import bind
    from trainwright.trainer.hooked import Binding
    from trainwright.trainer.methods import METHODS
    from trainwright.trainer.placeholder import placeholder_model

    method, arguments = METHODS[case.method], arguments_of(case, asked, folder)
    identity = {"benchmark": case.name}
    wanted = precompute.Precomputation(how="model", identity=identity, cache=folder / "cache")
    timed = Timed(bind, "precompute", asked.device)
    bind.precompute, before = timed.function(), bind.precompute  # type: ignore[attr-defined]
    try:
        bind.make_trainer(
            Binding(method, lambda ctx: None, native=True, placeholder=True, precomputation=wanted),  # type: ignore[arg-type,return-value]
            RunFolder(folder),
            model=random_model(case.model, asked.device),
            ref_model=placeholder_model(),
            args=bind.training_arguments(method, arguments, folder / "run"),
            train_dataset=rows,
            processing_class=tokenizer(case),
        )
    finally:
        bind.precompute = before  # type: ignore[attr-defined]
    return timed.seconds


class Timed:
    """A function of an owner, with the seconds that its calls took."""

    def __init__(self, owner: Any, name: str, device: str) -> None:
        self._original: Callable[..., Any] = getattr(owner, name)
        self._device = device
        self.seconds = 0.0

    def function(self) -> Callable[..., Any]:
        """In the original's place."""

        def run(*args: Any, **kwargs: Any) -> Any:
            self._wait()
            begun = time.perf_counter()
            try:
                return self._original(*args, **kwargs)
            finally:
                self._wait()
                self.seconds += time.perf_counter() - begun

        return run

    method = function

    def _wait(self) -> None:
        if self._device == "cuda":
            torch.cuda.synchronize()


def tokens_of(rows: Any, case: Case) -> int:
    """Tokens that a reference reads: prompts with each of their answers, ends of sequence included."""
    answers = ("chosen", "rejected") if case.method == "dpo" else ("completion",)
    words = sum(len(f"{row['prompt']} {row[name]}".split()) + 1 for row in rows for name in answers)
    return words * (1 if case.method == "dpo" else 2)  # KTO's mismatched rows have the same tokens in other pairs


def compare(asked: argparse.Namespace) -> bool:
    """Print a line a cell; whether none is slower than TRL's."""
    from datasets import Dataset

    kept = True
    print("| rows | TRL 1.16 | Trainwright | ratio |\n|---|---|---|---|", flush=True)
    for method in asked.methods:
        case = Case(f"reference-{method}", "Qwen3-1.7B", batch=1, length=2048, method=method)
        case = case.small() if asked.small else case
        for ragged in (False, True):
            rows = Dataset.from_list(rows_of(case, asked, ragged))
            speeds = {"trl": of_trl, "trainwright": of_trainwright}
            found: dict[str, list[float]] = {name: [] for name in speeds}
            for _ in range(asked.rounds):
                for name, run in speeds.items():
                    with tempfile.TemporaryDirectory() as folder:
                        found[name].append(tokens_of(rows, case) / run(case, rows, asked, Path(folder)))
            theirs, ours = (median(found[name]) for name in speeds)
            kept &= ours >= theirs
            title = f"{method}, {'1/8 to 1' if ragged else '1'} × {case.length:,}"
            print(f"| {title} | {theirs:,.0f} tokens/s | {ours:,.0f} tokens/s | {ours / theirs:.2f} |", flush=True)
    return kept


def main() -> int:
    """Run; 1 where Trainwright is slower."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--methods", nargs="+", choices=list(BATCH), default=list(BATCH))
    parser.add_argument("--small", action="store_true", help="a tiny model and short rows")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    asked = parser.parse_args()
    if asked.device == "cuda" and not torch.cuda.is_available():
        print("skipped: no CUDA device; `--small --device cpu` tries the script")
        return 0
    logging.disable(logging.WARNING)
    return 0 if compare(asked) else 1


if __name__ == "__main__":
    sys.exit(main())
