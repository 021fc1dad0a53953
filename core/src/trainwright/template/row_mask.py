"""One row of data becomes ids, labels and counts: the functions that `datasets` maps over rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from trainwright import __version__
from trainwright.errors import DataError
from trainwright.hooks import Tokens
from trainwright.template.places import place
from trainwright.template.rows import conversation

Truncation = Literal["keep_start", "keep_end"]
IGNORED = -100
COUNTS = ("_tokens", "_supervised", "_kept", "_notes", "_refusal")
"""Columns that say how it went, and are removed once they are reported."""


@dataclass(frozen=True)
class RowMasker:
    """Masks batches of rows; picklable, and hashed by `datasets` for its cache.

    Attributes:
        tokenize: The template provider's tokenizer of conversations.
        completion_only: Whether assistant turns of a `prompt` carry no loss.
        max_length: Tokens that the trainer keeps of a row; None keeps all.
        truncation: Which end it keeps.
        version: Of this package, so that an upgrade does not read an old cache.
    """

    tokenize: Callable[..., Tokens]
    completion_only: bool
    max_length: int | None
    truncation: Truncation
    version: str = __version__

    def __call__(self, batch: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """Rows as columns in, masked rows as columns out; a refused row is empty and says why."""
        size = len(next(iter(batch.values())))
        rows = [self._safe({key: values[index] for key, values in batch.items()}) for index in range(size)]
        return {key: [row[key] for row in rows] for key in _TYPES}

    def row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Ids, labels and counts of one row.

        Raises:
            DataError: Where its mask does not verify.
        """
        said = conversation(row, completion_only=self.completion_only)
        tokens = self.tokenize(said.messages, said.tools, **said.variables)
        if len(tokens.input_ids) != len(tokens.supervised):
            raise DataError(f"{len(tokens.input_ids)} tokens, but a mask of {len(tokens.supervised)}")
        pairs = zip(tokens.input_ids, tokens.supervised, strict=True)
        labels = [token if flag else IGNORED for token, flag in pairs]
        kept = labels if self.max_length is None else _cut(labels, self.max_length, self.truncation)
        return {
            "input_ids": tokens.input_ids,
            "labels": labels,
            "_tokens": len(labels),
            "_supervised": sum(tokens.supervised),
            # The first token of a row is predicted from nothing, so it carries no loss.
            "_kept": sum(label != IGNORED for label in kept[1:]),
            "_notes": list(tokens.notes),
            "_refusal": "",
        }

    def _safe(self, row: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return self.row(row)
        except DataError as error:
            refusal = json.dumps([error.problems[0].message, error.problems[0].remedy])
            empty = dict.fromkeys(("_tokens", "_supervised", "_kept"), 0)
            return {"input_ids": [], "labels": [], **empty, "_notes": [], "_refusal": refusal}


@dataclass(frozen=True)
class StreamMasker:
    """Masks one row of a stream, and says which row it was if it is refused."""

    masker: RowMasker
    key: str

    def __call__(self, row: Mapping[str, Any], index: int) -> dict[str, Any]:
        """Ids and labels of one row.

        Raises:
            DataError: Where its mask does not verify, with the row's number.
        """
        try:
            masked = self.masker.row(row)
        except DataError as error:
            problem = error.problems[0]
            raise DataError(problem.message, where=place(self.key, index), remedy=problem.remedy) from error
        return {"input_ids": masked["input_ids"], "labels": masked["labels"]}


def _cut(labels: list[int], length: int, truncation: Truncation) -> list[int]:
    return labels[:length] if truncation == "keep_start" else labels[-length:]


_TYPES = {
    "input_ids": "int32",
    "labels": "int64",
    "_tokens": "int32",
    "_supervised": "int32",
    "_kept": "int32",
    "_notes": "string",
    "_refusal": "string",
}
_LISTS = ("input_ids", "labels", "_notes")


def features(*, counts: bool) -> Any:
    """The `datasets.Features` of masked rows, with or without `COUNTS`."""
    from datasets import Features, List, Value

    names = _TYPES if counts else ("input_ids", "labels")
    return Features({name: List(Value(_TYPES[name])) if name in _LISTS else Value(_TYPES[name]) for name in names})
