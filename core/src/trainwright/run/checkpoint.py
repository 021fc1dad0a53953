"""The part of a trainer that writes checkpoints: staged, sealed, moved into place; never half of one.

class Mine(SealedCheckpoints, SFTTrainer): ...

trainer = Mine(...)
trainer.run = RunFolder.claim(...)
trainer.train(resume_from_checkpoint=last_sealed(trainer.run.checkpoints))
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from trainwright.errors import RunError
from trainwright.run.disk import explain, needed_bytes, write_failure
from trainwright.run.files import sizes, sync
from trainwright.run.folder import STAGING, RunFolder
from trainwright.run.ranks import Ranks
from trainwright.run.seal import publish, rotate, write_seal
from trainwright.run.state import RunState, Stateful
from trainwright.trainer import private

if TYPE_CHECKING:
    from torch import Tensor

    _Trainer = Any
else:
    _Trainer = object


class SealedCheckpoints(_Trainer):  # type: ignore[misc]
    """Mixin before a TRL trainer.

    Attributes:
        run: The run's folder; set it before `train`.
        stateful: What else a checkpoint must hold, by name; each rank saves and restores its own.
        ranks: What the ranks agree by, once `train` has begun.
        last_grad_norm: Gradient norm of the latest step before clipping, a scalar on the device.
    """

    run: RunFolder
    stateful: Mapping[str, Stateful] = {}
    ranks: Ranks
    last_grad_norm: Tensor | float | None = None
    _staging: Path | None = None
    _run_state: RunState
    _save_late: SaveLate

    def train(self, resume_from_checkpoint: str | os.PathLike[str] | None = None, **kwargs: Any) -> Any:
        """Train as TRL does; a resumed run goes on exactly where the sealed checkpoint was written.

        Raises:
            RunError: A checkpoint could not be written.
        """
        self.args.logging_nan_inf_filter = False  # it replaces a NaN loss by the mean, and waits for the device
        self.ranks = Ranks()
        checkpoint = self._published(Path(resume_from_checkpoint)) if resume_from_checkpoint else None
        self._run_state, self._save_late = RunState(self, checkpoint), SaveLate()
        for callback in (self._run_state, self._save_late):
            self.add_callback(callback)
        try:
            return super().train(resume_from_checkpoint=str(checkpoint) if checkpoint else None, **kwargs)
        finally:
            for callback in (self._run_state, self._save_late):
                self.remove_callback(callback)

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Log; the mean loss of the whole run counts the steps before a resume too."""
        if "train_loss" in logs:
            logs["train_loss"] = self._total_loss_scalar / max(self.state.global_step, 1)
        super().log(logs, *args, **kwargs)

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Write TRL's model card, but not once more for every checkpoint."""
        if self._staging is None:
            super().create_model_card(*args, **kwargs)

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        # transformers would take one more step before it notices that a resumed run has none left
        if self.state.global_step >= self.state.max_steps:
            self.control.should_training_stop = True
        else:
            super()._run_epoch(*args, **kwargs)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        if not self.is_fsdp_enabled:  # there all parameters are in one checkpoint of shards
            private.load_trained_adapter(self.model if model is None else model, Path(resume_from_checkpoint))

    def _get_grad_norm(self, *args: Any, **kwargs: Any) -> Any:
        self.last_grad_norm = super()._get_grad_norm(*args, **kwargs)
        return self.last_grad_norm

    def _determine_best_metric(self, *args: Any, **kwargs: Any) -> bool:
        # with `save_strategy: best` this decides about saving; a checkpoint that waits is written in any case
        return bool(super()._determine_best_metric(*args, **kwargs)) or self._save_late.waiting

    def _get_output_dir(self, trial: Any) -> str:
        return str(self._staging or self.run.checkpoints)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        staging = self.run.checkpoints / STAGING
        staged = staging / f"checkpoint-{self.state.global_step}"
        if self.args.should_save:
            shutil.rmtree(staging, ignore_errors=True)
        self.ranks.wait()
        self._staging = staging
        try:
            self._on_every_rank(lambda: self._write(staged, model, trial))
            self._on_every_rank(lambda: self._seal(staged))
        finally:
            self._staging = None

    def _write(self, staged: Path, model: Any, trial: Any) -> None:
        """Write this rank's files. Rotation, the last thing that transformers does, finds one checkpoint here."""
        staged.mkdir(parents=True, exist_ok=True)
        super()._save_checkpoint(model, trial)
        self._run_state.save(staged)
        if self.state.best_model_checkpoint == str(staged):
            self.state.best_model_checkpoint = str(self.run.checkpoints / staged.name)
            if self.args.should_save:
                self.state.save_to_json(str(staged / "trainer_state.json"))

    def _seal(self, staged: Path) -> None:
        """Seal and move what all ranks have written; only then remove older checkpoints."""
        if not self.args.should_save:
            return
        metrics = self.run.metrics
        if metrics.exists():
            sync(metrics)
        size = metrics.stat().st_size if metrics.exists() else 0
        write_seal(staged, step=self.state.global_step, ranks=self.args.world_size, metrics_bytes=size)
        publish(staged, self.run.checkpoints)
        best = self.state.best_model_checkpoint
        rotate(self.run.checkpoints, self.args.save_total_limit, Path(best) if best else None)

    def _on_every_rank(self, action: Callable[[], None]) -> None:
        """Do one part of the saving; where it fails on any rank, remove what is there and raise on all."""
        failure: Exception | None = None
        try:
            action()
        except Exception as error:
            failure = error
        if not self.ranks.any(failure is not None):
            return
        written = 0
        if self.args.should_save and self._staging is not None:
            written = sum(sizes(self._staging).values())
            shutil.rmtree(self._staging, ignore_errors=True)
        self.ranks.wait()
        if failure is None:
            raise RunError(f"another rank could not write checkpoint-{self.state.global_step}")
        if write_failure(failure):
            needed = max(written, needed_bytes(self))
            raise explain(failure, self.state.global_step, needed, self.run) from failure
        raise failure

    def _published(self, checkpoint: Path) -> Path:
        """A checkpoint that was sealed, but not moved to its name when the run was killed, is moved now."""
        if checkpoint.parent.name != STAGING:
            return checkpoint
        if self.args.should_save:
            publish(checkpoint, self.run.checkpoints)
        self.ranks.wait()
        return self.run.checkpoints / checkpoint.name


class SaveLate(TrainerCallback):  # type: ignore[misc]
    """Writes the checkpoint of an epoch's last step after the epoch's evaluation and log event, not before.

    Otherwise a run that is killed in between goes on with the next epoch and never makes up for them. The same holds
    for the last step of a run that stops early.
    """

    def __init__(self) -> None:
        self.waiting = False

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Put a checkpoint off to the end of the epoch where that comes next."""
        if control.should_save and (control.should_training_stop or float(state.epoch).is_integer()):
            self.waiting, control.should_save = True, False

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Ask for the checkpoint that was put off."""
        control.should_save = control.should_save or self.waiting

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """It is written."""
        self.waiting = False
