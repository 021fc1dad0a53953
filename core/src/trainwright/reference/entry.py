"""An entry of the cache: one data set's log-probabilities under one reference, and what they depend on.

    CACHE/reference/KEY/       shards, then the table; the name is the beginning of the key
    CACHE/reference/KEY.lock   held by the process that computes it; the system frees it when that process dies

The key is the SHA-256 of everything that the numbers depend on, so whatever changes, another entry is sought.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from trainwright.config.fields import cache_folder
from trainwright.errors import RunError
from trainwright.reference.shards import OTHER_KEY, FlawError, Shard, read_shard, shard_files, write_shard
from trainwright.reference.table import SEAL, Table, check_table, write_table
from trainwright.run.disk import cause
from trainwright.run.files import write_json

_log = logging.getLogger(__name__)
_SHORT = 32  # hexadecimal digits of the key in a folder's name


class Entry:
    """One entry.

    Args:
        depends_on: Everything that the log-probabilities depend on, as JSON values.
        columns: Names of the columns.
        rows: The number of rows of the data.
        cache: Where entries are kept; default the user's cache.

    Attributes:
        key: Its key.
        folder: Where it is.
    """

    def __init__(
        self, depends_on: Mapping[str, Any], columns: Sequence[str], rows: int, cache: Path | None = None
    ) -> None:
        self._text = json.dumps(
            {**depends_on, "columns": list(columns), "rows": rows}, sort_keys=True, indent=2, ensure_ascii=False
        )
        self.columns, self.rows = tuple(columns), rows
        self.key = hashlib.sha256(self._text.encode()).hexdigest()
        self.folder = (cache or cache_folder()) / "reference" / self.key[:_SHORT]
        self._lock = FileLock(self.folder.with_suffix(".lock"))

    def acquire(self, seconds: float) -> bool:
        """Whether the entry is this process's now, or becomes so within that time.

        Raises:
            RunError: The cache cannot be written, or its file system knows no locks.
        """
        with _cache_errors(self.folder.parent):
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.acquire(timeout=seconds)
            except Timeout:
                return False
        return True

    def release(self) -> None:
        """Let another process have the entry; no error where it is not this process's."""
        self._lock.release()

    def is_whole(self) -> bool:
        """Whether the table is there and sound; what is not sound is removed, with a warning."""
        try:
            with _cache_errors(self.folder.parent, but=FileNotFoundError):
                self._check_header()
                check_table(self.folder, self.key, self.columns, self.rows)
        except FileNotFoundError:
            return False
        except FlawError as flaw:
            _log.warning("%s is not used, and computed again: %s", self.folder, flaw)
            with _cache_errors(self.folder.parent):
                shutil.rmtree(self.folder)
            return False
        return True

    def _check_header(self) -> None:
        header = self.folder / "key.json"
        if header.read_text(encoding="utf-8", errors="replace").strip() != self._text:
            raise FlawError(OTHER_KEY)

    def begin(self) -> NDArray[np.int64]:
        """Remove what is of no use, and return the rows that are missing, ascending. Needs the lock."""
        with _cache_errors(self.folder.parent):
            self.folder.mkdir(parents=True, exist_ok=True)
            for draft in self.folder.glob("*.tmp-*"):
                draft.unlink()
            write_json(self.folder / "key.json", json.loads(self._text))
        missing = np.ones(self.rows, dtype=bool)
        for file in shard_files(self.folder):
            try:
                missing[read_shard(file, self.key, self.rows, len(self.columns)).rows] = False
            except FlawError as flaw:
                _log.warning("%s is not used, and its rows are computed again: %s", file, flaw)
                with _cache_errors(self.folder.parent):
                    file.unlink()
        return np.flatnonzero(missing)

    def add(self, shard: Shard) -> None:
        """Keep the log-probabilities of some rows.

        Raises:
            RunError: They cannot be written.
        """
        with _cache_errors(self.folder.parent):
            write_shard(self.folder, self.key, shard)

    def finish(self) -> None:
        """Make the table of the shards, and remove them. Needs the lock."""
        with _cache_errors(self.folder.parent):
            write_table(self.folder, self.key, self.columns, self.rows, self._shards)
            for file in shard_files(self.folder):
                file.unlink()

    def _shards(self) -> Iterator[Shard]:
        for file in shard_files(self.folder):
            yield read_shard(file, self.key, self.rows, len(self.columns))

    def table(self) -> Table:
        """The finished table.

        Raises:
            RunError: This process does not see it.
        """
        if not (self.folder / SEAL).is_file():
            raise RunError(
                f"{self.folder} is not there on this machine: ranks share one cache of reference log-probabilities",
                remedy="Set TRAINWRIGHT_CACHE to a folder that all machines of the run share.",
            )
        return Table(self.folder, self.columns)


@contextmanager
def _cache_errors(folder: Path, but: type[OSError] | tuple[()] = ()) -> Iterator[None]:
    """Within it, what the system refuses becomes an error for the user; `but` passes as it is."""
    remedy = "Make room, or set TRAINWRIGHT_CACHE to another folder."
    try:
        yield
    except but:
        raise
    except NotImplementedError as error:  # from filelock
        raise RunError(f"the file system of {folder} knows no locks", remedy=remedy) from error
    except OSError as error:
        raise RunError(
            f"reference log-probabilities cannot be kept in {folder}: {cause(error)}", remedy=remedy
        ) from error
