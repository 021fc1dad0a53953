"""What a run will train on, by construction: the rows that TRL's trainer has prepared, collated as in training.

All is real but the model, whose place a tiny random one takes: settings, tokenizer, template, data, TRL's preparation
(truncation, packing, dropped rows) and its collator. What carries loss is read from the batch, as a loss reads it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainwright.errors import TrainwrightError
from trainwright.run.pieces import pieces

if TYPE_CHECKING:
    from trainwright.config.check import CheckedConfig
    from trainwright.plugins.manager import PluginManager
    from trainwright.template.totals import Totals
    from trainwright.trainer.methods import Method

OF_NO_CONCERN = (
    "bf16", "fp16", "tf32", "bf16_full_eval", "fp16_full_eval", "use_cpu", "deepspeed", "fsdp", "fsdp_config",
    "parallelism_config", "torch_compile", "torch_compile_backend", "torch_compile_mode", "use_liger_kernel",
    "liger_kernel_config", "activation_offloading", "gradient_checkpointing", "gradient_checkpointing_kwargs",
    "precompute_ref_log_probs", "sync_ref_model", "router_aux_loss_coef", "eval_strategy", "load_best_model_at_end",
    "push_to_hub", "report_to", "optim", "use_vllm",
)  # fmt: skip
"""Fields of `training:` about the hardware, the model or evaluation: they change nothing in the training rows."""

NOTHING_TO_SHOW = {
    "rollouts": "a batch of `{method}` holds prompts, and completions that the model samples while it trains; "
    "every sampled token carries loss",
    "scores": "a batch of `{method}` holds whole sequences, preferred and rejected, for a scalar head; no single token "
    "carries loss",
}
SPARE = 64
"""Rows read beyond those asked for, since TRL drops rows that truncation leaves empty."""


@dataclass(frozen=True)
class PreviewRow:
    """One sequence that will be trained on.

    Attributes:
        tokens: The text of each token, `[S]`; of a character of several tokens, the first has the text.
        supervised: Whether each token carries loss, `[S]`, 0 or 1.
        row: Its row in the prepared data, counted from 1.
        note: What it is within that row (`chosen`, `rejected`, …), or empty.
    """

    tokens: list[str]
    supervised: list[int]
    row: int
    note: str = ""

    @property
    def source(self) -> str:
        """The row and what it is within it, for people."""
        return f"row {self.row}" + (f" ({self.note})" if self.note else "")


def preview(
    checked: CheckedConfig, manager: PluginManager, rows: int, tell: Callable[[Totals], object] | None = None
) -> list[PreviewRow]:
    """The first rows of the training data as they will be trained on.

    Args:
        checked: The checked config.
        manager: The plugins, loaded.
        rows: Rows of the prepared data to show; packed rows hold several sequences, pairs make two.
        tell: Called with what the rows that were read hold in all, where a template's provider masked them.

    Raises:
        TrainwrightError: The method's batches have no supervised tokens to show beforehand, or what `gather` raises.
    """
    method = checked.method
    if method.batch in NOTHING_TO_SHOW:
        raise TrainwrightError(
            NOTHING_TO_SHOW[method.batch].format(method=method.name),
            where=checked.config.where("method"),
            remedy="preview shows methods that learn given tokens: sft, dpo, kto, gkd",
        )
    with tempfile.TemporaryDirectory(prefix="trainwright-preview-") as folder:
        trainer, processing_class = _trainer(_without_concern(checked, rows), manager, Path(folder), tell)
        return list(prepared_rows(trainer, method, processing_class, rows))


def _without_concern(checked: CheckedConfig, rows: int) -> CheckedConfig:
    """The same run for what its first training rows hold, without the rest of the data."""
    training = {key: value for key, value in checked.training.items() if key not in OF_NO_CONCERN}
    config = checked.config
    if config.data is not None:
        source = config.data.train
        if not training.get("packing") and not training.get("shuffle_dataset"):
            source = source.model_copy(update={"limit": min(source.limit or rows + SPARE, rows + SPARE)})
        config = config.model_copy(update={"data": config.data.model_copy(update={"train": source, "eval": None})})
    return replace(checked, config=config, training={**training, "use_cpu": True})


def _trainer(
    checked: CheckedConfig, manager: PluginManager, folder: Path, tell: Callable[[Totals], object] | None
) -> tuple[Any, Any]:
    """The run's trainer with a stand-in for each model, and its tokenizer or processor."""
    from trainwright.run.assemble import gather
    from trainwright.run.folder import RunFolder
    from trainwright.trainer.bind import make_trainer
    from trainwright.trainer.hooked import Binding

    run, method = RunFolder(folder), checked.method
    ingredients = gather(checked, manager, run)
    if tell:
        for totals in ingredients.totals:
            tell(totals)
    models = {"reference": "ref_model", "teacher": "teacher_model"}
    others = {models[name]: _stand_in(ingredients.processing_class) for name in method.takes}
    trainer = make_trainer(
        Binding(method=method, compute_loss=_no_loss, native=checked.config.native, template=ingredients.template),
        run,
        model=_stand_in(ingredients.processing_class),
        args=ingredients.args,
        train_dataset=ingredients.train,
        processing_class=ingredients.processing_class,
        **others,
    )
    return trainer, ingredients.processing_class


def _no_loss(**arguments: Any) -> Any:
    raise AssertionError("a preview trains nothing")


def _stand_in(processing_class: Any) -> Any:
    """A random model with the tokenizer's vocabulary, 2 layers and a hidden size of 8."""
    from transformers import LlamaConfig, LlamaForCausalLM

    from trainwright.template.render import text_tokenizer

    tokenizer = text_tokenizer(processing_class)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=8,
            intermediate_size=8,
            num_hidden_layers=2,
            num_attention_heads=1,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def prepared_rows(trainer: Any, method: Method, processing_class: Any, rows: int) -> Iterator[PreviewRow]:
    """The first rows of a trainer's prepared training data, each collated alone, which leaves out other rows' padding.

    Args:
        trainer: A trainer of `trainwright.trainer.bind`.
        method: Its method.
        processing_class: Its tokenizer or processor.
        rows: Rows to read.
    """
    from trainwright.template.render import text_tokenizer

    tokenizer = text_tokenizer(processing_class)
    for number, example in enumerate(islice(trainer.train_dataset, rows), 1):
        notes = _notes(method, example)
        batch = trainer.data_collator([dict(example)])
        for (ids, supervised), note in zip(_sequences(batch), notes, strict=True):
            yield PreviewRow(pieces(tokenizer, ids), supervised, number, note)


def _notes(method: Method, example: Mapping[str, Any]) -> tuple[str, ...]:
    """What each sequence of a row's batch is."""
    if method.batch == "pairs":
        return ("chosen", "rejected")
    if method.batch == "unpaired":
        return ("desirable" if example["label"] else "undesirable",)
    packed = len(example.get("seq_lengths") or ())
    return (f"{packed} sequences packed" if packed else "",)


def _sequences(batch: Mapping[str, Any]) -> Iterator[tuple[list[int], list[int]]]:
    """Ids and supervision of each row of a collated batch, padding left out."""
    import torch

    from trainwright.loss.supervision import KEY

    ids = batch["input_ids"]
    supervised = torch.zeros_like(ids)
    # Position s predicts token s + 1: the token predicted is what carries loss.
    supervised.view(-1)[batch[KEY]["index"] + 1] = 1
    there = batch.get("attention_mask", torch.ones_like(ids)).bool()
    for row, mask, keep in zip(ids, supervised, there, strict=True):
        yield row[keep].tolist(), mask[keep].tolist()
