"""Tokens never lie on both sides of a boundary, and prompts are tokenised as at inference."""

from __future__ import annotations

import pytest

from trainwright.errors import DataError
from trainwright.template.mask import MaskingTokenizer
from trainwright.template.segments import tokenize_spans
from trainwright.template.spans import Span


def wordpieces(*, prepend=False):
    """A SentencePiece-like tokenizer: words with a leading ▁, which is also put where a text starts if `prepend`."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["▁ask", "▁yes", "▁no", "▁", "yes", "no", "ask", "<unk>", ":"]
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>"))
    scheme = "first" if prepend else "never"
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme=scheme)
    tokenizer.add_special_tokens([AddedToken("<s>"), AddedToken("</s>", rstrip=True), AddedToken("<go>", rstrip=True)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", bos_token="<s>")


def ids(tokenizer, text):
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def test_the_answer_s_beginning_does_not_merge_into_the_prompt(tokenizer):
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )
    messages = [{"role": "user", "content": "Which?"}, {"role": "assistant", "content": "the one"}]
    text = tokenizer.apply_chat_template(messages, tokenize=False)
    at_inference = ids(
        tokenizer, tokenizer.apply_chat_template(messages[:1], tokenize=False, add_generation_prompt=True)
    )
    # The case is real: tokenised at once, the space of the prompt and the answer's first word are one token.
    assert ids(tokenizer, text)[: len(at_inference)] != at_inference
    tokens = MaskingTokenizer(tokenizer)(messages)
    assert tokens.input_ids[: len(at_inference)] == at_inference
    assert tokens.supervised.index(1) == len(at_inference)
    assert tokenizer.decode(tokens.input_ids) == text


def test_a_leading_space_that_only_a_text_s_start_gets_is_not_added_at_boundaries():
    tokenizer = wordpieces(prepend=True)
    text = "ask<go>yes</s>ask<go>no</s>"
    spans = [Span(7, 14, 1), Span(21, 27, 3)]
    pieces = [piece for part in ("ask<go>", "yes</s>", "ask<go>", "no</s>") for piece in ids(tokenizer, part)]
    assert pieces != ids(tokenizer, text)
    tokens = tokenize_spans(tokenizer, text, spans)
    assert tokens.input_ids == ids(tokenizer, text)
    said = [
        tokenizer.convert_ids_to_tokens(i) for i, flag in zip(tokens.input_ids, tokens.supervised, strict=True) if flag
    ]
    assert said == ["yes", "</s>", "no", "</s>"]


def test_special_tokens_that_swallow_white_space_keep_their_side():
    tokenizer = wordpieces()
    text = "<s>ask<go>\nyes</s>\n<s>"
    tokens = tokenize_spans(tokenizer, text, [Span(11, 18, 1)])
    assert tokens.input_ids == ids(tokenizer, text)
    said = [
        tokenizer.convert_ids_to_tokens(i) for i, flag in zip(tokens.input_ids, tokens.supervised, strict=True) if flag
    ]
    assert said == ["yes", "</s>"]


def test_a_token_of_prompt_and_answer_is_refused_where_the_pieces_cannot_be_tokenised_alone():
    with pytest.raises(DataError, match="would hold both prompt and answer"):
        tokenize_spans(wordpieces(prepend=True), "ask<go>yes</s>", [Span(8, 14, 1)])


def test_special_tokens_are_not_added_twice(two_turns):
    from trainwright.testing import tiny_tokenizer

    llama = tiny_tokenizer("llama")
    two_turns[1]["content"] = "First reply."
    tokens = MaskingTokenizer(llama)(two_turns)
    assert tokens.input_ids.count(llama.bos_token_id) == 1
