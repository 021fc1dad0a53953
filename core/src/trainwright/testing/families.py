"""The families of models that the testing kit makes, one row each.

Sizes are a handful of units a dimension, so that a forward pass takes milliseconds; what makes a family special (its
soft cap, its scales, its router, its proportions) is kept. Classes are named, not imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Trait = Literal["tied", "softcap", "logit_scale", "moe", "aux_loss", "vision", "attention_bias", "head_bias"]


@dataclass(frozen=True)
class SpecialTokens:
    """A family's special tokens, spelt as in its published tokenizers.

    Attributes:
        eos: Ends a text or, in chat models that do so, a turn.
        pad: Fills a batch.
        bos: Begins a text, where the family has such a token.
        markers: Further special tokens: turns, roles, images.
        words: Single tokens that are not special: kept when special tokens are skipped in decoding.
        named: Attributes of the tokenizer that a processor reads, e.g. `image_token`.
    """

    eos: str
    pad: str
    bos: str | None = None
    markers: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    named: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Family:
    """One family of models.

    Attributes:
        name: What `tiny_model` takes.
        model: The class in transformers.
        config: Its config class.
        sizes: What the config is made with, special-token ids and vocabulary aside.
        tokens: The special tokens.
        template: The chat template's file in `templates/`, without its suffix.
        traits: What a test can choose families by, see `families`.
        adds_bos: Whether encoding a text puts `bos` in front of it.
    """

    name: str
    model: str
    config: str
    sizes: Mapping[str, Any]
    tokens: SpecialTokens
    template: str
    traits: frozenset[Trait] = frozenset()
    adds_bos: bool = False


# The spread of the weights is ~1/sqrt(hidden size): logits with a spread of about one, so that a loss differs from
# log V and no gradient vanishes.
_DENSE: Mapping[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
    "initializer_range": 0.2,
}

_LLAMA3 = SpecialTokens(
    bos="<|begin_of_text|>",
    eos="<|eot_id|>",
    pad="<|finetune_right_pad_id|>",
    markers=("<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eom_id|>", "<|python_tag|>"),
)

FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        Family(
            "llama",
            "LlamaForCausalLM",
            "LlamaConfig",
            {**_DENSE, "tie_word_embeddings": False},
            _LLAMA3,
            "llama3",
            adds_bos=True,
        ),
    )
}
"""Family name → row."""


def families(*traits: Trait) -> tuple[str, ...]:
    """Return the names of the families that have all of `traits`, in the table's order; without traits, all names."""
    return tuple(name for name, family in FAMILIES.items() if family.traits.issuperset(traits))


def find_family(name: str) -> Family:
    """Return a family's row.

    Raises:
        KeyError: Where there is no such family; the message lists those there are.
    """
    if name not in FAMILIES:
        raise KeyError(f"no family {name!r}; there are {', '.join(FAMILIES)}")
    return FAMILIES[name]
