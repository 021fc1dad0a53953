"""`train` and `resume`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from trainwright.cli import INTERRUPTED
from trainwright.cli.prepare import prepare
from trainwright.cli.quiet import quiet

if TYPE_CHECKING:
    from trainwright.run.result import RunResult


def train(config: Path, overrides: Sequence[str], no_plugin: Sequence[str], *, verbose: bool) -> int:
    """Check a config, train it, print the summary; return the exit code."""
    quiet(verbose)
    checked, manager = prepare(config, overrides, no_plugin)
    from trainwright.run.train import train as run

    return _finish(run(checked, manager))


def resume(folder: Path, overrides: Sequence[str], *, allow_drift: bool, verbose: bool) -> int:
    """Continue a run from its last whole checkpoint, print the summary; return the exit code."""
    quiet(verbose)
    from trainwright.run.resume import resume as run

    return _finish(run(folder, overrides=overrides, allow_drift=allow_drift))


def _finish(result: RunResult) -> int:
    from trainwright.run.files import main_process
    from trainwright.run.ranks import take_leave

    if main_process():
        print(result.summary)
    take_leave()
    return INTERRUPTED if result.interrupted else 0
