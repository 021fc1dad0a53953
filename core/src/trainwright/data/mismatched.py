"""Mismatched rows: each prompt with the completion of another row, as KTO estimates its reference point with them.

Completions are exchanged within windows of rows, one window an optimizer step, by the smallest shift that leaves no
prompt with one of its own completions. So what a window's divergence is estimated with are the window's own completions
(arXiv 2402.01306), whatever micro-batches and ranks it is cut into. Rows read in another order keep their
partners. Rows with images, which are tokenised as they are collated, are given the other answer as it is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trainwright.data.image_prompts import identities, identities_of

if TYPE_CHECKING:
    from datasets import Dataset, IterableDataset

COLUMN = "KL_completion_ids"
"""The column of the other row's completion, by the name that TRL's collator reads."""
WRITTEN = "KL_completion"
"""The same of rows with images, not tokenised."""


def with_mismatched(
    dataset: Dataset | IterableDataset, window: int, *, images: bool = False
) -> Dataset | IterableDataset:
    """Give each row the completion of another row.

    Args:
        dataset: Rows with `prompt_ids` and `completion_ids`, or with `prompt`, `completion` and images.
        window: Rows of an optimizer step, on all ranks together.
        images: Whether they are such with images.

    Returns:
        The rows with the column `KL_completion_ids` (with images `KL_completion`); without it where there are fewer
        than two rows. In a stream, whose rows are known a window at a time, a row that finds no partner gets an empty
        one.
    """
    from datasets import Dataset, concatenate_datasets

    from trainwright.data.load import quietly

    if not isinstance(dataset, Dataset):
        return dataset.map(_StreamPairs(images), batched=True, batch_size=window)
    completion, column = _columns(images)
    if column in dataset.column_names:
        dataset = dataset.remove_columns(column)
    if len(dataset) < 2:
        return dataset
    prompts = identities(dataset) if images else _tokenised(dataset)
    completions = dataset.select_columns([completion]).rename_column(completion, column)
    with quietly():
        return concatenate_datasets([dataset, completions.select(partners(prompts, window))], axis=1)


def _columns(images: bool) -> tuple[str, str]:
    """The column of a row's own completion, and that of the other row's."""
    return ("completion", WRITTEN) if images else ("completion_ids", COLUMN)


def _tokenised(dataset: Dataset) -> NDArray[np.int64]:
    batches = dataset.select_columns(["prompt_ids"]).iter(batch_size=1000)
    return _identities(prompt for batch in batches for prompt in batch["prompt_ids"])


def _identities(prompts: Any) -> NDArray[np.int64]:
    """A number for each prompt, the same in every process."""
    return np.fromiter((hash(tuple(ids)) for ids in prompts), dtype=np.int64)


def partners(
    prompts: NDArray[np.int64],  # (rows,)
    window: int,
) -> NDArray[np.int64]:  # (rows,)
    """For each row, the row whose completion it is mismatched with.

    Args:
        prompts: A number for each row's prompt, equal where the prompts are.
        window: Rows that exchange completions among themselves.

    Returns:
        Row numbers. Where a window cannot give a row the completion of another prompt, the nearest row before it does;
        only where all prompts are one, a row gets another completion of its own prompt, and a single row its own.
    """
    rows = np.arange(len(prompts))
    if not len(rows) or (prompts == prompts[0]).all():
        return np.roll(rows, 1)
    found = np.concatenate([_shifted(prompts, rows[start : start + window]) for start in range(0, len(rows), window)])
    return np.where(prompts[found] == prompts, _before(prompts), found)


def _shifted(prompts: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """A window's rows turned by the smallest shift that leaves the fewest prompts with themselves."""
    here = prompts[rows]
    best, fewest = rows, len(rows) + 1
    for shift in range(1, max(len(rows), 2)):
        own = int((here == np.roll(here, shift)).sum())
        if own < fewest:
            best, fewest = np.roll(rows, shift), own
        if not own:
            break
    return best


def _before(prompts: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each row, the nearest row before it with another prompt; before the first row comes the last."""
    rows = np.arange(len(prompts))
    begins = np.concatenate([[True], prompts[1:] != prompts[:-1]])
    start = np.maximum.accumulate(np.where(begins, rows, 0))  # of the run of equal prompts that a row is in
    last = rows[-1] if prompts[-1] != prompts[0] else start[-1] - 1
    return np.where(start > 0, start - 1, last)


class _StreamPairs:
    """Pairs the rows of a stream, a window at a time.

    Args:
        images: Whether the rows are such with images, not tokenised.
    """

    def __init__(self, images: bool) -> None:
        self._images = images
        self._spare: tuple[int, Any] | None = None  # a prompt and its completion, of the window before

    def __call__(self, batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        completion, column = _columns(self._images)
        prompts = identities_of(batch) if self._images else _identities(batch["prompt_ids"])
        found = partners(prompts, len(prompts))
        completions: Sequence[Any] = batch[completion]
        paired = [
            completions[other] if prompts[other] != prompts[row] else self._other(int(prompts[row]), completions[row])
            for row, other in enumerate(found)
        ]
        self._spare = int(prompts[-1]), completions[-1]
        return {**batch, column: paired}

    def _other(self, prompt: int, own: Any) -> Any:
        """The spare completion, where it is another prompt's; else an empty one, a list or a text as the row's own."""
        return self._spare[1] if self._spare is not None and self._spare[0] != prompt else type(own)()
