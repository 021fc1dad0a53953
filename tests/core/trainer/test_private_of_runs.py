"""The private names that exact checkpoints rest on (`run/state.py`, `run/checkpoint.py`) still exist."""

import inspect

from transformers import Trainer
from trl import SFTTrainer
from trl.trainer.grpo_trainer import GRPOTrainer

from trainwright.run.state import PRIVATE, PRIVATE_OF_TRL


def test_what_is_saved_of_the_trainer_is_still_kept_there():
    source = inspect.getsource(Trainer)
    for name in PRIVATE:
        assert f"self.{name}" in source, name
    of_trl = inspect.getsource(SFTTrainer) + inspect.getsource(GRPOTrainer)
    for name in PRIVATE_OF_TRL:
        assert f"self.{name}" in of_trl, name


def test_what_is_overridden_is_still_called():
    source = inspect.getsource(Trainer)
    for call in ("self._save_checkpoint(model, trial)", "self._get_output_dir(", "self._determine_best_metric("):
        assert call in source, call
    assert "self._get_grad_norm(" in source
