"""Which positions of a batch carry loss, worked out on the host while the batch is made.

The collator of every run is wrapped in `Supervise`. Counting and indexing there, before the batch travels, is what lets
the head drop ignored tokens without asking the device how many there are.

A batch's `Supervision` speaks of *positions that predict*: position s predicts token s + 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from trainwright.data.around import AroundCollator

KEY = "trainwright_supervision"
IGNORED = -100
PRECOMPUTED = "ref_token_logps"
"""The key of a batch that holds what the reference gave before training: part → log-probabilities `(N,)`."""
MISMATCHED = "KL_"
"""What TRL's collator puts before the keys of mismatched rows."""


@dataclass(frozen=True)
class Supervision:
    """The supervised positions of one micro-batch.

    Attributes:
        index: Flat positions `row * S + column` whose hidden states predict a target, int64 `(N,)`.
        targets: The tokens they are to predict, int64 `(N,)`.
        sequence: The sequence each belongs to, int64 `(N,)`; packed rows hold several.
        lengths: Supervised tokens of each sequence, int64 `(sequences,)`.
        columns: S, the length that `index` counts rows by.
        pairs: Whether the first half of the sequences is preferred over the second.
        tokens: Tokens that the model reads, padding excluded.
        chosen_tokens: Supervised tokens of the preferred sequences; 0 without pairs.
        mismatched: The supervision of the batch's mismatched rows (method `kto`), or None.
    """

    index: Tensor  # (N,)
    targets: Tensor  # (N,)
    sequence: Tensor  # (N,)
    lengths: Tensor  # (sequences,)
    columns: int
    pairs: bool = False
    tokens: int = 0
    chosen_tokens: int = 0
    mismatched: Supervision | None = None

    @classmethod
    def unpack(cls, packed: Mapping[str, Any]) -> Supervision:
        """What `pack` packed."""
        other = packed.get("mismatched")
        return cls(**{**packed, "mismatched": None if other is None else cls.unpack(other)})

    @property
    def sequences(self) -> int:
        """The number of sequences, those without a supervised token included."""
        return self.lengths.numel()

    def count(self, unit: str) -> int:
        """How many units of this kind the micro-batch holds; known on the host."""
        counts = {
            "token": self.index.numel(),
            "chosen_token": self.chosen_tokens,
            "sequence": self.sequences,
            "pair": self.sequences // 2,
        }
        return counts[unit]

    @property
    def position(self) -> Tensor:  # (N,)
        """The place of each supervised token among those of its sequence, from 0, int64 `(N,)`."""
        starts = self.lengths.cumsum(0) - self.lengths
        return torch.arange(self.index.numel(), device=starts.device) - starts[self.sequence]

    def shifted_index(
        self,
        columns: int,  # S as the model's head sees it
    ) -> Tensor:  # (N,)
        """`index` for rows that grew on the left, as by the virtual tokens of prompt tuning."""
        extra = columns - self.columns
        if extra == 0:
            return self.index
        return (self.index // self.columns) * columns + self.index % self.columns + extra

    def pack(self) -> dict[str, Any]:
        """As a plain dict, which every data loader knows how to pin and move."""
        packed = {name: value for name, value in vars(self).items() if name != "mismatched"}
        return packed if self.mismatched is None else {**packed, "mismatched": self.mismatched.pack()}


def _sequences(
    batch: Mapping[str, Any],
    shape: tuple[int, int],
) -> tuple[Tensor, int]:
    """The sequence of each position, `(B, S)`, and how many there are. A packed row restarts `position_ids` at 0."""
    rows, columns = shape
    positions = batch.get("position_ids")
    if "attention_mask" in batch or positions is None or positions.dim() != 2:
        return torch.arange(rows).unsqueeze(1).expand(rows, columns), rows
    ids = (positions == 0).long().flatten().cumsum(0).view(rows, columns) - 1
    return ids, int(ids[-1, -1]) + 1 if ids.numel() else 0


def _tokens(batch: Mapping[str, Any], shape: tuple[int, int]) -> int:
    mask = batch.get("attention_mask")
    return int(mask.sum()) if isinstance(mask, Tensor) else shape[0] * shape[1]


def supervise_labels(
    labels: Tensor,  # (B, S)
    batch: Mapping[str, Any],
    *,
    pairs: bool = False,
) -> Supervision:
    """The supervision of labels aligned with their tokens, `IGNORED` where a token carries no loss."""
    shape = (labels.shape[0], labels.shape[1])
    sequence, sequences = _sequences(batch, shape)
    mask = labels[:, 1:] != IGNORED
    row, column = mask.nonzero(as_tuple=True)
    owner = sequence.to(labels.device)[row, column]
    lengths = torch.bincount(owner, minlength=sequences)
    return Supervision(
        index=row * shape[1] + column,
        targets=labels[row, column + 1],
        sequence=owner,
        lengths=lengths,
        columns=shape[1],
        pairs=pairs,
        tokens=_tokens(batch, shape),
        chosen_tokens=int(lengths[: sequences // 2].sum()) if pairs else 0,
    )


def supervise(batch: Mapping[str, Any], kind: str) -> Supervision:
    """The supervision of a collated batch.

    Args:
        batch: What TRL's collator made.
        kind: What the batch holds, as in `trainwright.trainer.methods`.
    """
    if kind == "labels":
        return supervise_labels(batch["labels"], batch)
    if kind == "pairs":
        return supervise_labels(_completions(batch), batch, pairs=True)
    if kind == "unpaired":
        return replace(supervise_labels(_completions(batch), batch), mismatched=_mismatched(batch))
    if kind == "rollouts":
        mask = batch["completion_mask"]
        if batch.get("tool_mask") is not None:
            mask = mask * batch["tool_mask"]
        labels = torch.cat(
            [torch.full_like(batch["prompt_ids"], IGNORED), batch["completion_ids"].masked_fill(mask == 0, IGNORED)], 1
        )
        attention = torch.cat([batch["prompt_mask"], batch["completion_mask"]], 1)
        return supervise_labels(labels, {"attention_mask": attention})
    raise ValueError(f"a batch of {kind!r} has no supervised tokens")


def _completions(batch: Mapping[str, Any]) -> Tensor:
    """The labels of completions, `(B, S)`."""
    labels: Tensor = batch["input_ids"].masked_fill(batch["completion_mask"] == 0, IGNORED)
    return labels


def _mismatched(batch: Mapping[str, Any]) -> Supervision | None:
    rows = mismatched_rows(batch)
    return supervise_labels(_completions(rows), rows) if rows else None


def mismatched_rows(batch: Mapping[str, Any]) -> dict[str, Any]:
    """The mismatched rows of a batch, under the names of its own; empty where it has none."""
    return {name.removeprefix(MISMATCHED): value for name, value in batch.items() if name.startswith(MISMATCHED)}


class Supervise(AroundCollator):
    """A collator that adds the supervision to what another collator makes.

    Args:
        collate: TRL's collator.
        kind: What its batches hold.
    """

    def __init__(self, collate: Callable[[list[Any]], Any], kind: str) -> None:
        super().__init__(collate)
        self.kind = kind

    def __call__(self, examples: list[Any]) -> Any:
        """Collate, then add the supervision as the last key (the first key tells accelerate the batch size)."""
        batch = self.collate(examples)
        if isinstance(batch, Mapping):
            batch[KEY] = supervise(batch, self.kind).pack()  # type: ignore[index]
        return batch
