"""Preference rows that can be trained on and had better not be: empty, equal and cut off answers, counted and told.

In local files the first two are errors with their lines (`data.values`); what a hub data set holds is seen here only.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trainwright.data.values import is_empty_answer

if TYPE_CHECKING:
    from datasets import Dataset

_log = logging.getLogger(__name__)
_BATCH = 1000
_WRITTEN = ("completion", "chosen", "rejected")
_TOKENISED = ("completion_ids", "chosen_ids", "rejected_ids")


def tell_odd_rows(before: Dataset, after: Dataset, key: str, max_length: int | None) -> None:
    """Warn of such rows, one line for each kind.

    Args:
        before: The data as they were loaded.
        after: The data with `prompt_ids` and `completion_ids`, or `chosen_ids` and `rejected_ids`.
        key: The dotted key of the data.
        max_length: Tokens that a row is cut to; None: none is.
    """
    for message in (*_written(before), *(_cut(after, max_length) if max_length is not None else ())):
        _log.warning("%s: %s", key, message)


def cut_answers(row: Mapping[str, Any], max_length: int | None) -> int:
    """How many answers of a tokenised row exceed `max_length` tokens with their prompt."""
    answers = [row[name] for name in _TOKENISED if name in row]
    return sum(max_length is not None and len(row["prompt_ids"]) + len(answer) > max_length for answer in answers)


def _written(data: Dataset) -> Iterator[str]:
    names = [name for name in _WRITTEN if name in data.column_names]
    empty = equal = 0
    for batch in data.select_columns(names).iter(_BATCH):
        empty += sum(is_empty_answer(answer) for name in names for answer in batch[name])
        if "rejected" in names:
            equal += sum(map(_equal, batch["chosen"], batch["rejected"]))
    if empty:
        yield f"{empty} of {len(data) * len(names)} answers are empty: all there is to learn of them is to say nothing"
    if equal:
        yield f"the answers of {equal} of {len(data)} pairs are equal: neither can be preferred"


def _equal(chosen: Any, rejected: Any) -> bool:
    return bool(chosen == rejected)


def _cut(data: Dataset, max_length: int) -> Iterator[str]:
    names = [name for name in _TOKENISED if name in data.column_names]
    cut = same = 0
    for table in data.select_columns(["prompt_ids", *names]).with_format("arrow").iter(_BATCH):
        room = max_length - _lengths(table, "prompt_ids")  # (n,)
        too_long = [_lengths(table, name) > room for name in names]
        cut += int(np.sum(too_long))
        if "rejected_ids" in names:
            same += sum(
                _same_start(table, int(row), int(room[row])) for row in np.flatnonzero(np.any(too_long, axis=0))
            )
    if cut:
        total = len(data) * len(names)
        yield f"{cut} of {total} answers are cut off: with their prompt they exceed max_length={max_length} tokens"
    if same:
        yield f"of {same} of {len(data)} pairs the answers are equal as far as they are kept: neither can be preferred"


def _lengths(table: Any, name: str) -> NDArray[np.int64]:  # (n,)
    from pyarrow import compute  # type: ignore[import-untyped]

    return np.asarray(compute.list_value_length(table.column(name)).to_numpy(), dtype=np.int64)


def _same_start(table: Any, row: int, room: int) -> bool:
    """Whether a pair's answers are one as far as they fit."""
    chosen, rejected = (table.column(name)[row].as_py()[: max(room, 0)] for name in ("chosen_ids", "rejected_ids"))
    return bool(chosen == rejected)
