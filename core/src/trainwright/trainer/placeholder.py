"""A model of a few kilobytes, for TRL's trainers that insist on a reference model which the loss never asks for."""

from __future__ import annotations

from typing import Any


def placeholder_model() -> Any:
    """A causal language model with 8 tokens and one layer of width 8."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=8,
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    return LlamaForCausalLM(config)
