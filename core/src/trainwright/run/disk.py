"""Failed writes: which errors mean that the disk would not take it, and what to tell the user."""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from trainwright.errors import RunError
from trainwright.run.files import human
from trainwright.run.folder import RunFolder
from trainwright.run.seal import last_sealed, read_seal, step_of

_CAUSES = {
    errno.ENOSPC: "no space is left on the disk",
    getattr(errno, "EDQUOT", -1): "the disk quota is used up",
    errno.EFBIG: "a file would get larger than the system allows",
}
_RUST_ERROR = re.compile(r"\(os error (\d+)\)")  # safetensors, tokenizers
_TORCH_WRITER = re.compile(r"PytorchStreamWriter|inline_container|unexpected pos|file write failed")


def write_failure(error: BaseException) -> bool:
    """Whether an error came from writing a file.

    The system's errors are `OSError`s. Rust's (safetensors, tokenizers) and C++'s (torch's zip writer) are exceptions
    of their own that only their text tells apart.
    """
    return any(
        isinstance(part, OSError)
        or _RUST_ERROR.search(str(part)) is not None
        or (isinstance(part, RuntimeError) and _TORCH_WRITER.search(str(part)) is not None)
        for part in _chain(error)
    )


def cause(error: BaseException) -> str:
    """Why a file could not be written, as far as the error tells."""
    for part in _chain(error):
        rust = _RUST_ERROR.search(str(part))
        number = part.errno if isinstance(part, OSError) else int(rust[1]) if rust else None
        if number in _CAUSES:
            return _CAUSES[number]
    if any(_TORCH_WRITER.search(str(part)) for part in _chain(error)):
        return "torch could not write on, as happens on a full disk"
    return f"{type(error).__name__}: {error}"


@contextmanager
def writing(what: str, folder: RunFolder) -> Iterator[None]:
    """Within it, a failed write becomes an error for the user.

    Args:
        what: What is being written.
        folder: The run's folder.

    Raises:
        RunError: `what` could not be written.
    """
    try:
        yield
    except Exception as error:
        if not write_failure(error):
            raise
        free = human(shutil.disk_usage(folder.path).free)
        remedy = f"Make room, then continue with `{folder.resume_command}`."
        raise RunError(f"{what} could not be written: {cause(error)} ({free} free)", remedy=remedy) from error


def explain(error: BaseException, step: int, needed: int, folder: RunFolder) -> RunError:
    """The error that a user gets when a checkpoint could not be written.

    Args:
        error: What the writer raised.
        step: The checkpoint's step.
        needed: Bytes that a checkpoint takes, about.
        folder: The run's folder; the half-written checkpoint is gone already.
    """
    free = shutil.disk_usage(folder.path).free
    space = f"{human(free)} free, about {human(needed)} needed"
    if free < needed:
        space += f", {human(needed - free)} missing"
    last = last_sealed(folder.checkpoints)
    kept = f"the last good one is {last}" if last else "there is no earlier one"
    message = f"checkpoint-{step} could not be written: {cause(error)} ({space}); its remains are removed, {kept}"
    again = f"goes on from step {step_of(last)}" if last else "starts the run again"
    remedy = f"Make room (`training.save_total_limit` keeps fewer checkpoints), then `{folder.resume_command}` {again}."
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
