"""Whole training runs on one GPU: TRL's own trainers against the same runs through Trainwright.

    python tests/benchmarks/end_to_end.py [--method sft] [--cases sft-1.7b ...] [--longest] [--profile] [--output DIR]
    python tests/benchmarks/end_to_end.py --small --device cpu        # to try the script; its figures mean nothing

Random weights of Qwen3's sizes, random tokens, no padding; float32 parameters, bf16 autocast, gradient checkpointing,
TRL's default optimiser (fused AdamW), sdpa attention. Each trainer runs in a process of its own, in turns. A step lasts
from the end of the one before to its own end, the device synchronised at both; printed is the median. The peak is what
was allocated at most after the first step. Exit code 1 where a goal is missed or a run fails.
"""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

from e2e.cases import CASES, LONGEST, OWN_LOSS, PROFILED, TRAINERS, Case, Task
from e2e.longest import UNIT, search
from e2e.report import Measured, failure, goals, markdown, measured, profile_tables, table
from e2e.worker import run_apart, work

SHORT = 256  # tokens of the step that makes the optimiser's states before a long sequence is tried


class Benchmark:
    """What is asked, and what has been found so far.

    Args:
        asked: The command line.
    """

    def __init__(self, asked: argparse.Namespace) -> None:
        self.asked = asked
        self.results: dict[str, Any] = {}
        self.texts: list[str] = []
        self.missed = False

    def case(self, name: str) -> Case:
        """A case by its name, small where that is asked."""
        found = next(case for case in CASES if case.name == name)
        return found.small() if self.asked.small else found

    def run(self, case: Case, trainer: str, lengths: list[int], warm_up: int, profile: bool = False) -> dict[str, Any]:
        """One worker's result."""
        loss = self.asked.loss or OWN_LOSS[case.method]
        task = Task(case, trainer, loss, self.asked.device, tuple(lengths), warm_up, profile)
        return run_apart(__file__, task, self.asked.timeout)

    # ── the cases ────────────────────────────────────────────────────────────────────────────────────────────────────

    def compare(self) -> None:
        """Both trainers on every case."""
        compared = []
        for name in self.asked.cases:
            case = self.case(name)
            say(f"\n{case.title}")
            found = self._both(case)
            if found is None:
                self.missed = True
                continue
            compared.append((case, *found))
            for goal in goals(case, *found):
                say(f"  {goal}")
                self.missed |= not goal.reached
        if compared:
            self.show(table(compared))

    def _both(self, case: Case) -> tuple[Measured, Measured] | None:
        rounds: dict[str, list[dict[str, Any]]] = {trainer: [] for trainer in TRAINERS}
        lengths = [case.length] * (self.asked.warm_up + self.asked.steps)
        for _ in range(self.asked.rounds):
            for trainer in TRAINERS:
                found = self.run(case, trainer, lengths, self.asked.warm_up)
                rounds[trainer].append(found)
                say(f"  {trainer:<12}{failure(found) or measured([found])}")
        self.results[case.name] = rounds
        self.keep()
        if any(failure(found) for each in rounds.values() for found in each):
            return None
        return measured(rounds["trl"]), measured(rounds["trainwright"])

    # ── the longest sequence ─────────────────────────────────────────────────────────────────────────────────────────

    def longest(self) -> None:
        """The longest sequence of one row that each trainer trains."""
        case, start, lines = self.case(LONGEST), self.asked.longest_from, []
        say(f"\nLongest sequence, {case.model}, one row, all parameters")
        for trainer in TRAINERS:
            bracket = search(partial(self._try, case, trainer), start, self.asked.longest_tries)
            self.missed |= bracket.fault is not None
            self.results.setdefault("longest", {})[trainer] = vars(bracket)
            lines.append((trainer, str(bracket)))
            start = bracket.fits or start
        self.show(markdown((f"longest sequence, {case.model}", "found"), lines))

    def _try(self, case: Case, trainer: str, length: int) -> dict[str, Any]:
        found = self.run(case, trainer, [SHORT, length], warm_up=1)
        say(f"    {trainer:<12}{length:>8,} tokens: {failure(found) or measured([found])}")
        return found

    # ── where the time goes ──────────────────────────────────────────────────────────────────────────────────────────

    def profile(self) -> None:
        """One step through Trainwright, by what it is spent on."""
        from e2e.profiled import PROFILED_STEPS

        case = self.case(PROFILED)
        lengths = [case.length] * (self.asked.warm_up + self.asked.steps + PROFILED_STEPS)
        found = self.run(case, "trainwright", lengths, self.asked.warm_up, profile=True)
        if failure(found):
            say(f"  profile: {failure(found)}")
            self.missed = True
            return
        self.results["profile"] = profile = found["profile"]
        categories, kernels = profile_tables(profile)
        self.show(f"{case.title}: where the {profile['step_ms']:.1f} ms of a step go\n\n{categories}")
        if self.asked.output:
            (self.asked.output / "kernels.md").write_text(f"{kernels}\n", encoding="utf-8")

    # ── output ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def show(self, text: str) -> None:
        """Print a table, and keep it."""
        say(f"\n{text}")
        self.texts.append(text)
        self.keep()

    def keep(self) -> None:
        """Write what was found so far."""
        if self.asked.output:
            (self.asked.output / "table.md").write_text("\n\n".join(self.texts) + "\n", encoding="utf-8")
            (self.asked.output / "results.json").write_text(json.dumps(self.results, indent=1), encoding="utf-8")


def say(text: str) -> None:
    """Print at once, so that a run that is stopped has shown what it found."""
    print(text, flush=True)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", choices=list(OWN_LOSS), default="sft", help="whose cases to run (default sft)")
    parser.add_argument(
        "--cases", nargs="*", choices=[case.name for case in CASES], help="instead: these; none to skip"
    )
    parser.add_argument("--loss", help="the loss through Trainwright, where it is not the plugin measured: e.g. trl")
    parser.add_argument("--steps", type=int, default=5, help="timed steps (default 5)")
    parser.add_argument("--warm-up", type=int, default=2, help="steps before them (default 2)")
    parser.add_argument("--rounds", type=int, default=1, help="turns of both trainers (default 1)")
    parser.add_argument("--longest", action="store_true", help="find the longest sequence of a Qwen3-4B")
    parser.add_argument("--longest-from", type=int, default=48 * UNIT, help="the first length tried (default 49152)")
    parser.add_argument("--longest-tries", type=int, default=6, help="lengths tried for each trainer (default 6)")
    parser.add_argument("--profile", action="store_true", help="show where the time of a step goes")
    parser.add_argument("--output", type=Path, help="folder for results.json, table.md and kernels.md")
    parser.add_argument("--small", action="store_true", help="a tiny model and short rows")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--timeout", type=float, default=240, help="seconds for one process (default 240)")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.warm_up < 1 or asked.steps < 1 or asked.rounds < 1:
        parser.error("--steps, --warm-up and --rounds are at least 1")
    if asked.cases is None:
        asked.cases = [case.name for case in CASES if case.method == asked.method]
    return asked


def main() -> int:
    """Run what is asked; 1 where a goal is missed or a run fails."""
    asked = arguments()
    if asked.worker:
        work(asked.worker)
        return 0
    if asked.device == "cuda" and not _has_gpu():
        say("skipped: no CUDA device; `--small --device cpu` tries the script")
        return 0
    if asked.output:
        asked.output.mkdir(parents=True, exist_ok=True)
    benchmark = Benchmark(asked)
    benchmark.compare()
    if asked.profile:
        benchmark.profile()
    if asked.longest:
        benchmark.longest()
    return int(benchmark.missed)


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


if __name__ == "__main__":
    sys.exit(main())
