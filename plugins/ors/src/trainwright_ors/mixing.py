"""Which tasks in which order: weights, shuffling, indices; numbers alone, 10 bytes a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def chosen(count: int, num_tasks: int | None, indices: Sequence[int] | None) -> NDArray[np.int64]:
    """The indices of a split that are used.

    Args:
        count: How many tasks the split has.
        num_tasks: The first so many only.
        indices: These only; they exist.
    """
    import numpy as np

    if indices is None:
        return np.arange(min(count, num_tasks or count), dtype=np.int64)
    return np.asarray(indices, dtype=np.int64)


def arrange(
    tasks: Sequence[NDArray[np.int64]],  # a source's indices; (n_s)
    weights: Sequence[float] | None,
    seed: int | None,
) -> tuple[NDArray[np.uint16], NDArray[np.int64]]:
    """The rows of an epoch.

    Without weights each task comes once. With weights there are as many rows in all, a source's share is its weight's
    (to the nearest row, but one at least); it repeats its tasks where they do not suffice, each round in another order.

    Args:
        tasks: The indices of each source.
        weights: Of the sources; None for each task once.
        seed: Of the order; None leaves sources one after another, in theirs.

    Returns:
        The source and the index of each row, both `(n)`.
    """
    import numpy as np

    chance = None if seed is None else np.random.default_rng(seed)
    total = sum(map(len, tasks))
    shares = [len(own) for own in tasks]
    if weights is not None:
        shares = [max(1, round(total * weight / sum(weights))) for weight in weights]
    rows = [_rounds(own, share, chance) for own, share in zip(tasks, shares, strict=True)]
    source = np.repeat(np.arange(len(rows), dtype=np.uint16), [len(own) for own in rows])
    index = np.concatenate(rows)
    if chance is None:
        return source, index
    order = chance.permutation(len(index))
    return source[order], index[order]


def _rounds(tasks: NDArray[np.int64], share: int, chance: np.random.Generator | None) -> NDArray[np.int64]:
    """`share` of the tasks: all of them as often as they fit, and a part, by chance where there is any."""
    import numpy as np

    whole, rest = divmod(share, len(tasks))
    part = tasks[:rest] if chance is None else chance.permutation(tasks)[:rest]
    return np.concatenate([*[tasks] * whole, part])
