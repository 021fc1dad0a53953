"""A small real tokenizer for each family: one byte-level BPE, the family's special tokens, and its chat template.

The merges are learnt when the first tokenizer is asked for (some milliseconds) and are the same in every process.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from trainwright.testing.families import Family, find_family
from trainwright.testing.sentences import CORPUS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

ORDINARY_TOKENS = 512
"""Tokens of the vocabulary that are not special: 256 bytes and the merges."""

_GENERATION = re.compile(r"\{%-? (?:end)?generation -?%\}")


def tiny_tokenizer(family: str, *, generation_markers: bool = False) -> PreTrainedTokenizerFast:
    """Return a new tokenizer with a family's special tokens and chat template.

    Args:
        family: A name in `FAMILIES`.
        generation_markers: Keep `{% generation %}` around what the assistant says, so that
            `apply_chat_template(return_assistant_tokens_mask=True)` gives the true mask. Published templates have no
            markers, nor has this one by default.

    Returns:
        A tokenizer of its own: changing it changes no other.
    """
    from transformers import PreTrainedTokenizerFast

    row = find_family(family)
    tokens = row.tokens
    return PreTrainedTokenizerFast(
        tokenizer_object=_backend(row),
        bos_token=tokens.bos,
        eos_token=tokens.eos,
        pad_token=tokens.pad,
        extra_special_tokens=_extra_special_tokens(row),
        chat_template=chat_template(family, generation_markers=generation_markers),
        model_max_length=row.sizes.get("max_position_embeddings", 1024),
        padding_side="right",
        clean_up_tokenization_spaces=False,
    )


def chat_template(family: str, *, generation_markers: bool = False) -> str:
    """Return the Jinja source of a family's chat template, as `tiny_tokenizer` sets it."""
    path = files("trainwright.testing") / "templates" / f"{find_family(family).template}.jinja"
    source = path.read_text(encoding="utf-8")
    return source if generation_markers else _GENERATION.sub("", source)


def _extra_special_tokens(row: Family) -> Any:
    """Special tokens without a role of their own; a mapping where a processor asks for them by name."""
    return dict(row.tokens.named) if row.tokens.named else list(row.tokens.markers)


def _backend(row: Family) -> Any:
    """The `tokenizers.Tokenizer` of a family."""
    from tokenizers import AddedToken, Tokenizer
    from tokenizers.processors import TemplateProcessing

    tokens = row.tokens
    tokenizer = Tokenizer.from_str(_trained_bpe())
    special = [token for token in (tokens.bos, tokens.eos, tokens.pad, *tokens.markers) if token]
    tokenizer.add_special_tokens(list(dict.fromkeys(special)))
    tokenizer.add_tokens([AddedToken(word, special=False, normalized=False) for word in tokens.words])
    if row.adds_bos and tokens.bos:
        tokenizer.post_processor = TemplateProcessing(
            single=f"{tokens.bos} $A",
            pair=f"{tokens.bos} $A {tokens.bos} $B",
            special_tokens=[(tokens.bos, tokenizer.token_to_id(tokens.bos))],
        )
    return tokenizer


@cache
def _trained_bpe() -> str:
    """Learn the merges from the corpus; the JSON of a `tokenizers.Tokenizer` without special tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=ORDINARY_TOKENS,
        min_frequency=1,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return str(tokenizer.to_str())
