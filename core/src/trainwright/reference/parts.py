"""The parts of a batch whose log-probabilities a reference gives, and the columns that hold them row by row.

A row may stand in a batch with several sequences: the two answers of a pair, or a completion and the mismatched one
that KTO's reference point is estimated with. What is computed and kept together is a part; each of its sequences is a
column. A new part is one more entry of `PARTS` and one more branch of `part_of`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from trainwright.data.mismatched import COLUMN, WRITTEN
from trainwright.loss.supervision import Supervision
from trainwright.loss.together import mismatched_inputs
from trainwright.trainer.inputs import model_inputs


@dataclass(frozen=True)
class Part:
    """One part of a kind of batch.

    Attributes:
        name: Its name.
        columns: Its sequences, in the order in which they stand in a batch: those of all rows for the first column,
            then those of the next.
        reads: The columns of tokenised rows that it is made of.
        ignores: Of rows with images, which are tokenised late, the column that it is not made of.
        trl: What TRL's own losses read each column's sums from.
    """

    name: str
    columns: tuple[str, ...]
    reads: tuple[str, ...]
    ignores: str
    trl: tuple[str, ...]


OWN, MISMATCHED = "own", "mismatched"
_PAIRS = Part(
    OWN,
    ("chosen", "rejected"),
    ("prompt_ids", "chosen_ids", "rejected_ids"),
    "",
    ("ref_chosen_logps", "ref_rejected_logps"),
)
_UNPAIRED = Part(OWN, ("completion",), ("prompt_ids", "completion_ids"), WRITTEN, ("ref_logps",))
_MISMATCHED = Part(MISMATCHED, ("mismatched",), ("prompt_ids", COLUMN), "completion", ("ref_KL_logps",))

PARTS: Mapping[str, tuple[Part, ...]] = {"pairs": (_PAIRS,), "unpaired": (_UNPAIRED, _MISMATCHED)}
"""Kind of batch → its parts."""


def parts_of(kind: str, columns: Collection[str]) -> tuple[Part, ...]:
    """The parts of batches of this kind, made of rows with these columns; rows with images are tokenised late."""
    mismatched = {COLUMN, WRITTEN}.intersection(columns)
    return tuple(part for part in PARTS[kind] if part.name == OWN or mismatched)


def part_of(
    name: str, kind: str, batch: Mapping[str, Any], supervision: Supervision
) -> tuple[dict[str, Any], Supervision]:
    """The keywords of a model's forward for one part of a batch, and that part's supervision."""
    if name == OWN:
        return model_inputs(batch, kind), supervision
    if name == MISMATCHED and supervision.mismatched is not None:
        return mismatched_inputs(model_inputs(batch, kind), batch), supervision.mismatched
    raise ValueError(f"a batch of {kind!r} has no part {name!r}")
