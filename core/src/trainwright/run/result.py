"""How a run ended: what `train` and `resume` return, what `result.json` keeps, what the command line prints."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainwright.errors import RunError
from trainwright.run.disk import writing
from trainwright.run.files import human, main_process, write_json
from trainwright.run.folder import RunFolder
from trainwright.run.machine import peak_memory
from trainwright.run.records import is_timing

if TYPE_CHECKING:
    from trainwright.run.answers import Answers


@dataclass(frozen=True)
class RunResult:
    """How a run ended.

    Attributes:
        folder: The run's folder.
        steps: Optimizer steps done since the run began.
        interrupted: Whether it was stopped before its last step.
        metrics: The last value of each number that was logged.
        seconds: Wall-clock seconds of this process, from its start to the saved model.
        peak_memory: Bytes at most: `host` (resident), and `gpu` (allocated) where there is one.
        coverage: Of the first rows of training data, `rows`, `tokens` and how many are `supervised`; empty if unknown.
        before: Answers to the held-out questions before training; None where none were asked.
        after: Answers after training.
    """

    folder: Path
    steps: int
    interrupted: bool
    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    peak_memory: Mapping[str, int] = field(default_factory=dict)
    coverage: Mapping[str, int] = field(default_factory=dict)
    before: Answers | None = None
    after: Answers | None = None

    @property
    def summary(self) -> str:
        """What a person wants to know at the end, one fact a line."""
        folder = RunFolder(self.folder)
        memory = ", ".join(f"{human(size)} ({kind})" for kind, size in self.peak_memory.items())
        names = {"loss": "training", "eval_loss": "evaluation"}
        losses = [f"{self.metrics[key]:.4f} ({name})" for key, name in names.items() if key in self.metrics]
        lines = [
            f"{'stopped' if self.interrupted else 'trained'} after {self.steps:,} step{'' if self.steps == 1 else 's'}",
            f"time     {timedelta(seconds=round(self.seconds))}",
            f"memory   {memory or 'unknown'} at most",
            f"loss     {', '.join(losses) or 'nothing was logged'}",
            *self._accuracy(),
            f"folder   {self.folder}",
            f"resume   {folder.resume_command}" if self.interrupted else f"report   {folder.report}",
        ]
        return "\n".join(lines)

    def _accuracy(self) -> list[str]:
        given = {"before": self.before, "after": self.after}
        parts = [f"{answers.accuracy:.1%} right {when}" for when, answers in given.items() if answers is not None]
        return [f"answers  {', '.join(parts)}"] if parts else []

    def save(self) -> None:
        """Write `result.json` and `answers.json`; with them the run counts as ended.

        Raises:
            OSError: They cannot be written.
        """
        folder = RunFolder(self.folder)
        write_answers(folder, self.before, self.after)
        kept = ("steps", "interrupted", "metrics", "seconds", "peak_memory", "coverage")
        write_json(folder.result, {name: getattr(self, name) for name in kept})


def read_result(folder: RunFolder) -> dict[str, Any] | None:
    """The content of `result.json`; None where the run has not ended.

    Raises:
        RunError: It cannot be read.
    """
    return _read(folder.result) if folder.result.exists() else None


def finish(
    trainer: Any, run: RunFolder, *, before: Answers | None, after: Answers | None, interrupted: bool, start: float
) -> RunResult:
    """Gather how a run ended, and write it down with the report; the first rank's files only.

    Args:
        trainer: The trainer, after training.
        run: The run's folder.
        before: Answers before training; None in a resumed run, which takes them from its folder.
        after: Answers after training.
        interrupted: Whether it was stopped before its last step.
        start: `time.perf_counter()` at this process's start.
    """
    logged = {key: value for logs in trainer.state.log_history for key, value in logs.items()}
    metrics = {key: value for key, value in logged.items() if _is_number(value) and not is_timing(key)}
    result = RunResult(
        folder=run.path,
        steps=trainer.state.global_step,
        interrupted=interrupted,
        metrics=metrics,
        seconds=time.perf_counter() - start,
        peak_memory=peak_memory(),
        coverage=mask_coverage(trainer.train_dataset),
        before=before if before is not None else read_answers(run)[0],
        after=after,
    )
    if main_process():
        from trainwright.run.report import write_report

        with writing("the result", run):
            result.save()
            write_report(run)
    return result


def mask_coverage(dataset: Any, rows: int = 1000) -> dict[str, int]:
    """Tokens of the first rows and how many of them carry loss: `rows`, `tokens`, `supervised`; empty if unknown."""
    if "labels" not in (getattr(dataset, "column_names", None) or ()) or not hasattr(dataset, "__len__"):
        return {}
    labels = dataset.select(range(min(rows, len(dataset))))["labels"]
    counted = [(len(row), sum(label != -100 for label in row)) for row in labels]
    return {
        "rows": len(counted),
        "tokens": sum(tokens for tokens, _ in counted),
        "supervised": sum(supervised for _, supervised in counted),
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def write_answers(folder: RunFolder, before: Answers | None, after: Answers | None = None) -> None:
    """Write `answers.json`; those before training as soon as they are known, because a resumed run cannot ask again."""
    given = {"before": before, "after": after}
    if before is not None or after is not None:
        write_json(folder.answers, {when: asdict(answers) for when, answers in given.items() if answers is not None})


def read_answers(folder: RunFolder) -> tuple[Answers | None, Answers | None]:
    """The answers before and after training, each None where there are none.

    Raises:
        RunError: The file cannot be read.
    """
    from trainwright.run.answers import AnswerRecord, Answers

    if not folder.answers.exists():
        return None, None
    values = _read(folder.answers)
    before, after = (
        Answers(tuple(AnswerRecord(**row) for row in values[when]["records"])) if when in values else None
        for when in ("before", "after")
    )
    return before, after


def _read(path: Path) -> dict[str, Any]:
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise RunError(f"{path} cannot be read: {error}", remedy="Remove it and resume the run.") from error
    return values
