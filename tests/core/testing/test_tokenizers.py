"""Tiny tokenizers: real special tokens, and chat templates that render as the published ones do."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from trainwright.testing import FAMILIES, tiny_tokenizer
from trainwright.testing.tokenizers import ORDINARY_TOKENS

EVERY = pytest.mark.parametrize("family", FAMILIES)
QUESTION = {"role": "user", "content": "What do bees make?"}
ANSWER = {"role": "assistant", "content": "Honey 🥐, and wax."}
CHAT = [QUESTION, ANSWER, {"role": "user", "content": "Who says so?"}, {"role": "assistant", "content": "I do."}]
REFUSE_SYSTEM = ("gemma2", "mixtral")
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}


def render(family, messages, **arguments):
    return tiny_tokenizer(family).apply_chat_template(messages, tokenize=False, **arguments)


@EVERY
def test_every_special_token_is_one_id_of_its_own_behind_the_ordinary_ones(family):
    tokenizer, tokens = tiny_tokenizer(family), FAMILIES[family].tokens
    special = {tokens.bos, tokens.eos, tokens.pad, *tokens.markers, *tokens.named.values()} - {None}
    ids = [tokenizer.encode(token, add_special_tokens=False) for token in {*special, *tokens.words}]
    assert all(len(each) == 1 and each[0] >= ORDINARY_TOKENS for each in ids)
    assert len({each[0] for each in ids}) == len(ids)
    assert set(tokenizer.all_special_tokens) == special
    assert len(tokenizer) == ORDINARY_TOKENS + len(ids)


@EVERY
def test_any_text_survives_and_special_tokens_can_be_skipped(family):
    tokenizer = tiny_tokenizer(family)
    text = "Don't: 1234 + x\n\n\tein Brötchen 🥐 漢字 "
    ids = tokenizer.encode(text, add_special_tokens=False)
    assert tokenizer.decode(ids) == text
    words = "".join(FAMILIES[family].tokens.words)
    wrapped = tokenizer.encode(tokenizer.eos_token + text + words + tokenizer.pad_token, add_special_tokens=False)
    assert tokenizer.decode(wrapped, skip_special_tokens=True) == text + words


@EVERY
def test_bos_is_put_in_front_where_the_table_says(family):
    tokenizer = tiny_tokenizer(family)
    bare = tokenizer.encode("bees", add_special_tokens=False)
    expected = [tokenizer.bos_token_id, *bare] if FAMILIES[family].adds_bos else bare
    assert tokenizer("bees").input_ids == expected


@EVERY
def test_the_generation_prompt_is_where_the_answer_begins(family):
    prompt = render(family, CHAT[:-1], add_generation_prompt=True)
    whole = render(family, CHAT)
    assert whole.startswith(prompt)
    assert "I do." in whole[len(prompt) :]
    assert prompt.startswith(render(family, CHAT[:-1]))
    assert (prompt == render(family, CHAT[:-1])) == (family == "mixtral")


@EVERY
def test_with_markers_the_mask_covers_what_the_assistant_says_through_its_stop_token(family):
    marked = tiny_tokenizer(family, generation_markers=True)
    assert marked.apply_chat_template(CHAT, tokenize=False) == render(family, CHAT)
    encoded = marked.apply_chat_template(CHAT, return_dict=True, return_assistant_tokens_mask=True)
    said = [token for token, mask in zip(encoded["input_ids"], encoded["assistant_masks"], strict=True) if mask]
    text = marked.decode(said)
    assert ANSWER["content"] in text
    assert QUESTION["content"] not in text
    assert text.endswith(marked.eos_token) or text.endswith("<end_of_turn>")
    assert "generation %}" not in tiny_tokenizer(family).chat_template


@EVERY
def test_system_turns_are_rendered_or_refused(family):
    from jinja2 import TemplateError

    messages = [{"role": "system", "content": "Be brief."}, *CHAT]
    if family in REFUSE_SYSTEM:
        with pytest.raises(TemplateError, match="system"):
            render(family, messages)
    else:
        assert "Be brief." in render(family, messages)


def test_qwen3_forgets_thinking_of_earlier_turns_and_2507_does_not():
    thinking = {"role": "assistant", "content": "<think>\nhm, bees\n</think>\n\nHoney."}
    chat = [QUESTION, thinking, QUESTION, thinking]
    assert render("qwen3", chat).count("hm, bees") == 1
    assert render("qwen3-2507", chat).count("hm, bees") == 2
    assert render("qwen3", [QUESTION], add_generation_prompt=True, enable_thinking=False).endswith("</think>\n\n")


@pytest.mark.parametrize("family", ["qwen2.5", "qwen3", "qwen3-2507", "qwen3-moe", "granite"])
def test_tools_calls_and_their_results_are_rendered(family):
    call = {"type": "function", "function": {"name": "weather", "arguments": {"city": "Oslo"}}}
    chat = [
        QUESTION,
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "rain tomorrow"},
        ANSWER,
    ]
    text = render(family, chat, tools=[TOOL])
    places = [text.index(word) for word in ("parameters", "Oslo", "rain tomorrow", "Honey")]
    assert places == sorted(places)


PUBLISHED = {
    "llama": "llama3",
    "qwen2.5": "qwen2_5",
    "qwen3": "qwen3",
    "qwen3-2507": "qwen3_instruct_2507",
    "gemma2": "gemma",
    "gemma3": "gemma3",
    "cohere": "cohere",
    "qwen2.5-vl": "qwen2_5_vl",
}


@pytest.mark.parametrize("prompt", [False, True])
@pytest.mark.parametrize("family", PUBLISHED)
def test_conversations_render_as_the_published_template_renders_them(family, prompt):
    folder = Path(find_spec("trl").origin).parent / "chat_templates"
    published = (folder / f"{PUBLISHED[family]}.jinja").read_text(encoding="utf-8")
    chat = CHAT[:-1] if prompt else CHAT
    for system in ([], [{"role": "system", "content": "Be brief."}]):
        if system and family in REFUSE_SYSTEM:
            continue
        ours = render(family, system + chat, add_generation_prompt=prompt)
        assert ours == render(family, system + chat, add_generation_prompt=prompt, chat_template=published)


def test_a_tokenizer_is_the_caller_s_own():
    tiny_tokenizer("llama").add_tokens(["<mine>"])
    assert "<mine>" not in tiny_tokenizer("llama").get_vocab()
