"""The tokens that end a turn, as the model's own files name them."""

from __future__ import annotations

from typing import Any

from trainwright.config.models import ModelSection, RunConfig
from trainwright.model.source import Source
from trainwright.template.render import text_tokenizer


def declared_stops(section: ModelSection, config: RunConfig, processing_class: Any) -> list[str]:
    """The texts of the tokens at which the model stops generating: of its generation config, then its tokenizer.

    Args:
        section: The model's section.
        config: The run's config.
        processing_class: Its tokenizer or processor.
    """
    from transformers import GenerationConfig

    tokenizer = text_tokenizer(processing_class)
    source = Source(section, config)
    try:
        found = GenerationConfig.from_pretrained(source.path, **source.identity).eos_token_id
    except (OSError, ValueError):  # most base models have no such file
        found = None
    ids = found if isinstance(found, list) else [found]
    texts = [tokenizer.convert_ids_to_tokens(each) for each in ids if each is not None]
    return list(dict.fromkeys(text for text in [*texts, tokenizer.eos_token] if text))
