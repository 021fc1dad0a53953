"""A disk that is full while a checkpoint is written: one clear message, and the last good checkpoint stays."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from trainwright.errors import RunError
from trainwright.run.disk import cause, explain, write_failure, writing
from trainwright.run.folder import RunFolder
from trainwright.run.seal import last_sealed

# The system refuses files beyond a size. Writers and what they make of it, in the order in which files get larger.
LIMITS = {
    "json by Python": (True, 300),
    "weights by safetensors": (True, 5_000),
    "tokenizer.json by tokenizers": (True, 13_000),
    "optimizer by torch": (True, 30_000),
    "all weights by safetensors": (False, 60_000),
}


@pytest.mark.parametrize("writer", LIMITS)
def test_a_failed_write_leaves_the_last_good_checkpoint(writer: str, launch: Any, tmp_path: Path) -> None:
    lora, size = LIMITS[writer]
    output = tmp_path / "run"
    answer = launch(output, lora=lora, file_limit={"step": 6, "size": size})
    assert answer["code"] == 1, answer["text"]
    assert "checkpoint-6 could not be written" in answer["text"]
    assert f"the last good one is {output}/checkpoints/checkpoint-3" in answer["text"]
    assert f"`trainwright resume {output}` goes on from step 3" in answer["text"]
    assert [path.name for path in (output / "checkpoints").iterdir()] == ["checkpoint-3"]
    assert last_sealed(output / "checkpoints") == output / "checkpoints" / "checkpoint-3"


def test_the_first_checkpoint_may_be_the_one_that_fails(launch: Any, tmp_path: Path) -> None:
    answer = launch(tmp_path / "run", lora=True, file_limit={"step": 3, "size": 5_000})
    assert answer["code"] == 1, answer["text"]
    assert "there is no earlier one" in answer["text"]
    assert "starts the run again" in answer["text"]
    assert list((tmp_path / "run/checkpoints").iterdir()) == []


def test_an_error_that_is_no_failed_write_is_no_message_about_the_disk(launch: Any, tmp_path: Path) -> None:
    answer = launch(tmp_path / "run", lora=True, save_fault="a bug")
    assert answer["code"] == 3, answer["text"]
    assert "ZeroDivisionError" in answer["text"]
    assert list((tmp_path / "run/checkpoints").iterdir()) == []


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "no space is left on the disk"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "the disk quota is used up"),
        (Exception("No space left on device (os error 28)"), "no space is left on the disk"),
        (
            RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0"),
            "torch could not write on",
        ),
        (PermissionError(errno.EACCES, "Permission denied"), "PermissionError"),
    ],
)
def test_failed_writes_are_recognised(error: Exception, said: str) -> None:
    assert write_failure(error)
    assert said in cause(error)


def test_failed_writes_are_recognised_below_other_errors() -> None:
    error = ValueError("saving failed")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert write_failure(error)
    assert cause(error) == "no space is left on the disk"


@pytest.mark.parametrize("error", [RuntimeError("CUDA out of memory"), KeyError("x"), ZeroDivisionError()])
def test_other_errors_are_not(error: Exception) -> None:
    assert not write_failure(error)


def test_the_message_says_how_much_is_missing(tmp_path: Path) -> None:
    run = RunFolder.claim(tmp_path / "run", "")
    error = explain(OSError(errno.ENOSPC, ""), 20, 2**60, run)
    assert "about 1048576.0 TiB needed" in str(error)
    assert "missing" in str(error)


def test_writing_turns_failed_writes_alone_into_messages(tmp_path: Path) -> None:
    run = RunFolder.claim(tmp_path / "run", "")
    with pytest.raises(RunError, match="the model could not be written: no space is left"), writing("the model", run):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(KeyError), writing("the model", run):
        raise KeyError("x")
