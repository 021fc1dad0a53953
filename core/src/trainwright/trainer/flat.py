"""`padding_free` for pairs: the answers of a micro-batch laid end to end in one row, so that nothing is padded.

TRL 1.16 has the option for DPO and takes no notice of it. The model tells the answers apart by `position_ids`, which
restart at 0: with flash attention none sees another, with others transformers makes a mask of `(T, T)`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from trainwright.errors import RunError


class Flat:
    """A collator that lays the rows of another's batch end to end. Picklable if that one is.

    Args:
        collate: TRL's collator of pairs: chosen answers, then rejected ones, padded on the right, `(2B, S)`.
    """

    def __init__(self, collate: Callable[[list[Any]], Any]) -> None:
        self.collate = collate

    def __call__(self, examples: list[Any]) -> dict[str, Tensor]:
        """Collate and flatten: `input_ids`, `completion_mask` and `position_ids`, `(1, T)` each; no attention mask.

        Raises:
            RunError: The batch holds more than tokens.
        """
        batch = dict(self.collate(examples))
        kept = batch.pop("attention_mask").bool()  # (2B, S)
        if any(value.shape != kept.shape for value in batch.values() if isinstance(value, Tensor)):
            raise RunError(
                "rows with images cannot be laid end to end",
                where="training.padding_free",
                remedy="Set `training.padding_free: false`.",
            )
        position = kept.cumsum(1) - 1
        later = position > 0  # nothing predicts a row's first token, least of all the row before
        batch["completion_mask"] = batch["completion_mask"] * later
        return {name: value[kept][None] for name, value in (batch | {"position_ids": position}).items()}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "collate":
            raise AttributeError(name)
        return getattr(self.collate, name)
