"""Templates and conversations whose mask cannot be verified are refused, with both renders and a way out."""

from __future__ import annotations

import pytest

from trainwright.errors import DataError, ModelError
from trainwright.template.mask import MaskingTokenizer
from trainwright.template.spans import Span
from trainwright.template.verify import verify
from trainwright.testing import tiny_tokenizer


def refusal(tokenizer, messages, **variables):
    with pytest.raises(DataError) as caught:
        MaskingTokenizer(tokenizer)(messages, **variables)
    return str(caught.value)


def test_a_template_that_changes_history(two_turns):
    message = refusal(tiny_tokenizer("qwen3"), two_turns)
    assert "writes message 1 (assistant) otherwise once other messages follow it" in message
    assert "as the last turn  : '<|im_start|>user\\nHi there" in message
    assert "⟂ '<think>\\n\\n</think>" in message
    assert "`weight: 0`" in message


def test_a_template_that_strips_reasoning_from_the_past(two_turns):
    two_turns[1]["content"] = "<think>\nhm\n</think>\n\nFirst reply."
    assert "writes message 1 (assistant) otherwise" in refusal(tiny_tokenizer("qwen3"), two_turns)


def test_a_prompt_that_differs_from_the_past(tokenizer, two_turns):
    tokenizer.chat_template = tokenizer.chat_template.replace("assistant\n{% endif", "assistant\n<think>\n{% endif")
    message = refusal(tokenizer, two_turns)
    assert "the prompt of message 1 (assistant) is not how the whole conversation begins" in message
    assert "prompt at inference: " in message


def test_a_template_that_lets_the_last_turn_go_on_after_its_stop_token(tokenizer, two_turns):
    tokenizer.chat_template += "{% if not add_generation_prompt %}That was all.{% endif %}"
    message = refusal(tokenizer, two_turns)
    assert "writes message 1 (assistant) otherwise" in message
    assert "⟂ 'That was all.'" in message


def test_a_template_that_drops_assistant_turns(tokenizer, two_turns):
    tokenizer.chat_template = tokenizer.chat_template.replace("{{ m.content }}", "{{ m.content if m.role == 'user' }}")
    message = refusal(tokenizer, two_turns)
    assert "`content` of message 1 (assistant) is missing from what would be trained on" in message
    assert "First reply." in message


def test_a_template_that_writes_no_assistant_turn_at_all(tokenizer, two_turns):
    tokenizer.chat_template = "{% for m in messages if m.role == 'user' %}{{ m.content }}\n{% endfor %}"
    assert "writes nothing for message 1 (assistant)" in refusal(tokenizer, two_turns)


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"reasoning_content": "Let me see."}, "`reasoning_content`"),
        ({"tool_calls": [{"type": "function", "function": {"name": "look", "arguments": {}}}]}, "called tool"),
    ],
)
def test_a_template_that_drops_a_part_of_a_turn(tokenizer, two_turns, more, what):
    two_turns[3].update(more)
    assert what in refusal(tokenizer, two_turns)


@pytest.mark.parametrize(
    "body",
    [
        # transformers counts characters from the start of the macro, so the span is shifted
        "{% macro say(m) %}<|im_start|>assistant\n{% generation %}{{ m.content }}<|im_end|>{% endgeneration %}\n"
        "{% endmacro %}{% for m in messages %}{% if m.role == 'assistant' %}{{ say(m) }}{% else %}"
        "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endif %}{% endfor %}",
        # off by one: the first character of the answer stands before the marker
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}{{ m.content[0] }}"
        "{% generation %}{{ m.content[1:] }}<|im_end|>{% endgeneration %}{% else %}{{ m.content }}<|im_end|>"
        "{% endif %}\n{% endfor %}",
    ],
    ids=["macro", "off-by-one"],
)
def test_misplaced_markers(tokenizer, two_turns, body):
    two_turns[1]["content"] = "First reply."
    tokenizer.chat_template = body
    assert "its markers are misplaced" in refusal(tokenizer, two_turns)


def test_weights_that_cannot_be_matched_with_markers(tokenizer, two_turns):
    two_turns[1]["weight"] = 0
    tokenizer.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}"
        "{% generation %}{{ m.content }}{% endgeneration %}{% generation %}<|im_end|>{% endgeneration %}"
        "{% else %}{{ m.content }}<|im_end|>{% endif %}\n{% endfor %}"
    )
    assert "marks 4 ranges for 2 assistant turns" in refusal(tokenizer, two_turns)


def test_a_template_that_rejects_the_conversation(tokenizer, two_turns):
    tokenizer.chat_template = "{{ raise_exception('No system messages here') }}"
    assert "rejects messages with the roles user, assistant" in refusal(tokenizer, two_turns)


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([], "ends with nothing: it is empty"),
        ([{"role": "user", "content": "Hi"}], "ends with a turn of role 'user'"),
        ([{"role": "assistant", "content": "Hi"}], "starts with an assistant turn"),
        ([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 0}], "has `weight: 0`"),
        ([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 0.5}], "`weight` is 0.5"),
    ],
)
def test_conversations_without_anything_to_learn(tokenizer, messages, message):
    assert message in refusal(tokenizer, messages)


def test_no_chat_template_at_all(tokenizer):
    tokenizer.chat_template = None
    with pytest.raises(ModelError, match="no chat template") as caught:
        MaskingTokenizer(tokenizer)
    assert "template: {name: file" in str(caught.value)


@pytest.mark.parametrize("spans", [[Span(12, 18, 1), Span(15, 20, 3)], [Span(12, 40, 1)], [Span(12, 12, 1)]])
def test_spans_that_overlap_or_leave_the_text(spans):
    messages = [{"role": "user", "content": "ask"}, {"role": "assistant", "content": ""}]
    with pytest.raises(DataError):
        verify("user: ask\nassistant: ok", spans, messages, [1])


@pytest.mark.parametrize("shift", [-1, 1])
def test_spans_that_are_off_by_one(shift):
    text = "user: Hi\nassistant: \nHello.\n"
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]
    start = text.index("Hello.")
    verify(text, [Span(start, start + 6, 1)], messages, [1])
    with pytest.raises(DataError, match="missing from what would be trained on"):
        verify(text, [Span(start + shift, start + 6 + shift, 1)], messages, [1])
