"""Continue a run from its last whole checkpoint."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainwright.errors import RunError
from trainwright.run.drift import drift, refuse_drift
from trainwright.run.files import main_process, write_atomically
from trainwright.run.folder import RunFolder
from trainwright.run.manifest import command, known_early, read_manifest, timestamp, write_manifest
from trainwright.run.result import read_result
from trainwright.run.seal import last_sealed, step_of

if TYPE_CHECKING:
    from trainwright.config.check import CheckedConfig
    from trainwright.plugins.manager import PluginManager
    from trainwright.run.result import RunResult

_log = logging.getLogger(__name__)


def resume(folder: Path, *, overrides: Sequence[str] = (), allow_drift: bool = False) -> RunResult:
    """Continue a run where its last whole checkpoint was written; from the start where there is none.

    What is known without loading anything is compared with the run's manifest here, data and template by `train`.

    Args:
        folder: The run's folder.
        overrides: `key.sub=value`; those that make the run longer, or change how often it saves and logs, are no drift.
        allow_drift: Continue although packages, plugins, data or config differ.

    Raises:
        RunError: There is no run, it has ended, or it would depend on something else than it began with.
        ConfigError: Its config does not hold any more.
    """
    run = RunFolder.open(folder)
    manifest = read_manifest(run.manifest)
    _refuse_ended(run, overrides)
    checked, manager = _checked(run, overrides)
    if not allow_drift:
        refuse_drift(manifest, known_early(checked.config, manager))
    checkpoint = last_sealed(run.checkpoints)
    if checkpoint is None:
        _log.warning("no whole checkpoint in %s: the run starts again from step 0", run.checkpoints)
    _reopen(run, checked, overrides)
    from trainwright.run.train import train

    return train(checked, manager, run=run, checkpoint=checkpoint, allow_drift=allow_drift)


def admit(run: RunFolder, now: Mapping[str, Any], checkpoint: Path | None, *, allow_drift: bool = False) -> None:
    """Compare a continued run with what it began with, and note in its manifest that it was continued.

    Args:
        run: The run's folder.
        now: The manifest of now.
        checkpoint: Where it goes on from.
        allow_drift: Go on in any case; the differences are noted.

    Raises:
        RunError: With every difference.
    """
    if not main_process():
        return
    manifest = read_manifest(run.manifest)
    if not allow_drift:
        refuse_drift(manifest, now)
    entry = {
        "time": timestamp(),
        "command": command(),
        "step": step_of(checkpoint) if checkpoint else 0,
        "drift": [problem.message for problem in drift(manifest, now)],
    }
    write_manifest(run.manifest, {**manifest, "resumed": [*manifest.get("resumed", []), entry]})


def _refuse_ended(run: RunFolder, overrides: Sequence[str]) -> None:
    result = read_result(run)
    if result is None or result["interrupted"] or overrides:
        return
    longer = f"{run.resume_command} training.max_steps={2 * result['steps']}"
    remedy = f"Its model is in {run.model}. To make the run longer: `{longer}`."
    raise RunError(f"the run in {run.path} has ended after {result['steps']} steps", remedy=remedy)


def _checked(run: RunFolder, overrides: Sequence[str]) -> tuple[CheckedConfig, PluginManager]:
    from trainwright.config.check import check_config
    from trainwright.config.load import load_config
    from trainwright.plugins.manager import PluginManager

    config = load_config(run.config, [*overrides, f"output={run.path}"])
    manager = PluginManager.discover(disable=config.plugins.disable, pin=config.plugins.pin).load()
    return check_config(config, manager), manager


def _reopen(run: RunFolder, checked: CheckedConfig, overrides: Sequence[str]) -> None:
    """Make the folder that of a run under way; what was overridden holds for the next resume too."""
    from trainwright.config.resolved import dump_resolved

    if main_process():
        run.result.unlink(missing_ok=True)
        if overrides:
            write_atomically(run.config, dump_resolved(checked.config))
