"""Rows of about one length together, in batches of about one number of tokens: little padding, no late surprise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TOKENS = 16_384
"""Tokens of a batch where no setting speaks: without gradients that is less than training takes."""


def plan_batches(
    lengths: NDArray[np.int64],  # (rows,)
    rows: NDArray[np.int64],  # (pending,)
    budget: int,
) -> list[NDArray[np.int64]]:
    """Cut rows into batches, longest first, so that what does not fit into memory does not fit at once.

    Args:
        lengths: Tokens that each row is padded to at least.
        rows: The rows that are wanted, indices into `lengths`.
        budget: Tokens of a batch, padding included; a row that is longer gets a batch of its own.
    """
    ordered = rows[np.argsort(-lengths[rows], kind="stable")]
    batches, start = [], 0
    while start < len(ordered):
        size = max(budget // max(int(lengths[ordered[start]]), 1), 1)
        batches.append(ordered[start : start + size])
        start += size
    return batches


def token_budget(
    longest: int,  # tokens
    *,
    asked: int | None,
    trained: int,
) -> int:
    """The tokens of a batch.

    Args:
        longest: Tokens of the longest row.
        asked: Rows of a batch as `training.precompute_ref_batch_size` says; that many of the longest fit.
        trained: Rows of a micro-batch of training; at least that many of the longest fit.
    """
    return asked * longest if asked else max(trained * longest, TOKENS)


def share(batches: list[NDArray[np.int64]], rank: int, ranks: int) -> tuple[list[NDArray[np.int64]], int]:
    """One rank's batches, and how many of them count.

    All ranks get the same number, because the forward of a sharded model needs all of them; the last ones of some ranks
    are another rank's, and do not count.
    """
    if not batches:
        return [], 0
    rounds = -(-len(batches) // ranks)
    own = batches[rank::ranks]
    return own + [batches[-1]] * (rounds - len(own)), len(own)
