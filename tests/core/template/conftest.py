"""Tokenizers and readable masks for the tests of chat templates."""

from __future__ import annotations

import pytest

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture
def tokenizer():
    """A tokenizer with ChatML's special tokens and the plain ChatML template: no system prompt, no markers."""
    from trainwright.testing import tiny_tokenizer

    tokenizer = tiny_tokenizer("qwen2.5")
    tokenizer.chat_template = CHATML
    return tokenizer


@pytest.fixture
def two_turns():
    """A conversation whose first answer has white space around it."""
    return [
        {"role": "user", "content": "Hi there"},
        {"role": "assistant", "content": "\nFirst reply. "},
        {"role": "user", "content": "And now?"},
        {"role": "assistant", "content": "Good day"},
    ]


@pytest.fixture
def show():
    """Tokens as text, what carries loss in ⟦brackets⟧."""

    def show(tokenizer, tokens):
        pairs = zip(tokens.input_ids, tokens.supervised, strict=True)
        pieces = [f"⟦{tokenizer.decode([token])}⟧" if flag else tokenizer.decode([token]) for token, flag in pairs]
        return "".join(pieces).replace("⟧⟦", "")

    return show
