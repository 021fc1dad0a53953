"""NaN in the loss or in the gradient ends the run, and says since when."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from trainwright.errors import RunError
from trainwright.run.folder import RunFolder
from trainwright.run.nonfinite import StopOnNonFinite
from trainwright.run.ranks import Ranks


@pytest.mark.parametrize(("fault", "name"), [("nan_at", "loss"), ("nan_gradient_at", "gradient norm")])
def test_the_message_names_the_step_and_the_last_good_checkpoint(
    fault: str, name: str, launch: Any, tmp_path: Path
) -> None:
    answer = launch(tmp_path / "run", lora=True, training={"logging_steps": 8}, **{fault: 5})
    assert answer["code"] == 1, answer["text"]
    assert f"the {name} became NaN or infinite at step 5" in answer["text"]
    assert "the last good checkpoint is" in answer["text"]
    assert [path.name for path in (tmp_path / "run/checkpoints").iterdir()] == ["checkpoint-3"]


def test_a_run_that_saves_and_logs_nothing_stops_at_the_end_of_the_epoch(launch: Any, tmp_path: Path) -> None:
    training = {"logging_strategy": "no", "save_strategy": "no"}
    answer = launch(tmp_path / "run", lora=True, training=training, nan_at=2)
    assert answer["code"] == 1, answer["text"]
    assert "at step 2; no checkpoint was written before it" in answer["text"]


class Copies(TorchDispatchMode):
    """Counts copies of a scalar from the device to the host."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += "_local_scalar_dense" in str(func)
        return func(*args, **(kwargs or {}))


def watched(tmp_path: Path, loss: float, norm: float | None = 1.0, scaler: Any = None) -> Any:
    return SimpleNamespace(
        _tr_loss=torch.tensor(loss),
        last_grad_norm=None if norm is None else torch.tensor(norm),
        args=SimpleNamespace(device=torch.device("cpu")),
        accelerator=SimpleNamespace(scaler=scaler),
        ranks=Ranks(),
        run=RunFolder.claim(tmp_path / "run", ""),
    )


def flags(**wanted: bool) -> Any:
    return SimpleNamespace(**{"should_log": False, "should_save": False, "should_evaluate": False, **wanted})


def test_a_step_that_uses_nothing_copies_nothing_to_the_host(tmp_path: Path) -> None:
    stop = StopOnNonFinite(watched(tmp_path, float("nan")))
    with Copies() as copies:
        stop.on_step_end(None, SimpleNamespace(global_step=1), flags())
    assert copies.count == 0
    with pytest.raises(RunError), Copies() as copies:
        stop.on_step_end(None, SimpleNamespace(global_step=2), flags(should_log=True))
    assert copies.count > 0


@pytest.mark.parametrize("flag", ["should_log", "should_save", "should_evaluate"])
def test_it_looks_before_anything_is_done_with_the_result(flag: str, tmp_path: Path) -> None:
    trainer = watched(tmp_path, float("inf"))
    stop = StopOnNonFinite(trainer)
    stop.on_step_end(None, SimpleNamespace(global_step=3), flags())
    trainer._tr_loss = torch.tensor(0.0)
    with pytest.raises(RunError, match="step 3"):
        stop.on_step_end(None, SimpleNamespace(global_step=4), flags(**{flag: True}))


def test_a_gradient_scaler_may_skip_steps(tmp_path: Path) -> None:
    stop = StopOnNonFinite(watched(tmp_path, 1.0, norm=float("inf"), scaler=object()))
    stop.on_step_end(None, SimpleNamespace(global_step=1), flags(should_log=True))
