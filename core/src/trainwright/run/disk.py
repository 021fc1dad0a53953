"""Failed writes: which errors mean that the disk would not take it, and what to tell the user."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from typing import Any

from trainwright.errors import RunError
from trainwright.run.files import human
from trainwright.run.folder import RunFolder
from trainwright.run.seal import last_sealed, read_seal

_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG}
_FULL_TEXTS = ("No space left on device", "Disk quota exceeded", "File too large")
_WRITER_TEXTS = ("PytorchStreamWriter", "inline_container", "unexpected pos", "file write failed")


def write_failure(error: BaseException) -> bool:
    """Whether an error came from writing a file: the system's, safetensors' or torch's zip writer's.

    safetensors (Rust) and torch (C++) report a full disk by errors of their own, known by their text alone.
    """
    return any(_from_writing(part) for part in _chain(error))


def full(error: BaseException) -> bool:
    """Whether the disk, the quota or the file size limit was reached, as far as the error tells."""
    return any(
        (isinstance(part, OSError) and part.errno in _FULL) or any(text in str(part) for text in _FULL_TEXTS)
        for part in _chain(error)
    )


def explain(error: BaseException, step: int, needed: int, folder: RunFolder) -> RunError:
    """The error that a user gets when a checkpoint could not be written.

    Args:
        error: What the writer raised.
        step: The checkpoint's step.
        needed: Bytes that a checkpoint takes, about.
        folder: The run's folder; the half-written checkpoint is gone already.
    """
    free = shutil.disk_usage(folder.path).free
    space = f"{human(free)} free where it needs about {human(needed)}"
    if free < needed:
        space += f", {human(needed - free)} missing"
    cause = "the disk is full" if full(error) or free < needed else f"{type(error).__name__}: {error}"
    last = last_sealed(folder.checkpoints)
    kept = f"the last good one is {last}" if last else "there is no earlier one"
    message = f"checkpoint-{step} could not be written: {cause} ({space}). It was removed; {kept}"
    again = "starts the run again" if last is None else f"goes on from step {read_seal(last).step}"
    remedy = f"Make room (`training.save_total_limit` keeps fewer checkpoints); `{folder.resume_command}` {again}."
    return RunError(message, where=str(folder.checkpoints), remedy=remedy)


def needed_bytes(trainer: Any) -> int:
    """What a checkpoint takes: the last one's size or, before there is one, that of what will be saved."""
    last = last_sealed(trainer.run.checkpoints)
    if last is not None:
        return read_seal(last).bytes
    adapter = hasattr(trainer.model, "peft_config")
    parameters = [p for p in trainer.model.parameters() if p.requires_grad or not adapter]
    moments = [t for state in trainer.optimizer.state.values() for t in state.values() if hasattr(t, "numel")]
    return sum(tensor.numel() * tensor.element_size() for tensor in [*parameters, *moments])


def _chain(error: BaseException) -> Iterator[BaseException]:
    part: BaseException | None = error
    while part is not None:
        yield part
        part = part.__cause__ or part.__context__


def _from_writing(error: BaseException) -> bool:
    if isinstance(error, OSError) or type(error).__name__ == "SafetensorError":
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in (*_WRITER_TEXTS, *_FULL_TEXTS))
