"""What Trainwright does to rows with thumbs before TRL's KTO trainer gets them, and after it has tokenised them.

TRL exchanges the completions of a micro-batch for KTO's reference point. So it must read rows in order, and refuses
micro-batches of one row. For plugins' losses they are exchanged here instead, window by window (`data.mismatched`):
rows may be read in any order and cut into micro-batches at will. Rows with images are tokenised when they are collated;
they are exchanged as they are written, before that. A loss that never asks for mismatched rows has none made.
"""

from __future__ import annotations

from typing import Any

from trainwright.data.images import COLUMNS
from trainwright.data.load import quietly
from trainwright.data.mismatched import WRITTEN, with_mismatched
from trainwright.data.unpaired import is_paired, unpair, with_labels
from trainwright.trainer.image_rows import ImageRows
from trainwright.trainer.private import without_own_pairs


class UnpairedRows:
    """Mixin between `HookedTrainer` and TRL's KTO trainer."""

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        if self.binding.native:
            super().__init__(*args, **kwargs)
            return
        with_images = _has_images(kwargs["train_dataset"])
        for name in ("train", "eval") if with_images else ():  # which TRL prepares in no way
            kwargs[f"{name}_dataset"] = self._paired_off(kwargs.get(f"{name}_dataset"), kwargs["args"], name)
        with without_own_pairs(kwargs["args"]):
            super().__init__(*args, **kwargs)
        if with_images:
            self.data_collator = ImageRows(self.data_collator)

    def _paired_off(self: Any, dataset: Any, args: Any, name: str) -> Any:
        """Rows with images: unpaired, with labels, and mismatched."""
        if dataset is None:
            return None
        with args.main_process_first(desc="mismatching rows"), quietly():
            rows = unpair(dataset) if is_paired(dataset) else with_labels(dataset, f"data.{name}")
            return with_mismatched(rows, _window(args, name), images=True) if self.binding.mismatched else rows

    def _prepare_dataset(self: Any, dataset: Any, processing_class: Any, args: Any, dataset_name: str) -> Any:
        """Unpair, tokenise and mismatch a data set.

        Raises:
            DataError: Labels that are neither true nor false.
        """
        key, native = f"data.{dataset_name}", self.binding.native
        if not is_paired(dataset):
            dataset = with_labels(dataset, key)
        elif not native:
            dataset = unpair(dataset)
        # Under the name `train` TRL would judge the balance of labels by its own weights, which a plugin does not read.
        name = dataset_name if native else key
        prepared = super()._prepare_dataset(dataset, processing_class, args, name)  # type: ignore[misc]
        if native or not self.binding.mismatched:
            return prepared
        with args.main_process_first(desc="mismatching rows"):
            return with_mismatched(prepared, _window(args, dataset_name))

    def _set_signature_columns_if_needed(self: Any) -> None:
        super()._set_signature_columns_if_needed()  # type: ignore[misc]
        if WRITTEN not in self._signature_columns:
            self._signature_columns.append(WRITTEN)


def _has_images(dataset: Any) -> bool:
    return not set(COLUMNS).isdisjoint(dataset.column_names or next(iter(dataset)))


def _window(args: Any, dataset_name: str) -> int:
    """Rows of an optimizer step, or of an evaluation batch, on all ranks together."""
    if dataset_name == "train":
        return int(args.train_batch_size * args.gradient_accumulation_steps * args.world_size)
    return int(args.eval_batch_size * args.world_size)
