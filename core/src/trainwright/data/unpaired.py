"""Rows with a thumb up or down: pairs taken apart, labels checked and counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from trainwright.data.images import decoding
from trainwright.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset, IterableDataset

PAIR = ("chosen", "rejected")
_SHOWN = 3


class Labels(NamedTuple):
    """How many rows are desirable (thumb up) and undesirable (thumb down), and how many pairs they were made of."""

    desirable: int = 0
    undesirable: int = 0
    pairs: int = 0

    def with_row(self, row: Mapping[str, Any], *, paired: bool) -> Labels:
        """The numbers with one row more, which is a pair or has a `label` (text in a CSV file)."""
        desirable = paired or row["label"] in (True, "true", "True")
        return Labels(self.desirable + desirable, self.undesirable + (paired or not desirable), self.pairs + paired)

    def __str__(self) -> str:
        """`7 desirable and 5 undesirable rows`."""
        of = f" of {self.pairs} pairs" if self.pairs else ""
        return f"{self.desirable} desirable and {self.undesirable} undesirable rows{of}"


def is_paired(dataset: Dataset | IterableDataset) -> bool:
    """Whether rows hold a chosen and a rejected answer."""
    return set(PAIR) <= set(dataset.column_names or next(iter(dataset)))


def unpair(dataset: Dataset | IterableDataset) -> Dataset | IterableDataset:
    """Two rows of each pair, the chosen answer's with the label true, then the rejected one's with false.

    The two stand together, so that rows read in order hold both labels everywhere; TRL's own unpairing puts up to 1,000
    chosen answers before as many rejected ones.

    Args:
        dataset: Rows with `chosen` and `rejected`, and `prompt`; where there is none, it is what the two answers begin
            with alike.
    """
    from trl import extract_prompt

    columns = dataset.column_names or list(next(iter(dataset)))
    dataset = decoding(dataset, False)  # a row's images are copied as they are stored
    if "prompt" not in columns:
        dataset = dataset.map(extract_prompt)
        columns = [*columns, "prompt"]
    return decoding(dataset.map(_two_rows, batched=True, remove_columns=columns), True)


def _two_rows(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
    shared = {name: [value for value in values for _ in PAIR] for name, values in batch.items() if name not in PAIR}
    answers = [answer for pair in zip(*(batch[name] for name in PAIR), strict=True) for answer in pair]
    return {**shared, "completion": answers, "label": [True, False] * len(batch["chosen"])}


def with_labels(dataset: Dataset | IterableDataset, key: str) -> Dataset | IterableDataset:
    """The rows with labels of true and false; 1 and 0 are taken as such.

    Args:
        dataset: Rows with `label`. Of a stream, the first row is looked at.
        key: The config's key of the data (`data.train`), for the error.

    Raises:
        DataError: Other values, or no such column.
    """
    from datasets import Dataset, Value

    known = isinstance(dataset, Dataset)
    columns = dataset.column_names or list(next(iter(dataset)))
    if "label" not in columns:
        raise DataError(
            f"the rows have no `label`, nor `chosen` and `rejected`: they have {', '.join(columns)}",
            where=key,
            remedy=f"name the column with `{key}.columns: {{label: …}}`",
        )
    found = dataset.unique("label") if known else [next(iter(dataset))["label"]]
    wrong = [value for value in found if value not in (True, False)]
    if wrong:
        named = ", ".join(repr(value) for value in wrong[:_SHOWN])
        raise DataError(
            f"labels are true or false, and here are others: {named}",
            where=key,
            remedy="make `label` a column of booleans; true marks an answer that is liked",
        )
    wanted = Value("bool")
    return dataset.cast_column("label", wanted) if known and dataset.features["label"] != wanted else dataset


def count_labels(dataset: Dataset | IterableDataset) -> Labels | None:
    """The labels of a data set that is not streamed; None of others, and of rows without labels."""
    from datasets import Dataset

    if not isinstance(dataset, Dataset):
        return None
    if is_paired(dataset):
        return Labels(*[len(dataset)] * 3)
    if "label" not in dataset.column_names:
        return None
    desirable = sum(map(bool, dataset["label"]))
    return Labels(desirable, len(dataset) - desirable)
