"""What Trainwright does to rows with thumbs before TRL's KTO trainer gets them, and after it has tokenised them.

TRL exchanges the completions of a micro-batch for KTO's reference point. So it must read rows in order, and refuses
micro-batches of one row. For plugins' losses they are exchanged here instead, window by window (`data.mismatched`):
rows may be read in any order and cut into micro-batches at will. Rows with images are tokenised when they are collated,
and TRL's collator exchanges those of a micro-batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trainwright.data.mismatched import with_mismatched
from trainwright.data.unpaired import is_paired, unpair, with_labels
from trainwright.trainer.dropped import report_dropped
from trainwright.trainer.private import without_own_pairs


class UnpairedRows:
    """Mixin between `HookedTrainer` and TRL's KTO trainer."""

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        if self.binding.native:
            super().__init__(*args, **kwargs)
            return
        with without_own_pairs(kwargs["args"]):
            super().__init__(*args, **kwargs)
        if self._is_vision_dataset:
            self.train_dataset = with_labels(self.train_dataset, "data.train")
            self.data_collator = ImageRows(self.data_collator)

    def _prepare_dataset(self: Any, dataset: Any, processing_class: Any, args: Any, dataset_name: str) -> Any:
        """Unpair, tokenise and mismatch a data set; rows that TRL leaves out are counted.

        Raises:
            DataError: Labels that are neither true nor false, or no rows are left.
        """
        key, native = f"data.{dataset_name}", self.binding.native
        if not is_paired(dataset):
            dataset = with_labels(dataset, key)
        elif not native:
            dataset = unpair(dataset)
        # Under the name `train` TRL would judge the balance of labels by its own weights, which a plugin does not read.
        name = dataset_name if native else key
        prepared = super()._prepare_dataset(dataset, processing_class, args, name)  # type: ignore[misc]
        report_dropped(dataset, prepared, key, args.max_length, sequences=2 if is_paired(dataset) else 1)
        if native:
            return prepared
        with args.main_process_first(desc="mismatching rows"):
            return with_mismatched(prepared, _window(args, dataset_name))


def _window(args: Any, dataset_name: str) -> int:
    """Rows of an optimizer step, or of an evaluation batch, on all ranks together."""
    if dataset_name == "train":
        return int(args.train_batch_size * args.gradient_accumulation_steps * args.world_size)
    return int(args.eval_batch_size * args.world_size)


class ImageRows:
    """A collator of rows with images, which exchanges completions within the micro-batch. Picklable if TRL's is.

    Args:
        collate: TRL's collator.
    """

    def __init__(self, collate: Callable[[list[Any]], Any]) -> None:
        collate.calculate_kl = True  # type: ignore[attr-defined]
        self.collate = collate

    def __call__(self, examples: list[Any]) -> Any:
        """Collate; a row alone in its micro-batch has no other's completion, so none of its tokens counts as one."""
        batch = self.collate(examples)
        if len(examples) == 1:
            batch["KL_completion_mask"] = batch["KL_completion_mask"] * 0
        return batch

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "collate":
            raise AttributeError(name)
        return getattr(self.collate, name)
