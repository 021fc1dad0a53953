"""Rows that TRL leaves out of preference data, and answers that it cuts: counted, told, never silent.

Of a data set they are known when it is prepared (cut answers: `data.odd_rows`). Of a stream they are counted as it is
read, of rows with images as they are collated (`cut_rows`), and told when there are ten times as many as when they were
last told of, and at the end.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from trainwright.data.odd_rows import cut_answers
from trainwright.errors import DataError
from trainwright.run.files import main_process

_log = logging.getLogger(__name__)
TRAIN = "data.train"


def _why(max_length: int | None) -> str:
    return f"their prompt alone has max_length={max_length} tokens or more"


def report_dropped(before: Any, after: Any, key: str, max_length: int | None, *, sequences: int = 1) -> None:
    """Say how many rows of a data set TRL has left out; of streams see `LeftOut`.

    Args:
        before: The data as TRL was given them, no stream.
        after: The data as TRL has prepared them.
        key: The dotted key of the data.
        max_length: Tokens of a row at most.
        sequences: Rows that TRL makes of each.

    Raises:
        DataError: No row is left.
    """
    rows = len(before) * sequences
    if not len(after):
        raise _none_left(rows, key, max_length)
    if len(after) < rows and main_process():
        _log.warning("%s: %d of %d rows are left out: %s", key, rows - len(after), rows, _why(max_length))


def _none_left(rows: int, key: str, max_length: int | None) -> DataError:
    return DataError(f"no row of {rows} is left: {_why(max_length)}", where=key, remedy="raise `training.max_length`")


class LeftOut:
    """Counts the rows of a stream that TRL's filter leaves out, and the answers of others that are cut.

    What the data loader's workers see counts too.

    Args:
        key: The dotted key of the data.
        max_length: Tokens of a row at most.
    """

    def __init__(self, key: str, max_length: int | None) -> None:
        self.key = key
        self._max_length = max_length
        self._counts = torch.zeros(4, dtype=torch.int64)  # rows left out, rows kept, answers cut, of those: to nothing
        self._counts.share_memory_()  # type: ignore[no-untyped-call]
        self._told = {"left out": 0, "cut": 0}

    def around(self, keeps: Callable[[Any], bool]) -> Callable[[Any], bool]:
        """A filter's function that counts what it answers."""
        return partial(self._keeps, keeps)

    def _keeps(self, keeps: Callable[[Any], bool], row: Any) -> bool:
        kept = bool(keeps(row))
        self._counts[int(kept)] += 1
        if kept:
            self._counts[2] += cut_answers(row, self._max_length)
        return kept

    def add_cut(self, rows: int, cut: int, to_nothing: int) -> None:
        """Count rows that are kept, their answers that are cut, and those of these of which no token is left."""
        self._counts[1:] += torch.tensor([rows, cut, to_nothing])

    def tell(self, accelerator: Any, *, final: bool) -> None:
        """Say how many rows were left out and answers cut so far, on all ranks together; every rank has to ask.

        Raises:
            DataError: The stream that was to be trained on has ended, and none was kept.
        """
        counts = accelerator.reduce(self._counts.to(accelerator.device), reduction="sum")
        left_out, kept, cut, to_nothing = counts.tolist()
        if final and left_out and not kept and self.key == TRAIN:
            raise _none_left(left_out, self.key, self._max_length)
        if self._is_news("left out", left_out, final):
            read, why = left_out + kept, _why(self._max_length)
            _log.warning("%s: %d of %d rows read are left out: %s", self.key, left_out, read, why)
        if self._is_news("cut", cut, final):
            why = f"with their prompt they exceed max_length={self._max_length} tokens"
            gone = f"; of {to_nothing} nothing is left" if to_nothing else ""
            _log.warning("%s: %d answers of %d rows read are cut off: %s%s", self.key, cut, kept, why, gone)

    def _is_news(self, what: str, number: int, final: bool) -> bool:
        """Whether this rank is to tell of a number, which then counts as told."""
        told = self._told[what]
        news = number >= 10 * told + 1 or (final and number > told)
        self._told[what] = number if news else told
        return news and main_process()


def tell_left_out(streams: Sequence[LeftOut], accelerator: Any, *, final: bool) -> None:
    """`tell` of each stream."""
    for each in streams:
        each.tell(accelerator, final=final)
