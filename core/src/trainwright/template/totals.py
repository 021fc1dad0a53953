"""What a masked data set holds in all: rows, tokens, and the notes that its template's provider made."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasets import Dataset

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Totals:
    """Counts over the rows of a data set.

    Attributes:
        key: The config's key of the data.
        rows: Rows, those that truncation empties included.
        tokens: Tokens before truncation.
        supervised: Those of them that carry loss.
        empty: Rows of which truncation leaves no token that carries loss.
        notes: Kind of note → rows that have one.
    """

    key: str
    rows: int
    tokens: int
    supervised: int
    empty: int
    notes: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, masked: Dataset, key: str) -> Totals:
        """Count a data set that still has the columns `row_mask.COUNTS`."""
        kinds = Counter(kind for notes in masked["_notes"] for kind in {kind_of(note) for note in notes})
        return cls(
            key,
            len(masked),
            sum(masked["_tokens"]),
            sum(masked["_supervised"]),
            sum(kept == 0 for kept in masked["_kept"]),
            dict(sorted(kinds.items())),
        )

    def warn(self) -> None:
        """Say once for each kind of note how many rows have it."""
        for kind, rows in self.notes.items():
            _log.warning("%s: %d of %d rows: %s", self.key, rows, self.rows, kind)

    def __str__(self) -> str:
        """`data.train: 3 rows, 90 tokens, 30 supervised (33.3 %)`, then a line for each kind of note."""
        share = 100 * self.supervised / self.tokens if self.tokens else 0.0
        head = f"{self.key}: {self.rows} rows, {self.tokens} tokens, {self.supervised} supervised ({share:.1f} %)"
        empty = [f"  {self.empty} rows: no token that carries loss is left by truncation"] if self.empty else []
        return "\n".join([head, *empty, *(f"  {rows} rows: {kind}" for kind, rows in self.notes.items())])


def kind_of(note: str) -> str:
    """What stands before a note's first colon."""
    return note.partition(":")[0]
