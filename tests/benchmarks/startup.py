"""How long the light verbs take as whole processes, against the goal and against `trl --help` in the same run.

    python tests/benchmarks/startup.py [--runs 10] [--json]

One unmeasured call of each comes first, so that the caches (bytecode, TRL's fields) are warm; bytecode is kept in a
folder of its own, whatever the environment says of writing it. Exit code 1 when a median misses the goal.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

GOAL = 0.6  # seconds of wall time, median of whole processes
ROW = {"messages": [{"role": "user", "content": "2+2"}, {"role": "assistant", "content": "4"}]}
CONFIG = """\
method: sft
model: {path: HuggingFaceTB/SmolLM2-135M-Instruct}
data: {train: data.jsonl}
lora: {r: 16}
training: {max_steps: 100, learning_rate: 2.0e-4}
output: run
"""


def seconds(command: list[str], runs: int, folder: Path) -> list[float]:
    """Wall time of `runs` processes after one that is not counted.

    Raises:
        CalledProcessError: When the command fails.
    """
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")
    taken = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        subprocess.run(
            command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        taken.append(time.perf_counter() - start)
    return taken[1:]


def measure(runs: int, peer_runs: int) -> dict[str, dict[str, float]]:
    """Median, fastest and slowest wall time of each command, seconds."""
    trainwright, trl = [sys.executable, "-m", "trainwright"], [str(Path(sys.executable).parent / "trl")]
    commands = {
        "trainwright --help": ([*trainwright, "--help"], runs),
        "trainwright plugins": ([*trainwright, "plugins"], runs),
        "trainwright validate good.yaml": ([*trainwright, "validate", "good.yaml"], runs),
        "trl --help": ([*trl, "--help"], peer_runs),
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data.jsonl").write_text(f"{json.dumps(ROW)}\n" * 100)
        (folder / "good.yaml").write_text(CONFIG)
        found = {label: seconds(command, count, folder) for label, (command, count) in commands.items()}
    return {
        label: {"median": statistics.median(taken), "min": min(taken), "max": max(taken)}
        for label, taken in found.items()
    }


def main() -> int:
    """Measure, print, and compare with the goal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10, help="processes per command")
    parser.add_argument("--peer-runs", type=int, default=3, help="processes of `trl --help`, which takes seconds")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    found = measure(options.runs, options.peer_runs)
    if options.json:
        print(json.dumps({"goal": GOAL, "runs": options.runs, "seconds": found}, indent=2))
    else:
        _print(found, options.runs)
    return int(any(row["median"] > GOAL for label, row in found.items() if label.startswith("trainwright")))


def _print(found: dict[str, dict[str, float]], runs: int) -> None:
    peer = found["trl --help"]["median"]
    print(f"wall time of whole processes, seconds; {runs} runs; goal {GOAL} s\n")
    print(f"{'command':<32}{'median':>8}{'min':>8}{'max':>8}  {'goal':<6}{'of trl --help':>13}")
    for label, row in found.items():
        verdict = "" if label.startswith("trl") else "met" if row["median"] <= GOAL else "missed"
        times = "".join(f"{row[key]:>8.3f}" for key in ("median", "min", "max"))
        print(f"{label:<32}{times}  {verdict:<6}{row['median'] / peer:>13.3f}")


if __name__ == "__main__":
    sys.exit(main())
