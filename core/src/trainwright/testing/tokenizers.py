"""A small real tokenizer for each family: one byte-level BPE, the family's special tokens, and its chat template.

The merges are learnt when the first tokenizer is asked for (some milliseconds) and are the same in every process.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from trainwright.testing.families import Family, find_family
from trainwright.testing.sentences import CORPUS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

ORDINARY_TOKENS = 512
"""Tokens of the vocabulary that are not special: 256 bytes and the merges. Special tokens have the ids behind them."""

_GENERATION = re.compile(r" *\{%-? (?:end)?generation -?%\}\n")


def tiny_tokenizer(family: str, *, generation_markers: bool = False) -> PreTrainedTokenizerFast:
    """Return a new tokenizer with a family's special tokens and chat template.

    Args:
        family: A name in `FAMILIES`.
        generation_markers: Keep `{% generation %}` around what the assistant says, through its stop token, so that
            `apply_chat_template(return_assistant_tokens_mask=True)` gives the true mask. Published templates have no
            markers, nor has this one by default.

    Returns:
        A tokenizer of its own: changing it changes no other.

    Raises:
        KeyError: Where there is no such family.
    """
    import transformers
    from tokenizers import AddedToken

    row = find_family(family)
    tokenizer = getattr(transformers, row.tokenizer)(
        **_vocabulary(row),
        bos_token=row.tokens.bos,
        eos_token=row.tokens.eos,
        pad_token=row.tokens.pad,
        extra_special_tokens=list(row.tokens.markers),
        model_specific_special_tokens=dict(row.tokens.named),
        add_bos_token=row.adds_bos,
        chat_template=chat_template(family, generation_markers=generation_markers),
        model_max_length=1024,
        padding_side="right",
    )
    tokenizer.add_tokens([AddedToken(word, special=False, normalized=False) for word in row.tokens.words])
    return tokenizer


def chat_template(family: str, *, generation_markers: bool = False) -> str:
    """Return the Jinja source of a family's chat template, as `tiny_tokenizer` sets it."""
    path = files("trainwright.testing") / "templates" / f"{find_family(family).template}.jinja"
    source = path.read_text(encoding="utf-8")
    return source if generation_markers else _GENERATION.sub("", source)


def _vocabulary(row: Family) -> dict[str, Any]:
    """The learnt vocabulary as the arguments that a tokenizer class takes it by.

    A class of the family's own (Qwen2Tokenizer) splits text its own way and would do so again when it is loaded, so it
    is given the tokens and merges alone.
    """
    from tokenizers import Tokenizer

    if row.tokenizer == "PreTrainedTokenizerFast":
        return {"tokenizer_object": Tokenizer.from_str(_trained_bpe())}
    model = json.loads(_trained_bpe())["model"]
    return {"vocab": model["vocab"], "merges": [tuple(merge) for merge in model["merges"]]}


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
