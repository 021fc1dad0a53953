"""One task in a process of its own: train, and write down what it took.

`run_apart` starts the process, `work` is what it does.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import traceback
from itertools import pairwise
from pathlib import Path
from typing import Any

from e2e.cases import Task

_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
_OUT_OF_MEMORY = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "can't allocate memory")
_SHOWN_LINES = 25  # of the output of a worker that failed


def run_apart(script: str, task: Task, timeout: float) -> dict[str, Any]:
    """Run a task in a new process.

    Args:
        script: The program that calls `work` when it is given `--worker FOLDER`.
        task: What to do.
        timeout: Seconds after which the process is killed.

    Returns:
        What `work` wrote; `{"error": text}` where the process failed or was killed.
    """
    with tempfile.TemporaryDirectory(prefix="end-to-end-") as name:
        folder = Path(name)
        (folder / "task.json").write_text(task.to_json(), encoding="utf-8")
        environment = {**os.environ, **_ENVIRONMENT, "HF_DATASETS_CACHE": str(folder / "cache")}
        with (folder / "output").open("w", encoding="utf-8") as output:
            try:
                subprocess.run(
                    [sys.executable, script, "--worker", name],
                    env=environment,
                    timeout=timeout,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
                fault = "the process died"
            except subprocess.TimeoutExpired:
                fault = f"killed after {timeout:.0f} s"
        result = folder / "result.json"
        if result.exists():
            found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
            return found
        tail = (folder / "output").read_text(encoding="utf-8", errors="replace").splitlines()[-_SHOWN_LINES:]
        return {"error": "\n".join([fault, *tail])}


def work(folder: Path) -> None:
    """Do the task that lies in a folder, and put `result.json` beside it."""
    task = Task.from_json((folder / "task.json").read_text(encoding="utf-8"))
    try:
        result = _train(task, folder)
    except Exception as error:
        traceback.print_exc()
        if not _is_out_of_memory(error):
            raise SystemExit(1) from error
        result = {"out_of_memory": True}
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")


def _is_out_of_memory(error: BaseException | None) -> bool:
    """Whether memory ran out, whatever the error was wrapped in."""
    while error is not None:
        if any(sign in str(error) for sign in _OUT_OF_MEMORY):
            return True
        error = error.__cause__ or error.__context__
    return False


def _train(task: Task, folder: Path) -> dict[str, Any]:
    from trainwright.cli.quiet import quiet

    quiet()
    import torch

    from e2e.profiled import Profile
    from e2e.trainers import trainer_of

    start = time.perf_counter()
    with trainer_of(task, folder) as trainer:
        ready = time.perf_counter()
        ends = _step_ends(task, trainer)
        profile = Profile(task, trainer) if task.profile else None
        trainer.train()
        losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    seconds = [after - before for before, after in pairwise(ends)][task.warm_up - 1 :]
    result = {
        "seconds": seconds,
        "tokens": task.tokens(),
        "losses": losses,
        "seconds_to_make": ready - start,
        **_memory(task),
        "device": torch.cuda.get_device_name() if task.device == "cuda" else "CPU",
        "torch": torch.__version__,
    }
    return {**result, "profile": profile.table(seconds, folder)} if profile else result


def _step_ends(task: Task, trainer: Any) -> list[float]:
    """The times at which the steps end, filled while training; what comes between two of them is one step's."""
    import torch
    from transformers import TrainerCallback

    ends: list[float] = []

    class Ends(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            if task.device == "cuda":
                torch.cuda.synchronize()
                if not ends:
                    torch.cuda.reset_peak_memory_stats()
            ends.append(time.perf_counter())

    trainer.add_callback(Ends())
    return ends


def _memory(task: Task) -> dict[str, int]:
    """Bytes: the peak after the first step, what remains between steps, and what the device has."""
    import torch

    if task.device == "cpu":
        return {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}  # of the whole process
    return {
        "peak": torch.cuda.max_memory_allocated(),
        "reserved": torch.cuda.max_memory_reserved(),
        "resting": torch.cuda.memory_allocated(),
        "capacity": torch.cuda.get_device_properties(0).total_memory,
    }
