"""Precomputed log-probabilities of a batch's rows, put into the batch by the collator, by each row's number."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainwright.data.around import AroundCollator
from trainwright.errors import RunError
from trainwright.loss.supervision import KEY, PRECOMPUTED, Supervision
from trainwright.reference.parts import MISMATCHED, Part
from trainwright.reference.table import Table

ROW = "trainwright_row"
"""The column of a row's number, counted over all data sets of the run."""


class Tables:
    """The tables of several data sets, read as one.

    Args:
        sets: For each data set, a table of each part that its batches have.
    """

    def __init__(self, sets: Sequence[Mapping[Part, Table]]) -> None:
        self._sets = [dict(tables) for tables in sets]
        self._starts = [0, *accumulate(len(next(iter(tables.values()))) for tables in sets)]

    def start(self, index: int) -> int:
        """The number of a data set's first row."""
        return self._starts[index]

    def sequences(self, rows: Sequence[int]) -> dict[Part, list[NDArray[Any]]]:
        """The log-probabilities of rows of one data set, part by part, a sequence each, as they stand in a batch."""
        index = bisect_right(self._starts, rows[0]) - 1
        local = [row - self._starts[index] for row in rows]
        return {
            part: [table.logps(row, column) for column in part.columns for row in local]
            for part, table in self._sets[index].items()
        }


class WithReference(AroundCollator):
    """A collator that adds what was precomputed to what another makes.

    Args:
        collate: A collator that adds the supervision.
        tables: The log-probabilities.
        native: Whether TRL's own loss reads them: as sums of sequences, under TRL's names.
    """

    def __init__(self, collate: Callable[[list[Any]], Any], tables: Tables, *, native: bool) -> None:
        super().__init__(collate)
        self._tables = tables
        self._native = native

    def __call__(self, examples: list[Any]) -> Any:
        """Collate, then add the log-probabilities."""
        rows = [int(example[ROW]) for example in examples]
        batch = self.collate([{key: value for key, value in each.items() if key != ROW} for each in examples])
        found = {}
        for part, sequences in self._tables.sequences(rows).items():
            _check_lengths(sequences, Supervision.unpack(batch[KEY]), part)
            if self._native:
                batch.update(_sums(sequences, part))
            found[part.name] = torch.from_numpy(np.concatenate(sequences))
        if not self._native:
            batch[PRECOMPUTED] = found
        return batch


def _check_lengths(sequences: Sequence[NDArray[Any]], supervision: Supervision, part: Part) -> None:
    """Refuse log-probabilities of other tokens than those of the batch."""
    there = supervision.mismatched if part.name == MISMATCHED else supervision
    lengths = [] if there is None else there.lengths.tolist()
    if [len(each) for each in sequences] != lengths:
        raise RunError(
            f"the precomputed reference log-probabilities are of sequences of {[len(each) for each in sequences]} "
            f"tokens, and the batch's have {lengths}",
            remedy="Remove the folder `reference` of the cache (TRAINWRIGHT_CACHE), and run again.",
        )


def _sums(sequences: Sequence[NDArray[Any]], part: Part) -> Mapping[str, Tensor]:
    """TRL's names → sums by row."""
    sums = torch.tensor([float(each.sum(dtype=np.float64)) for each in sequences])
    return dict(zip(part.trl, sums.chunk(len(part.trl)), strict=True))
