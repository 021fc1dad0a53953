"""A data set of conversations becomes ids and labels, every row verified, all refusals reported together."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from trainwright.errors import DataError, Problem
from trainwright.hooks import TemplateAnswer
from trainwright.template.places import Places, place
from trainwright.template.row_mask import COUNTS, IGNORED, RowMasker, StreamMasker, Truncation, features
from trainwright.template.totals import Totals

if TYPE_CHECKING:
    from datasets import Dataset, IterableDataset

SHOWN = 20
"""Refused rows that one error shows."""

_log = logging.getLogger(__name__)


def mask_dataset(
    dataset: Dataset | IterableDataset,
    answer: TemplateAnswer,
    *,
    key: str,
    max_length: int | None = None,
    truncation: Truncation = "keep_start",
    completion_only: bool = True,
    num_proc: int | None = None,
    places: Places | None = None,
    tell: Callable[[Totals], None] | None = None,
) -> Dataset | IterableDataset:
    """Tokenise conversations and mask all but what the assistant says.

    The result has `input_ids` and `labels` (-100 where no loss is carried), untruncated: TRL truncates, drops rows
    without a label left, and packs. A stream is masked row by row as it is read.

    Args:
        dataset: Rows with `messages`, `conversations` (`from`, `value`), or conversational `prompt` and `completion`;
            or rows that are tokenised and labelled already, which are checked and returned.
        answer: The template provider's answer; without `tokenize` the data set is returned as it is.
        key: The config's key of the data (`data.train`), for messages.
        max_length: Tokens that TRL will keep of a row; None where it cuts nothing off (packing that splits).
        truncation: Which end it will keep.
        completion_only: Whether assistant turns of a `prompt` carry no loss, as TRL's `completion_only_loss`.
        num_proc: Processes to work with.
        places: Finds the `file:line` of refused rows (`places.file_places`); default: their numbers.
        tell: Is told what the data set holds in all; not of a stream.

    Raises:
        DataError: All refused rows with their numbers (the first 20 in full); or no token carries loss, every token
            does, or truncation leaves no row with any.
    """
    from datasets import IterableDataset

    if answer.tokenize is None:
        return dataset
    columns = dataset.column_names or list(next(iter(dataset)))
    if "input_ids" in columns:
        return _labelled(dataset, columns, key)
    if {"image", "images"} & set(columns):
        return _with_images(dataset, answer, key)
    masker = RowMasker(answer.tokenize, completion_only, max_length, truncation)
    if isinstance(dataset, IterableDataset):
        return dataset.map(
            StreamMasker(masker, key), with_indices=True, remove_columns=columns, features=features(counts=False)
        )
    masked = dataset.map(
        masker,
        batched=True,
        batch_size=100,
        remove_columns=columns,
        features=features(counts=True),
        num_proc=num_proc,
        desc=f"Masking {key}",
    )
    _raise_refusals(masked, key, places)
    _check_losses(masked, key, max_length, truncation)
    totals = Totals.of(masked, key)
    totals.warn()
    if tell is not None:
        tell(totals)
    return masked.remove_columns(list(COUNTS))


def _raise_refusals(masked: Dataset, key: str, places: Places | None) -> None:
    """Raise one error with every refused row, if there is any."""
    refused = {index: refusal for index, refusal in enumerate(masked["_refusal"]) if refusal}
    if not refused:
        return
    shown = list(refused)[:SHOWN]
    known = places(shown) if places else {}
    problems = []
    for index in shown:
        message, remedy = json.loads(refused[index])
        problems.append(Problem(message, known.get(index, place(key, index)), remedy))
    if len(refused) > SHOWN:
        problems.append(Problem(f"{len(refused) - SHOWN} more of {len(masked)} rows are refused", key))
    raise DataError.together(problems)


def _check_losses(masked: Dataset, key: str, max_length: int | None, truncation: Truncation) -> None:
    """Raise or warn where tokens that carry loss are missing, or prompts carry it too."""
    _check_totals(sum(masked["_supervised"]), sum(masked["_tokens"]), key)
    lost = sum(kept == 0 for kept in masked["_kept"])
    cut = f"when rows are cut to max_length={max_length} ({truncation})"
    where = "beyond the first token, which nothing predicts" if max_length is None else cut
    if lost == len(masked):
        raise DataError(
            f"no row keeps a token that carries loss {where}",
            where=key,
            remedy="raise `training.max_length`, or keep the other end: `training.truncation_mode`",
        )
    if lost:
        _log.warning("%s: %d of %d rows carry no loss %s and are left out", key, lost, len(masked), where)


def _check_totals(supervised: int, tokens: int, key: str) -> None:
    if supervised == 0:
        raise DataError(
            "no token of the whole data set carries loss, so nothing would be learnt",
            where=key,
            remedy="look at it with `trainwright preview`; check the labels or the chat template",
        )
    if supervised == tokens:
        raise DataError(
            "every token of the whole data set carries loss, prompts included, though only the answers should",
            where=key,
            remedy="look at it with `trainwright preview`; check the labels, or train without `assistant_only_loss`",
        )


def _labelled(dataset: Dataset | IterableDataset, columns: Sequence[str], key: str) -> Dataset | IterableDataset:
    """Rows that are tokenised already: their labels must be there, and mean something."""
    from datasets import IterableDataset

    if "labels" not in columns:
        raise DataError(
            "the rows are tokenised already, without `labels`, so nobody can tell what the assistant says",
            where=key,
            remedy="add `labels` (-100 where no loss is carried), or give conversations",
        )
    if not isinstance(dataset, IterableDataset):
        counts = [(sum(label != IGNORED for label in labels), len(labels)) for labels in dataset["labels"]]
        _check_totals(sum(count for count, _ in counts), sum(size for _, size in counts), key)
    return dataset


def _with_images(dataset: Dataset | IterableDataset, answer: TemplateAnswer, key: str) -> Dataset | IterableDataset:
    """Rows with images are tokenised by TRL's collator, which needs markers in the template."""
    if getattr(answer.tokenize, "marked", False):
        return dataset
    raise DataError(
        "rows with images are tokenised while training, which for assistant-only loss needs a chat template with "
        "{% generation %} markers; this one has none",
        where=key,
        remedy="mark what the assistant says: `template: {name: file, path: my_template.jinja}`",
    )
