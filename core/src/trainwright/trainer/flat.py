"""`padding_free` for preferences: the answers of a micro-batch laid end to end in one row, so that nothing is padded.

TRL 1.16 has the option for DPO and takes no notice of it, and has none for KTO. The model tells the answers apart by
`position_ids`, which restart at 0: with flash attention none sees another, with others transformers makes a mask of
`(T, T)`.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from trainwright.data.around import AroundCollator
from trainwright.errors import RunError
from trainwright.loss.supervision import MISMATCHED, mismatched_rows


class Flat(AroundCollator):
    """A collator that lays the rows of another's batch end to end.

    Args:
        collate: TRL's collator, which pads on the right, `(B, S)`: of pairs, chosen answers before rejected ones; or of
            single answers, with or without mismatched rows beside them.
    """

    def __call__(self, examples: list[Any]) -> dict[str, Any]:
        """Collate and flatten: `input_ids`, `completion_mask` and `position_ids`, `(1, T)` each; no attention mask.

        What has one value a row, such as labels, stays; mismatched rows make a row of their own.

        Raises:
            RunError: The batch holds more than tokens.
        """
        batch = self.collate(examples)
        own = {name: value for name, value in batch.items() if not name.startswith(MISMATCHED)}
        of_rows = {name: own.pop(name) for name, value in list(own.items()) if _is_of_rows(value)}
        flat = {**_flat(own), **of_rows}
        if mismatched := mismatched_rows(batch):
            flat |= {MISMATCHED + name: value for name, value in _flat(mismatched).items()}
        return flat


def _is_of_rows(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dim() == 1


def _flat(batch: dict[str, Any]) -> dict[str, Any]:
    kept = batch.pop("attention_mask").bool()  # (B, S)
    if any(value.shape != kept.shape for value in batch.values() if isinstance(value, Tensor)):
        raise RunError(
            "rows with images cannot be laid end to end",
            where="training.padding_free",
            remedy="Set `training.padding_free: false`.",
        )
    position = kept.cumsum(1) - 1
    later = position > 0  # nothing predicts a row's first token, least of all the row before
    tokens = batch | {"completion_mask": batch["completion_mask"] * later, "position_ids": position}
    return {name: value[kept][None] for name, value in tokens.items()}
