"""Linear cross-entropy on an LM head, forward and backward on one GPU: ours and its peers side by side.

    python tests/benchmarks/head.py [--cells 'qwen3-4b/*'] [--rows nll trl products] [--output runs/head]
    python tests/benchmarks/head.py --device cpu --small      # tries everything out on tiny problems

Heads of real models, bf16, trained ("dW") and frozen ("no-dW"), random labels. Against what stands in each cell:

- the bare products: three matrix products over all labelled tokens (two with a frozen head), one after the other;
- losses, summed over the tokens; their gradient starts from 1 / labelled tokens, as in a trainer that takes the mean;
- log-probabilities, whose gradient starts from a random number per token, as in DPO or GRPO.

Printed are medians, the peak of memory above the operands (gradients included), and the relative error of gradients
against float64. A peer that is not installed, fails or runs out of memory says so. Then the goals; exit code 1 where
one is missed. On a CPU the goals are printed but do not count: they are those of an H100.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import torch
from lm_head import markdown, report
from lm_head.cells import CELLS, ERRORS, FULL_TOKENS, Cell, Operands
from lm_head.goals import Errors, Measured, cell_goals, error_goals
from lm_head.measure import free, gradient_error, measure, true_gradients
from lm_head.plots import plot
from lm_head.rows import ROWS, Row


def measure_cell(cell: Cell, rows: Sequence[Row], device: str, repeats: int) -> Measured:
    """Measure and print the rows of a cell. Without log-probabilities where labels are ignored."""
    say(report.cell_heading(cell))
    operands = cell.operands(device)
    found = {}
    for row in rows:
        if row.kind == "logps" and cell.ignored:
            continue
        found[row.name] = measure(row, operands, repeats)
        free()
        say(report.cell_line(row, found[row.name], found.get("products")))
    return found


def measure_errors(cell: Cell, rows: Sequence[Row], device: str) -> Errors:
    """Measure and print the rows' gradient errors."""
    say(report.error_heading(cell))
    operands = cell.operands(device)
    found = {}
    truth: dict[str, Operands] = {}
    for row in rows:
        if row.kind == "products":
            continue
        if row.kind not in truth:
            truth[row.kind] = true_gradients(row, operands)
        found[row.name] = gradient_error(row, operands, truth[row.kind])
        say(report.error_line(row, found[row.name]))
    free()
    return found


def everything(args: argparse.Namespace) -> report.Results:
    """Measure all that is asked for."""
    rows = [row for row in ROWS if chosen(row.name, args.rows)]
    cells = [cell.scaled(args.tokens) for cell in CELLS if chosen(cell.name, args.cells)]
    errors = list(ERRORS)
    if args.small:
        cells = [cell.shrunk(hidden=32, vocabulary=100, tokens=128) for cell in cells]
        errors = [cell.shrunk(hidden=8, vocabulary=8, tokens=8) for cell in errors]
    machine = report.machine(args.device)
    say(", ".join(f"{name} {version}" for name, version in machine.items()))
    found = [(cell, measure_cell(cell, rows, args.device, args.repeats)) for cell in cells]
    wrong = [(cell, measure_errors(cell, rows, args.device)) for cell in errors]
    goals = [goal for cell, measured in found for goal in cell_goals(cell, measured)]
    goals += [goal for cell, measured in wrong for goal in error_goals(cell, measured)]
    return report.Results(machine, found, wrong, goals)


def write(results: report.Results, folder: Path) -> None:
    """Tables, figures and, with matplotlib, plots."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(report.as_json(results), encoding="utf-8")
    (folder / "table.md").write_text(markdown.tables(results), encoding="utf-8")
    try:
        plot(results.cells, folder)
    except ModuleNotFoundError as error:
        say(f"no plots: {error.name} is not installed")
    say(f"written to {folder}")


def chosen(name: str, patterns: Sequence[str]) -> bool:
    """Whether the name matches one of the patterns."""
    return any(fnmatchcase(name, pattern.lower()) for pattern in patterns)


def say(line: str) -> None:
    """Print at once: a run takes minutes."""
    print(line, flush=True)


def arguments() -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cells, rows = ([item.name for item in group] for group in (CELLS, ROWS))
    parser.add_argument("--cells", nargs="+", default=["*"], metavar="PATTERN", help=f"of {', '.join(cells)}")
    parser.add_argument("--rows", nargs="+", default=["*"], metavar="PATTERN", help=f"of {', '.join(rows)}")
    parser.add_argument("--repeats", type=int, default=10, help="calls that count (default 10)")
    parser.add_argument("--tokens", type=int, default=FULL_TOKENS, help=f"N of the largest cells ({FULL_TOKENS})")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--small", action="store_true", help="tiny problems")
    parser.add_argument("--output", type=Path, metavar="DIR", help="where results.json, table.md and plots go")
    args = parser.parse_args()
    for names, patterns in ((cells, args.cells), (rows, args.rows)):
        for pattern in patterns:
            if not any(chosen(name, [pattern]) for name in names):
                parser.error(f"{pattern} matches none of {', '.join(names)}")
    if min(args.repeats, args.tokens) < 1:
        parser.error("--repeats and --tokens are at least 1")
    return args


def main() -> int:
    """Print all tables; 1 where a goal is missed on a GPU."""
    args = arguments()
    if args.device == "cuda" and not torch.cuda.is_available():
        say("no CUDA device: nothing is measured; --device cpu --small tries everything out")
        return 0
    start = time.monotonic()
    results = everything(args)
    say("\nGoals" + ("" if args.device == "cuda" else " of an H100; on a CPU they do not count"))
    for line in report.goal_lines(results.goals):
        say(line)
    if args.output is not None:
        write(results, args.output)
    say(f"{time.monotonic() - start:.0f} s")
    return int(args.device == "cuda" and any(goal.verdict == "missed" for goal in results.goals))


if __name__ == "__main__":
    sys.exit(main())
