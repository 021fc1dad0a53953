"""The two trainers of a task, on the same random model, rows and settings.

Trainwright's is made as `trainwright train` makes it, from a config file; only the loading of weights is replaced.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from e2e.cases import Task
from e2e.inputs import random_model, random_rows, reference_model, save_model_folder, save_rows, tokenizer

BETA = {"dpo": 5.0, "kto": 0.1}  # that of Tülu 3 for length-normalised DPO, and KTO's default
RANK = 16
LEARNING_RATE = 1e-4  # above TRL's defaults, so that a few steps show in the loss
_TRL = {"sft": ("SFTTrainer", "SFTConfig"), "dpo": ("DPOTrainer", "DPOConfig"), "kto": ("KTOTrainer", "KTOConfig")}


def _training(task: Task) -> dict[str, Any]:
    """The fields of TRL's config class that both are given; all others are TRL's defaults."""
    on_device = {"bf16": True} if task.device == "cuda" else {"bf16": False, "use_cpu": True}
    return {
        "max_steps": len(task.lengths),
        "per_device_train_batch_size": task.case.batch,
        "max_length": max(task.lengths),
        "learning_rate": LEARNING_RATE,
        "gradient_checkpointing": True,
        "train_sampling_strategy": "sequential",
        "logging_first_step": True,
        "logging_steps": len(task.lengths),
        "save_strategy": "no",
        **on_device,
    }


def _native_loss(task: Task) -> dict[str, Any]:
    """What makes TRL's own loss that of the plugin."""
    loss = {"loss_type": ["sigmoid_norm"]} if task.case.method == "dpo" else {}
    return {} if task.case.method == "sft" else {**loss, "beta": BETA[task.case.method]}


def trainer_of(task: Task, folder: Path) -> AbstractContextManager[Any]:
    """A trainer, ready to train within the context."""
    made: dict[str, Callable[[Task, Path], AbstractContextManager[Any]]] = {"trl": _trl, "trainwright": _trainwright}
    return made[task.trainer](task, folder)


@contextmanager
def _trl(task: Task, folder: Path) -> Iterator[Any]:
    import trl
    from datasets import Dataset

    case = task.case
    kind, config = (getattr(trl, name) for name in _TRL[case.method])
    quiet = {"report_to": "none", "disable_tqdm": True}
    keywords: dict[str, Any] = {}
    if case.lora:
        keywords["peft_config"] = _lora_config()
    elif case.method != "sft":
        keywords["ref_model"] = reference_model(case.model, task.device)
    yield kind(
        model=random_model(case.model, task.device),
        args=config(**_training(task), **_native_loss(task), **quiet, output_dir=str(folder / "run")),
        train_dataset=Dataset.from_list(random_rows(task)),
        processing_class=tokenizer(case),
        **keywords,
    )


def _lora_config() -> Any:
    from peft import LoraConfig

    return LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules="all-linear", task_type="CAUSAL_LM")


@contextmanager
def _trainwright(task: Task, folder: Path) -> Iterator[Any]:
    from trainwright.cli.prepare import prepare
    from trainwright.config.resolved import dump_resolved
    from trainwright.run.assemble import assemble, gather
    from trainwright.run.callbacks import watch
    from trainwright.run.folder import RunFolder

    checked, manager = prepare(_write_config(task, folder), (), ())
    run = RunFolder.claim(checked.config.output, dump_resolved(checked.config))
    with patch("trainwright.model.load.load_model", _loader(task)) as load_model:
        ingredients = gather(checked, manager, run)
        model = load_model(checked.config.model, checked.config, lora=checked.config.lora, method=checked.method)
        trainer = assemble(checked, manager, ingredients, model, run)
    with watch(trainer, run):
        yield trainer


def _loader(task: Task) -> Callable[..., Any]:
    """Stands for `trainwright.model.load.load_model`, which makes reference models too."""

    def load(section: Any, config: Any, *, training: bool = True, **rest: Any) -> Any:
        return (random_model if training else reference_model)(task.case.model, task.device)

    return load


def _write_config(task: Task, folder: Path) -> Path:
    """The config file, and the files that it names."""
    case, native = task.case, task.loss == "trl"
    save_model_folder(case, folder / "model")
    save_rows(random_rows(task), folder / "rows.jsonl")
    config: dict[str, Any] = {
        "method": case.method,
        "model": {"path": "./model", "attn_implementation": "sdpa"},
        "data": {"train": "rows.jsonl"},
        "loss": task.loss if native or case.method == "sft" else {"name": task.loss, "beta": BETA[case.method]},
        "training": {**_training(task), **(_native_loss(task) if native else {})},
        "output": str(folder / "run"),
    }
    if case.lora:
        config["lora"] = {"r": RANK}
    elif case.method != "sft":
        config["reference"] = {"path": "./model"}
    file = folder / "config.yaml"
    file.write_text(json.dumps(config), encoding="utf-8")  # which is YAML too
    return file
