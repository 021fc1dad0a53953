"""Load a tokenizer or processor, and a model: of the right class, on the right device, with every weight in place."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from trainwright.config.models import LoraSection, ModelSection, RunConfig
from trainwright.errors import ModelError, Problem
from trainwright.model.find import find_adapter, section_key
from trainwright.model.quantize import quantization
from trainwright.model.reading import reading
from trainwright.model.source import Source
from trainwright.trainer.methods import METHODS, Method

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_NAMED = {
    "dtype": "dtype",
    "torch_dtype": "dtype",
    "attn_implementation": "attn_implementation",
    "trust_remote_code": "trust_remote_code",
    "revision": "revision",
    "pretrained_model_name_or_path": "path",
}
"""Keyword of `from_pretrained` → the section's key for it."""

_OURS = ("config", "gguf_file", "num_labels", "output_loading_info", "state_dict")
"""Keywords that the loading itself decides."""

_LAUNCHERS = ("ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED")
_DEFAULT_SEED = 42  # TRL's


def load_processing(section: ModelSection, config: RunConfig) -> Any:
    """Load the tokenizer, or for a model that takes images the processor.

    Args:
        section: The model's section.
        config: The run's config.

    Returns:
        A `PreTrainedTokenizerBase` or a `ProcessorMixin`.

    Raises:
        ModelError: The model is not there, or has no tokenizer that can be read.
    """
    source = Source(section, config)
    with reading("tokenizer", section.path, source.where):
        from transformers import AutoProcessor, AutoTokenizer

        text_only = METHODS[config.method].batch == "scores" or not source.is_vision()
        return (AutoTokenizer if text_only else AutoProcessor).from_pretrained(source.path, **source.identity)


def load_model(
    section: ModelSection,
    config: RunConfig,
    *,
    lora: LoraSection | None = None,
    method: Method | None = None,
    training: bool = True,
) -> PreTrainedModel:
    """Load a model: a causal LM, an image-text-to-text model, or for a method that trains scores a classifier.

    Args:
        section: The model's section: `config.model`, `config.reference` or `config.teacher`.
        config: The run's config.
        lora: The adapter to be trained, whose `quantize` says how the base is stored; the adapter itself is added by
            the trainer, from `trainwright.model.lora.lora_config`.
        method: The training method; by default the config's.
        training: Whether the model is to be trained. If not, it is in evaluation mode and its parameters are frozen.

    Returns:
        The model, or a `PeftModel` around it where the section names an adapter. In one process with CUDA devices it
        lies on them, as where TRL loads models; else on the CPU, from where the trainer moves it.

    Raises:
        ModelError: The model is not there, is not whole or of the wrong kind, or settings contradict each other.
    """
    _refuse_clashes(section, lora, config)
    stored = quantization(section, lora, config)
    source = Source(section, config)
    adapter = find_adapter(section, config)
    keywords = {"device_map": _device_map(config), **section.init_kwargs, **stored, "dtype": section.dtype}
    if section.attn_implementation is not None:
        keywords["attn_implementation"] = section.attn_implementation
    with reading("model", section.path, source.where):
        if (method or METHODS[config.method]).batch == "scores":
            model = source.scorer(keywords, int(config.training.get("seed", _DEFAULT_SEED)))
        else:
            model = source.language_model(keywords)
    if adapter is not None:
        with reading("adapter", adapter, config.where(f"{section_key(section, config)}.adapter")):
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, adapter, is_trainable=training)
    return model if training else model.eval().requires_grad_(False)


def _device_map(config: RunConfig) -> str | None:
    """`auto` where one process has CUDA devices to itself; else None, and the launcher or the trainer places it."""
    import torch

    launched = int(os.environ.get("WORLD_SIZE", "1")) > 1 or any(os.environ.get(name) == "true" for name in _LAUNCHERS)
    sharded = any(config.training.get(name) for name in ("deepspeed", "fsdp", "use_cpu"))
    return "auto" if torch.cuda.is_available() and not launched and not sharded else None


def _refuse_clashes(section: ModelSection, lora: LoraSection | None, config: RunConfig) -> None:
    """Refuse what is said twice, or cannot be said here.

    Raises:
        ModelError: With every such setting.
    """
    key = section_key(section, config)
    problems = []
    for name in section.init_kwargs:
        place = config.where(f"{key}.init_kwargs.{name}")
        if name in _NAMED:
            own = f"`{key}.{_NAMED[name]}`"
            problems.append(Problem(f"`{name}` in `init_kwargs` is what {own} says", place, f"Set {own}."))
        elif name in _OURS:
            problems.append(Problem(f"`{name}` cannot be given: loading decides it", place, "Remove it."))
    if lora is not None and section.adapter is not None:
        message = "`lora:` starts a new adapter, and `adapter` goes on with one"
        problems.append(Problem(message, config.where(f"{key}.adapter"), "Remove one of them."))
    if lora is not None and lora.quantize and "quantization_config" in section.init_kwargs:
        message = "`quantization_config` and `lora.quantize` both say how the weights are stored"
        problems.append(Problem(message, config.where("lora.quantize"), "Remove one of them."))
    if problems:
        raise ModelError.together(problems)
