"""Preference rows with images, cut to `max_length`: counted, told, and refused where the cut goes through an image.

TRL tokenises such rows when it collates them and cuts them there, silently. So only here can be seen what is lost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from trainwright.data.around import AroundCollator
from trainwright.errors import DataError
from trainwright.loss.supervision import MISMATCHED
from trainwright.trainer.dropped import LeftOut
from trainwright.trainer.image_rows import TYPES

_OF_TOKENS = ("input_ids", "attention_mask", "completion_mask", *TYPES)  # (B, S)


class CutRows(AroundCollator):
    """A collator that cuts the rows of another's batch.

    Args:
        collate: TRL's collator of rows with images, or one around it; TRL's no longer cuts.
        max_length: Tokens of a row at most.
        counts: Is told of each batch.
    """

    def __init__(self, collate: Callable[[list[Any]], Any], max_length: int, counts: LeftOut) -> None:
        super().__init__(collate)
        self._max_length, self._counts = max_length, counts
        self.innermost.max_length = None

    def __call__(self, examples: list[Any]) -> Any:
        """Collate, count, cut.

        Raises:
            DataError: A token that stands for a part of an image would be cut off, without which no model runs.
        """
        rows = len(examples)
        batch = self.collate(examples)  # padded on the right
        limit = self._max_length
        self._refuse_cut_images(batch["input_ids"][:, limit:])
        longer = batch["attention_mask"].sum(1) > limit
        nothing_left = longer & ~batch["completion_mask"][:, :limit].any(1)
        self._counts.add_cut(rows, int(longer.sum()), int(nothing_left.sum()))
        for name in (*_OF_TOKENS, *(MISMATCHED + name for name in _OF_TOKENS)):
            if name in batch:
                batch[name] = batch[name][:, :limit]
        return batch

    def _refuse_cut_images(
        self,
        cut: Tensor,  # (B, S - max_length)
    ) -> None:
        token = getattr(self.processor, "image_token_id", None)
        if token is not None and (cut == token).any():
            raise DataError(
                f"an image does not fit into max_length={self._max_length} tokens with what stands before it",
                where="training.max_length",
                remedy="raise it, or set it to `null`, or make the images smaller",
            )
