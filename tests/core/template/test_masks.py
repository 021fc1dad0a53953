"""Which tokens carry loss: exactly those that the model has to generate."""

from __future__ import annotations

import logging

import pytest

from trainwright.template.mask import MaskingTokenizer
from trainwright.testing import family_names, tiny_tokenizer

REWRITING = {"qwen3", "qwen3-moe"}
"""Families whose template writes the last turn otherwise than earlier ones."""


def test_a_turn_goes_from_the_end_of_its_prompt_through_its_stop_token(tokenizer, two_turns, show):
    tokens = MaskingTokenizer(tokenizer)(two_turns)
    assert show(tokenizer, tokens) == (
        "<|im_start|>user\nHi there<|im_end|>\n<|im_start|>assistant\n⟦\nFirst reply. <|im_end|>⟧\n"
        "<|im_start|>user\nAnd now?<|im_end|>\n<|im_start|>assistant\n⟦Good day<|im_end|>⟧\n"
    )


@pytest.mark.parametrize("family", [name for name in family_names() if name not in REWRITING])
def test_a_derived_mask_equals_that_of_the_family_s_markers(family, two_turns):
    two_turns[1]["content"] = "First reply."
    derived = MaskingTokenizer(tiny_tokenizer(family))(two_turns)
    with_markers = tiny_tokenizer(family, generation_markers=True)
    theirs = with_markers.apply_chat_template(two_turns, return_dict=True, return_assistant_tokens_mask=True)
    assert derived.input_ids == theirs["input_ids"]
    assert derived.supervised == theirs["assistant_masks"]
    assert MaskingTokenizer(with_markers)(two_turns) == derived


def test_a_prefilled_thought_is_prompt_and_not_learnt(two_turns, show):
    tokenizer = tiny_tokenizer("qwen3")
    tokens = MaskingTokenizer(tokenizer)(two_turns[:2], enable_thinking=False)
    assert show(tokenizer, tokens).endswith("assistant\n<think>\n\n</think>\n\n⟦First reply. <|im_end|>⟧\n")


def test_a_turn_of_weight_0_is_context(tokenizer, two_turns, show):
    two_turns[1]["weight"] = 0
    shown = show(tokenizer, MaskingTokenizer(tokenizer)(two_turns))
    assert "assistant\n\nFirst reply. <|im_end|>\n" in shown
    assert shown.count("⟦") == 1
    assert "⟦Good day<|im_end|>⟧" in shown
    assert "weight" not in shown


def test_the_last_turn_of_a_template_that_rewrites_history_can_be_learnt(two_turns, show):
    tokenizer = tiny_tokenizer("qwen3")
    two_turns[1]["weight"] = 0
    shown = show(tokenizer, MaskingTokenizer(tokenizer)(two_turns))
    assert shown.endswith("assistant\n⟦<think>\n\n</think>\n\nGood day<|im_end|>⟧\n")


def test_white_space_and_an_end_of_text_behind_the_stop_token_are_not_learnt(tokenizer, two_turns, show):
    tokenizer.chat_template += "{% if not add_generation_prompt %}<|endoftext|>{% endif %}"
    tokenizer.eos_token = "<|endoftext|>"
    masker = MaskingTokenizer(tokenizer)
    assert masker.stops == ["<|endoftext|>", "<|im_end|>"]
    shown = show(tokenizer, masker(two_turns))
    assert "⟦\nFirst reply. <|im_end|>⟧\n" in shown
    assert shown.endswith("⟦Good day<|im_end|>⟧\n<|endoftext|>")


def test_a_stop_token_written_only_between_turns_belongs_to_the_turn_before(tokenizer, two_turns, show, caplog):
    tokenizer.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}"
        "{% if not loop.last or add_generation_prompt %}<|im_end|>\n{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    shown = show(tokenizer, MaskingTokenizer(tokenizer)(two_turns))
    assert "⟦\nFirst reply. <|im_end|>⟧\n" in shown
    assert shown.endswith("⟦Good day⟧")


def test_tool_calls_are_learnt_and_tool_results_are_not(show):
    tokenizer = tiny_tokenizer("qwen2.5")
    call = {"type": "function", "function": {"name": "get_weather", "arguments": {"city": "Paris"}}}
    messages = [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "12 degrees"},
        {"role": "assistant", "content": "It is 12 degrees."},
    ]
    tools = '[{"type": "function", "function": {"name": "get_weather", "description": "w", "parameters": {}}}]'
    shown = show(tokenizer, MaskingTokenizer(tokenizer)(messages, tools))
    first, second = shown.split("⟦")[1:]
    assert first.split("⟧")[0].lstrip().startswith("<tool_call>")
    assert "get_weather" in first.split("⟧")[0]
    assert "12 degrees" in first.split("⟧")[1]
    assert second.startswith("It is 12 degrees.<|im_end|>⟧")
    assert '"description": "w"' in shown.split("⟦")[0]


def test_markers_say_what_is_learnt_even_a_newline_behind_the_stop_token(tokenizer, two_turns, show):
    tokenizer.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n"
        "{% if m.role == 'assistant' %}{% generation %}{{ m.content }}<|im_end|>\n{% endgeneration %}"
        "{% else %}{{ m.content }}<|im_end|>\n{% endif %}{% endfor %}"
    )
    two_turns[1]["content"] = "First reply."
    tokens = MaskingTokenizer(tokenizer)(two_turns)
    theirs = tokenizer.apply_chat_template(two_turns, return_dict=True, return_assistant_tokens_mask=True)
    assert tokens.supervised == theirs["assistant_masks"]
    assert "⟦First reply.<|im_end|>\n⟧" in show(tokenizer, tokens)
    two_turns[1]["weight"] = 0
    assert show(tokenizer, MaskingTokenizer(tokenizer)(two_turns)).count("⟦") == 1


def test_a_template_without_a_stop_token_warns(tokenizer, two_turns, caplog):
    from trainwright.template.mask import masked_answer

    tokenizer.chat_template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    with caplog.at_level(logging.WARNING):
        answer = masked_answer(MaskingTokenizer(tokenizer), "auto")
    assert answer.source.endswith("turns end without a stop token")
    assert "will not learn to stop" in caplog.text


def test_text_only_conversations_go_through_a_processor(two_turns):
    from trainwright.testing import tiny_processing_class

    processor = tiny_processing_class("qwen2.5-vl")
    two_turns[1]["content"] = "First reply."
    assert MaskingTokenizer(processor)(two_turns) == MaskingTokenizer(tiny_tokenizer("qwen2.5-vl"))(two_turns)
