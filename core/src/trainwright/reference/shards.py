"""Shards: log-probabilities of some rows on disk while the others are still being computed; whole or not used.

A shard is written under another name, brought to the disk and renamed. One that does not bear its entry's key, is cut
off, was altered, or holds a number that is not finite has a `FlawError`.
"""

from __future__ import annotations

import io
import uuid
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainwright.run.files import write_whole

OTHER_KEY = "it was computed with another model, other data or other settings"
Floats = NDArray[np.floating[Any]]


class FlawError(ValueError):
    """Why a file of the cache is not used."""


@dataclass(frozen=True)
class Shard:
    """The log-probabilities of some rows.

    Attributes:
        rows: Row numbers, `(n,)`.
        lengths: Tokens of each row and column, `(n, columns)`.
        logps: All of them, row by row and column by column, `(tokens,)`.
    """

    rows: NDArray[np.int64]
    lengths: NDArray[np.int64]
    logps: Floats

    def check(self, rows: int, columns: int) -> None:
        """Compare what is here with the number of rows and columns of the whole.

        Raises:
            FlawError: It cannot be right.
        """
        inside = self.rows.ndim == 1 and not ((self.rows < 0) | (self.rows >= rows)).any()
        if not inside or self.lengths.shape != (len(self.rows), columns):
            raise FlawError("it holds rows that the data do not have")
        if (self.lengths < 0).any() or self.logps.shape != (int(self.lengths.sum()),):
            raise FlawError("its lengths and its log-probabilities disagree")
        if not np.isfinite(self.logps).all():
            raise FlawError("it holds a NaN or an infinite log-probability")


def write_shard(folder: Path, key: str, shard: Shard) -> None:
    """Add a shard to the entry in `folder`, whose key is `key`."""
    header = np.frombuffer(key.encode(), dtype=np.uint8)
    write_whole(
        folder / f"shard-{uuid.uuid4().hex}.npz",
        lambda file: np.savez(file, key=header, rows=shard.rows, lengths=shard.lengths, logps=shard.logps),
    )


def shard_files(folder: Path) -> list[Path]:
    """An entry's shards, whole or not."""
    return sorted(folder.glob("shard-*.npz"))


def read_shard(file: Path, key: str, rows: int, columns: int) -> Shard:
    """Read and check a shard.

    Args:
        file: The shard.
        key: The key of the entry that it belongs to.
        rows: The number of rows of the whole entry.
        columns: The number of its columns.

    Raises:
        FlawError: It cannot be used.
    """
    try:
        with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as arrays:  # compares each array's CRC
            written = arrays["key"].tobytes().decode()
            shard = Shard(arrays["rows"], arrays["lengths"], arrays["logps"])
    except (OSError, ValueError, KeyError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise FlawError(f"it is cut off or altered ({type(error).__name__})") from error
    if written != key:
        raise FlawError(OTHER_KEY)
    shard.check(rows, columns)
    return shard
