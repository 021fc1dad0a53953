"""The finished table of a cache entry: every row's log-probabilities, mapped from disk and read row by row.

key.json       what the key is made of, for people
logps.npy      log-probabilities of all supervised tokens, row by row and column by column, `(tokens,)`
lengths.npy    tokens of each row and column, int64 `(rows, columns)`
seal.json      key, columns, rows, sizes and checksums; written last
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from trainwright.reference.shards import OTHER_KEY, FlawError, Floats, Shard
from trainwright.run.files import write_json, write_whole

FORMAT = 1
SEAL = "seal.json"
_FILES = ("logps.npy", "lengths.npy")
_BLOCK = 1 << 24


class Table:
    """Log-probabilities by row. It can be pickled; the other process maps the file again.

    Args:
        folder: An entry's folder; `check_table` tells whether it is sound.
        columns: Names of the columns.
    """

    def __init__(self, folder: Path, columns: Sequence[str]) -> None:
        self.folder = folder
        self.columns = tuple(columns)
        self._lengths, self._logps = _read(folder)
        self._ends = self._lengths.cumsum().reshape(self._lengths.shape)

    def __len__(self) -> int:
        return len(self._lengths)

    def logps(self, row: int, column: str) -> Floats:  # (tokens,)
        """The log-probabilities of a row's sequence."""
        at = row, self.columns.index(column)
        end = self._ends[at]
        return self._logps[end - self._lengths[at] : end]

    def __reduce__(self) -> tuple[Any, ...]:
        return Table, (self.folder, self.columns)


def write_table(
    folder: Path, key: str, columns: Sequence[str], rows: int, shards: Callable[[], Iterator[Shard]]
) -> None:
    """Make the table of an entry whose shards hold every row.

    Args:
        folder: The entry's folder.
        key: Its key.
        columns: Names of the columns.
        rows: The number of rows.
        shards: Reads the shards; it is called twice, so that the whole need not be in memory.
    """
    lengths, dtype = np.zeros((rows, len(columns)), dtype=np.int64), np.dtype(np.float32)
    for shard in shards():
        lengths[shard.rows], dtype = shard.lengths, shard.logps.dtype
    write_whole(folder / "logps.npy", lambda file: _write_logps(file, lengths.sum(1), dtype, shards()))
    write_whole(folder / "lengths.npy", lambda file: np.save(file, lengths))
    files = {name: _fingerprint(folder / name) for name in _FILES}
    write_json(folder / SEAL, {"format": FORMAT, "key": key, "columns": list(columns), "rows": rows, "files": files})


def _write_logps(file: IO[bytes], tokens: NDArray[np.int64], dtype: np.dtype[Any], shards: Iterator[Shard]) -> None:
    """An `.npy` file filled in the order of the shards."""
    ends = tokens.cumsum()
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (int(tokens.sum()),)}
    np.lib.format.write_array_header_1_0(file, header)
    start = file.tell()
    for shard in shards:
        parts = np.split(shard.logps, shard.lengths.sum(1).cumsum()[:-1])
        for row, part in zip(shard.rows, parts, strict=True):
            file.seek(start + int(ends[row] - tokens[row]) * dtype.itemsize)
            file.write(part.astype(dtype, copy=False).tobytes())


def check_table(folder: Path, key: str, columns: Sequence[str], rows: int) -> None:
    """Check a finished table, its contents included.

    Raises:
        FileNotFoundError: There is none.
        FlawError: It cannot be used.
    """
    seal = _read_seal(folder / SEAL)
    if seal["key"] != key:
        raise FlawError(OTHER_KEY)
    if (seal["columns"], seal["rows"]) != (list(columns), rows):
        raise FlawError("it is of other rows or columns")
    for name in _FILES:
        if not (folder / name).is_file() or _fingerprint(folder / name) != seal["files"][name]:
            raise FlawError(f"{name} is missing, cut off or altered")
    lengths, logps = _read(folder)
    Shard(np.arange(rows), lengths, logps).check(rows, len(columns))


def _read(folder: Path) -> tuple[NDArray[np.int64], Floats]:
    lengths = np.load(folder / "lengths.npy", allow_pickle=False)
    mode: Any = "r" if lengths.sum() else None  # nothing can be mapped of an empty array
    return lengths, np.load(folder / "logps.npy", mmap_mode=mode, allow_pickle=False)


def _read_seal(path: Path) -> dict[str, Any]:
    try:
        seal: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        written, whole = seal["format"], seal.keys() >= {"key", "columns", "rows"} and set(seal["files"]) == set(_FILES)
    except FileNotFoundError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FlawError(f"its seal cannot be read ({type(error).__name__})") from error
    if written != FORMAT or not whole:
        raise FlawError(f"its seal is not of format {FORMAT}")
    return seal


def _fingerprint(path: Path) -> dict[str, int]:
    """Size and CRC-32 of a file."""
    crc = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            crc = zlib.crc32(block, crc)
    return {"bytes": path.stat().st_size, "crc32": crc}
