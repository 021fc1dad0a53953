"""What identifies the rows of a prepared data set, and how long they are; one pass over some of its columns."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from datasets import Dataset

PROMPT = "prompt_ids"
_BATCH = 1000


@dataclass(frozen=True)
class Rows:
    """The rows of a prepared data set.

    Attributes:
        sha256: Hash of the columns, tokens where the rows are tokenised.
        lengths: Tokens of each row's longest sequence before truncation, `(rows,)`; None where rows are tokenised only
            as they are collated (images).
    """

    sha256: str
    lengths: NDArray[np.int64] | None


def scan(dataset: Dataset, columns: Sequence[str]) -> Rows:
    """Read columns once.

    Args:
        dataset: The data as the trainer keeps them.
        columns: Those of its columns that a reference's log-probabilities depend on.
    """
    names = sorted(columns)
    digest, lengths = hashlib.sha256("\n".join(names).encode()), []
    for table in dataset.select_columns(names).with_format("arrow").iter(batch_size=_BATCH):
        for batch in table.combine_chunks().to_batches():
            digest.update(batch.serialize())
            if PROMPT in names:
                lengths.append(_longest(batch, [name for name in names if name != PROMPT]))
    return Rows(digest.hexdigest(), np.concatenate(lengths) if lengths else None)


def _longest(batch: Any, answers: Sequence[str]) -> NDArray[np.int64]:  # (n,)
    longest: NDArray[np.int64] = np.max([_tokens(batch, name) for name in answers], axis=0)
    return longest + _tokens(batch, PROMPT)


def _tokens(batch: Any, name: str) -> NDArray[np.int64]:  # (n,)
    from pyarrow import compute  # type: ignore[import-untyped]

    counted: NDArray[np.int64] = compute.list_value_length(batch.column(name)).to_numpy(zero_copy_only=False)
    return counted.astype(np.int64)
