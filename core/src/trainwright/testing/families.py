"""The families of models that the testing kit makes, one row each.

Sizes are a handful of units a dimension, so that a forward pass takes milliseconds; what makes a family special (its
soft cap, its scales, its router, its proportions) is kept. Classes are named, not imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from trainwright.testing import special_tokens
from trainwright.testing.special_tokens import SpecialTokens

Trait = Literal["tied", "softcap", "logit_scale", "moe", "aux_loss", "vision", "attention_bias", "head_bias"]


@dataclass(frozen=True)
class Family:
    """One family of models.

    Attributes:
        name: What `tiny_model` takes.
        prefix: What transformers' classes of the family begin with.
        sizes: What the config is made with, special-token ids and vocabulary aside.
        tokens: The special tokens.
        template: The chat template's file in `templates/`, without its suffix.
        traits: What a test can choose families by, see `family_names`.
        adds_bos: Whether encoding a text puts `bos` in front of it.
        tokenizer: The tokenizer class that `AutoTokenizer` makes of the family's checkpoints.
        model_suffix: What the name of the model class ends in.
        config: The config class, where it is not `<prefix>Config`.
        image_tokens: The config's fields that hold ids of image tokens, and those tokens.
    """

    name: str
    prefix: str
    sizes: Mapping[str, Any]
    tokens: SpecialTokens
    template: str
    traits: frozenset[Trait] = frozenset()
    adds_bos: bool = False
    tokenizer: str = "PreTrainedTokenizerFast"
    model_suffix: str = "ForCausalLM"
    config: str = ""
    image_tokens: Mapping[str, str] = field(default_factory=dict)

    @property
    def model_class(self) -> str:
        """The name of the model class in transformers."""
        return self.prefix + self.model_suffix

    @property
    def config_class(self) -> str:
        """The name of the config class in transformers."""
        return self.config or f"{self.prefix}Config"


# The spread of the weights is ~1/sqrt(hidden size): logits with a spread of about one, so that a loss differs from
# log V and no gradient vanishes. Families that scale or cap their logits get more, so that their factor shows.
_DENSE: Mapping[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
    "initializer_range": 0.2,
}
_TIED: Mapping[str, Any] = {**_DENSE, "tie_word_embeddings": True}
_UNTIED: Mapping[str, Any] = {**_DENSE, "tie_word_embeddings": False}
_QWEN3: Mapping[str, Any] = {**_TIED, "head_dim": 8}
_GEMMA: Mapping[str, Any] = {
    **_TIED,
    "head_dim": 8,
    "query_pre_attn_scalar": 8,
    "sliding_window": 16,
    "layer_types": ["sliding_attention", "full_attention"],
}
# Text weights a little wider: Gemma's norms multiply by (1 + weight), and its embeddings by sqrt(hidden size).
_GEMMA3: Mapping[str, Any] = {**_GEMMA, "initializer_range": 0.25}

FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        Family("llama", "Llama", _UNTIED, special_tokens.LLAMA3, "llama3", adds_bos=True),
        Family(
            "qwen2.5",
            "Qwen2",
            _TIED,
            special_tokens.QWEN2,
            "qwen2.5",
            frozenset({"tied", "attention_bias"}),
            tokenizer="Qwen2Tokenizer",
        ),
        Family(
            "qwen3", "Qwen3", _QWEN3, special_tokens.QWEN3, "qwen3", frozenset({"tied"}), tokenizer="Qwen2Tokenizer"
        ),
        Family(
            "qwen3-2507",
            "Qwen3",
            {**_QWEN3, "rope_parameters": {"rope_type": "default", "rope_theta": 5_000_000.0}},
            special_tokens.QWEN3,
            "qwen3-2507",
            frozenset({"tied"}),
            tokenizer="Qwen2Tokenizer",
        ),
        Family(
            "qwen3-moe",
            "Qwen3Moe",
            # Qwen3-30B-A3B has H = 2048, 32 heads of 128 (2H together) with 4 for keys and values, a dense width of
            # 3H, experts of 3H/8 and of 128 experts 8 active. All these ratios are kept at H = 64 with 2 of 32 active.
            {
                **_UNTIED,
                "hidden_size": 64,
                "num_attention_heads": 8,
                "num_key_value_heads": 1,
                "head_dim": 16,
                "intermediate_size": 192,
                "moe_intermediate_size": 24,
                "num_experts": 32,
                "num_experts_per_tok": 2,
                "norm_topk_prob": True,
                "router_aux_loss_coef": 0.001,
                "initializer_range": 0.15,
            },
            special_tokens.QWEN3,
            "qwen3",
            frozenset({"moe", "aux_loss"}),
            tokenizer="Qwen2Tokenizer",
        ),
        Family(
            "gemma2",
            "Gemma2",
            {**_GEMMA, "final_logit_softcapping": 2.0, "attn_logit_softcapping": 1.0, "initializer_range": 0.3},
            special_tokens.GEMMA,
            "gemma2",
            frozenset({"tied", "softcap"}),
            adds_bos=True,
        ),
        Family(
            "gemma3",
            "Gemma3",
            _GEMMA3,
            special_tokens.GEMMA3,
            "gemma3",
            frozenset({"tied"}),
            adds_bos=True,
            config="Gemma3TextConfig",
        ),
        Family(
            "gemma3-vlm",
            "Gemma3",
            # 28 x 28 pixels make 4 x 4 patches, pooled to 4 tokens an image.
            {
                "text_config": _GEMMA3,
                "vision_config": {
                    "hidden_size": 16,
                    "intermediate_size": 32,
                    "num_hidden_layers": 1,
                    "num_attention_heads": 2,
                    "image_size": 28,
                    "patch_size": 7,
                    "vision_use_head": False,
                },
                "mm_tokens_per_image": 4,
                "initializer_range": 0.25,
            },
            special_tokens.GEMMA3,
            "gemma3",
            frozenset({"tied", "vision"}),
            adds_bos=True,
            model_suffix="ForConditionalGeneration",
            image_tokens={
                "boi_token_index": "<start_of_image>",
                "eoi_token_index": "<end_of_image>",
                "image_token_index": "<image_soft_token>",
            },
        ),
        Family(
            "cohere",
            "Cohere",
            {**_TIED, "logit_scale": 0.25, "initializer_range": 0.5},
            special_tokens.COHERE,
            "cohere",
            frozenset({"tied", "logit_scale"}),
            adds_bos=True,
        ),
        Family(
            "cohere2",
            "Cohere2",
            {
                **_TIED,
                "logit_scale": 0.25,
                "initializer_range": 0.5,
                "sliding_window": 16,
                "layer_types": ["sliding_attention", "full_attention"],
            },
            special_tokens.COHERE2,
            "cohere2",
            frozenset({"tied", "logit_scale"}),
            adds_bos=True,
        ),
        Family(
            "granite",
            "Granite",
            {
                **_TIED,
                "logits_scaling": 4.0,
                "embedding_multiplier": 6.0,
                "residual_multiplier": 0.5,
                "attention_multiplier": 0.125,
                "initializer_range": 0.5,
            },
            special_tokens.GRANITE,
            "granite",
            frozenset({"tied", "logit_scale"}),
        ),
        Family(
            "mixtral",
            "Mixtral",
            {**_UNTIED, "num_local_experts": 4, "num_experts_per_tok": 2, "router_aux_loss_coef": 0.02},
            special_tokens.MISTRAL,
            "mistral",
            frozenset({"moe", "aux_loss"}),
            adds_bos=True,
        ),
        Family(
            "deepseek-v2",
            "DeepseekV2",
            # As in V2-Lite: queries uncompressed, the first layer dense. Its class in transformers has no router loss.
            {
                **_UNTIED,
                "num_key_value_heads": 4,
                "q_lora_rank": None,
                "kv_lora_rank": 16,
                "qk_nope_head_dim": 8,
                "qk_rope_head_dim": 4,
                "v_head_dim": 8,
                "first_k_dense_replace": 1,
                "n_routed_experts": 8,
                "n_shared_experts": 1,
                "num_experts_per_tok": 2,
                "moe_intermediate_size": 16,
            },
            special_tokens.DEEPSEEK,
            "deepseek-v2",
            frozenset({"moe"}),
            adds_bos=True,
        ),
        Family(
            "phi",
            "Phi",
            {**_UNTIED, "num_key_value_heads": 4, "partial_rotary_factor": 0.5},
            special_tokens.PHI,
            "phi",
            frozenset({"attention_bias", "head_bias"}),
        ),
        Family(
            "qwen2.5-vl",
            "Qwen2_5_VL",
            # Patches of 14 pixels, merged 2 x 2: an image of 28 x 56 pixels makes 2 tokens.
            {
                "text_config": {
                    **_DENSE,
                    "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [2, 1, 1]},
                },
                "vision_config": {
                    "depth": 2,
                    "hidden_size": 16,
                    "intermediate_size": 32,
                    "num_heads": 2,
                    "out_hidden_size": 32,
                    "fullatt_block_indexes": [1],
                    "initializer_range": 0.2,
                },
                "tie_word_embeddings": False,
            },
            special_tokens.QWEN2,
            "qwen2.5-vl",
            frozenset({"vision", "attention_bias"}),
            tokenizer="Qwen2Tokenizer",
            model_suffix="ForConditionalGeneration",
            image_tokens={
                "image_token_id": "<|image_pad|>",
                "video_token_id": "<|video_pad|>",
                "vision_start_token_id": "<|vision_start|>",
                "vision_end_token_id": "<|vision_end|>",
            },
        ),
    )
}
"""Family name → row."""


def family_names(*traits: Trait) -> tuple[str, ...]:
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
