"""A server's tasks as a data set: two numbers a row, everything else is made when a row is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trainwright_ors.ahead import Ahead
from trainwright_ors.rollout import TaskKey
from trainwright_ors.sources import Source

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from numpy.typing import NDArray


@dataclass
class ReadRows:
    """Makes the columns of rows that are read, and has the sessions of a batch opened.

    A trainer reads a batch before it generates, and (with a data loader that looks ahead) while the one before trains.
    It may read the same batch several times over; only the first of these counts.

    Attributes:
        sources: The splits, by number.
        system: A system message; None for none.
        ahead: Opens sessions.
    """

    sources: Sequence[Source]
    system: str | None
    ahead: Ahead | None
    _last: list[TaskKey] = field(default_factory=list, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_last": []}

    def __call__(self, batch: Mapping[str, Sequence[int]]) -> dict[str, list[Any]]:
        """The columns of a batch of `source` and `index`: `prompt`, and those of `task_columns`."""
        pairs = zip(batch["source"], batch["index"], strict=True)
        keys = [self.sources[int(source)].key(int(index)) for source, index in pairs]
        self._open_ahead(keys)
        columns = task_columns(keys, listed=any(source.listed is not None for source in self.sources))
        return {"prompt": [self._prompt() for _ in keys], **columns}

    def _prompt(self) -> list[dict[str, str]]:
        """What `reset` adds the task's prompt to."""
        system = [] if self.system is None else [{"role": "system", "content": self.system}]
        return [*system, {"role": "user", "content": ""}]

    def _open_ahead(self, keys: list[TaskKey]) -> None:
        if self.ahead is None or len(keys) < 2 or keys == self._last or _in_worker():
            return
        self._last = keys
        self.ahead.want(keys, now=False)


def task_columns(keys: Sequence[TaskKey], *, listed: bool) -> dict[str, list[Any]]:
    """Tasks as columns of a data set: `environment`, `task_split`, `task_index`; `task_json` if `listed`."""
    columns: dict[str, list[Any]] = {
        "environment": [key.environment for key in keys],
        "task_split": [key.split for key in keys],
        "task_index": [key.index for key in keys],
    }
    return columns | ({"task_json": [key.task for key in keys]} if listed else {})


def task_key(row: Mapping[str, Any], environment: str = "") -> TaskKey:
    """The task of a row; `environment` is that of rows without such a column."""
    name = row.get("environment", environment)
    return TaskKey(name, row["task_split"], row["task_index"], row.get("task_json"))


def task_keys(columns: Mapping[str, Sequence[Any]]) -> list[TaskKey]:
    """The tasks of columns, see `task_columns`."""
    names = [name for name in ("environment", "task_split", "task_index", "task_json") if name in columns]
    rows = zip(*(columns[name] for name in names), strict=True)
    return [task_key(dict(zip(names, row, strict=True))) for row in rows]


def _in_worker() -> bool:
    """Whether this is a process of a data loader, whose sessions nobody could take."""
    from torch.utils.data import get_worker_info

    return get_worker_info() is not None


def make_dataset(source: NDArray[np.uint16], index: NDArray[np.int64], read: ReadRows) -> Dataset:
    """The data set.

    Args:
        source: The number of each row's source. (n)
        index: The index of each row's task in its split. (n)
        read: Makes the columns.
    """
    import pyarrow as pa  # type: ignore[import-untyped]
    from datasets import Dataset

    rows = Dataset(pa.table({"source": source, "index": index}))
    rows.set_transform(read)
    return rows
