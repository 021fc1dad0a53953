"""Tiny models of every family, made from a config with seeded weights; nothing is downloaded."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainwright.testing.families import Family, find_family
from trainwright.testing.tokenizers import tiny_tokenizer

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerFast


def tiny_config(family: str, *, vocab_size: int | None = None, **overrides: Any) -> PreTrainedConfig:
    """Return the config of a family's tiny model.

    Args:
        family: A name in `FAMILIES`.
        vocab_size: Rows of the embedding and of the head; by default the length of the family's tiny tokenizer.
        overrides: Further fields of the config; a mapping (`text_config={...}`) is merged into the family's own.

    Raises:
        KeyError: Where there is no such family.
    """
    import transformers

    row = find_family(family)
    tokenizer = tiny_tokenizer(family)
    text = {
        "vocab_size": vocab_size or len(tokenizer),
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    fields = dict(row.sizes)
    if "vision" in row.traits:
        fields |= {"text_config": {**row.sizes["text_config"], **text}, **_image_tokens(row, tokenizer)}
    else:
        fields |= text
    for name, value in overrides.items():
        merge = isinstance(value, Mapping) and isinstance(fields.get(name), Mapping)
        fields[name] = {**fields[name], **value} if merge else value
    return getattr(transformers, row.config_class)(**deepcopy(fields))


def _image_tokens(row: Family, tokenizer: PreTrainedTokenizerFast) -> dict[str, int]:
    """The ids of the tokens that mark and replace images, under the names that the config gives them."""
    return {field: tokenizer.convert_tokens_to_ids(token) for field, token in row.image_tokens.items()}


def tiny_model(
    family: str,
    *,
    seed: int = 0,
    dtype: torch.dtype | None = None,
    vocab_size: int | None = None,
    **config_overrides: Any,
) -> PreTrainedModel:
    """Return a family's tiny model in evaluation mode, as `from_pretrained` would.

    Weights are drawn in float32 from `seed` and then cast, so models of two dtypes differ by rounding alone. Biases and
    the weights of norms, which start as zeros and ones, are moved off them: a mistake in their use shows.

    Args:
        family: A name in `FAMILIES`.
        seed: Seed of the weights; the global generator is left as it was.
        dtype: Floating dtype of the weights; float32 by default.
        vocab_size: Rows of the embedding and of the head; by default the length of the family's tiny tokenizer.
        config_overrides: See `tiny_config`.

    Raises:
        KeyError: Where there is no such family.
    """
    import torch
    import transformers

    row = find_family(family)
    config = tiny_config(family, vocab_size=vocab_size, **config_overrides)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = getattr(transformers, row.model_class)(config)
        _move_off_the_initial_constants(model)
    if dtype == torch.float64 and "moe" in row.traits:
        model.set_experts_implementation("eager")  # torch's grouped product of the experts has no float64
    return model.to(dtype or torch.float32).eval()


def _move_off_the_initial_constants(model: PreTrainedModel) -> None:
    """Add noise to every vector among the parameters and to every matrix of zeros (Gemma 3's image projection)."""
    import torch

    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1 or not parameter.any():
                parameter += 0.1 * torch.randn_like(parameter)


def tiny_processing_class(family: str) -> Any:
    """Return the family's tiny tokenizer or, for a family that takes images, its processor."""
    row = find_family(family)
    if "vision" in row.traits:
        from trainwright.testing.images import tiny_processor

        return tiny_processor(family)
    return tiny_tokenizer(family)


def save_tiny(family: str, folder: str | Path, **model_arguments: Any) -> Path:
    """Save a family's tiny model with its tokenizer or processor as a checkpoint that transformers loads by its path.

    Args:
        family: A name in `FAMILIES`.
        folder: Where to; made if need be.
        model_arguments: What `tiny_model` takes.

    Returns:
        The folder.
    """
    folder = Path(folder)
    tiny_model(family, **model_arguments).save_pretrained(folder)
    tiny_processing_class(family).save_pretrained(folder)
    return folder
