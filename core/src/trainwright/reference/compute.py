"""The pass itself: a reference over the rows that an entry lacks, a shard every few seconds.

The model runs as it does in training, with its LM head replaced, so that logits never exist. A rank's log-probabilities
stay on the device until a shard is written: nothing in between waits for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from accelerate.utils import send_to_device
from numpy.typing import NDArray

from trainwright.errors import RunError
from trainwright.loss.handle import ModelHandle
from trainwright.loss.supervision import KEY, Supervision
from trainwright.reference.parts import Part, part_of
from trainwright.reference.progress import Progress
from trainwright.reference.shards import Shard

SHARD_SECONDS = 20.0
"""How much work a killed pass loses at most, about."""


class _Done(NamedTuple):
    rows: NDArray[np.int64]
    lengths: torch.Tensor  # (columns · rows,), on the host
    logps: torch.Tensor  # (tokens,)


def compute(
    model: Any,
    device: torch.device,
    loader: Iterator[dict[str, Any]],
    batches: list[NDArray[np.int64]],
    counted: int,
    *,
    part: Part,
    kind: str,
    write: Callable[[Shard], None],
    progress: Progress,
) -> None:
    """Compute one part of some batches, and write them as shards.

    Args:
        model: The reference, ready to run.
        device: Where it is.
        loader: The collated batches, with their supervision.
        batches: The rows of each.
        counted: How many of them are kept; the others are run because all ranks have to.
        part: What is computed of a batch.
        kind: What a batch holds.
        write: Takes a shard.
        progress: Is told of each batch.

    Raises:
        RunError: The reference gives a NaN or an infinite number.
    """
    pending: list[_Done] = []
    begun = time.monotonic()
    try:
        for index, (rows, batch) in enumerate(zip(batches, loader, strict=True)):
            done, tokens = _run(model, device, batch, rows, part, kind)
            if index >= counted:
                continue
            pending.append(done)
            progress.advance(len(rows), tokens)
            if time.monotonic() - begun >= SHARD_SECONDS:
                _flush(pending, part, write)
                begun = time.monotonic()
    except KeyboardInterrupt:
        _flush(pending, part, write)
        raise
    _flush(pending, part, write)


def _run(
    model: Any, device: torch.device, batch: dict[str, Any], rows: NDArray[np.int64], part: Part, kind: str
) -> tuple[_Done, int]:
    inputs, supervision = part_of(part.name, kind, batch, Supervision.unpack(batch.pop(KEY)))
    moved = send_to_device(inputs, device, non_blocking=True)
    there = Supervision.unpack(send_to_device(supervision.pack(), device, non_blocking=True))
    handle = ModelHandle(model, moved, there, name="reference")
    return _Done(rows, supervision.lengths, handle.token_logps().logps), supervision.tokens


def _flush(pending: list[_Done], part: Part, write: Callable[[Shard], None]) -> None:
    """Write what is pending as one shard; here the host waits for the device."""
    if pending:
        shards = [_by_row(done, len(part.columns)) for done in pending]
        merged = Shard(*(np.concatenate(arrays) for arrays in zip(*map(_fields, shards), strict=True)))
        _refuse_nonfinite(merged, part)
        write(merged)
        pending.clear()


def _fields(shard: Shard) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    return shard.rows, shard.lengths, shard.logps


def _by_row(done: _Done, columns: int) -> Shard:
    """From column after column, as in a batch, to row after row, as in a table."""
    lengths = done.lengths.view(columns, -1)
    pieces = torch.split(done.logps.cpu(), done.lengths.tolist())
    count = lengths.shape[1]
    ordered = [pieces[column * count + row] for row in range(count) for column in range(columns)]
    return Shard(done.rows, lengths.T.numpy(), torch.cat(ordered).numpy())


def _refuse_nonfinite(shard: Shard, part: Part) -> None:
    wrong = np.flatnonzero(~np.isfinite(shard.logps))
    if wrong.size:
        place = int(np.searchsorted(shard.lengths.cumsum(), wrong[0], side="right"))
        row, column = divmod(place, len(part.columns))
        raise RunError(
            f"the reference gives a log-probability of {shard.logps[wrong[0]]} for row {shard.rows[row]} "
            f"({part.columns[column]})",
            where="reference",
            remedy="Its weights are damaged, or its numbers overflow: `dtype: bfloat16` or `float32` hold larger ones.",
        )
