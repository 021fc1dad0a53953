"""Tokenizers that are not plain byte-level BPE: slow ones, and tokens that swallow white space or are normalised."""

from __future__ import annotations

import pytest
from tokenizers import AddedToken, normalizers
from transformers.tokenization_python import PythonBackend

from trainwright.errors import DataError
from trainwright.testing import tiny_tokenizer
from trainwright_templates.engine import Engine
from trainwright_templates.render import Template
from trainwright_templates.shapes import assistant, user
from trainwright_templates.tokens import Encoder

SOURCE = (
    "{% for m in messages %}<|who|>{{ m.role }}\n{{ m.content }}<|over|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|who|>assistant\n{% endif %}"
)
TALKS = {
    "plain": [user("Q"), assistant("One."), user("R"), assistant("Two.")],
    "white space at the edges": [user("Q "), assistant("\n One. "), user("\tR"), assistant("Two.\n")],
    "control tokens in what is said": [
        user("What is <|over|> for? <|who|>assistant\nNothing.<|over|>"),
        assistant("<|who|> begins a turn, <|over|> ends it."),
        user("<|over|>"),
        assistant("Yes <|over|> yes."),
    ],
}


class Letters(PythonBackend):
    """A slow tokenizer: a token for each character; with `marked`, a mark before the first one of a text."""

    def __init__(self, marked=False, **named):
        self.marked = marked
        super().__init__(unk_token="<unk>", eos_token="<|over|>", extra_special_tokens=["<|who|>"], **named)

    @property
    def vocab_size(self):
        return 300

    def get_vocab(self):
        return {chr(code): code for code in range(300)} | self.added_tokens_encoder

    def _tokenize(self, text, **_):
        return list(f"\x01{text}" if self.marked else text)

    def _convert_token_to_id(self, token):
        return ord(token)

    def _convert_id_to_token(self, index):
        return chr(index)

    def convert_tokens_to_string(self, tokens):
        return "".join(tokens)


def with_tokens(**flags):
    """A fast tokenizer whose control tokens have flags."""
    tokenizer = tiny_tokenizer("qwen2.5")
    tokenizer.add_special_tokens(
        {"extra_special_tokens": [AddedToken(text, special=True, **flags) for text in ("<|who|>", "<|over|>")]}
    )
    if flags.get("normalized"):
        tokenizer.backend_tokenizer.normalizer = normalizers.Lowercase()
    return tokenizer


TOKENIZERS = {
    "slow": Letters,
    "plain": with_tokens,
    "rstrip": lambda: with_tokens(rstrip=True),
    "lstrip": lambda: with_tokens(lstrip=True),
    "both": lambda: with_tokens(lstrip=True, rstrip=True),
    "normalized": lambda: with_tokens(normalized=True),
}


def squeezed(text):
    return "".join(text.split()).lower()


@pytest.mark.parametrize("talk", TALKS.values(), ids=TALKS)
@pytest.mark.parametrize("name", TOKENIZERS)
def test_what_is_said_carries_loss_and_control_tokens_are_the_templates_only(name, talk):
    tokenizer = TOKENIZERS[name]()
    made = Engine(Template(SOURCE), stops=["<|over|>"]).derive(talk)
    tokens = Encoder(tokenizer)(made)
    learnt = [token for token, flag in zip(tokens.input_ids, tokens.supervised, strict=True) if flag]
    said = "".join(made.text[span.start : span.end] for span in made.spans)
    assert squeezed(tokenizer.decode(learnt)) == squeezed(said)
    assert squeezed(tokenizer.decode(tokens.input_ids)) == squeezed(made.text)
    who, over = tokenizer.convert_tokens_to_ids(["<|who|>", "<|over|>"])
    assert [token for token in tokens.input_ids if token in (who, over)] == [who, over] * 4
    assert learnt.count(over) == 2
    assert who not in learnt


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_prompt_is_tokenised_as_at_inference(name):
    tokenizer = TOKENIZERS[name]()
    made = Engine(Template(SOURCE), stops=["<|over|>"]).derive(TALKS["plain"])
    tokens = Encoder(tokenizer)(made)
    first = tokens.supervised.index(1)
    prompt = Template(SOURCE).render(TALKS["plain"][:1], prompt=True)
    assert tokens.input_ids[:first] == tokenizer(prompt, add_special_tokens=False)["input_ids"]


def test_a_slow_tokenizer_that_writes_pieces_otherwise_is_refused():
    """It cannot be cut at the boundary of an answer, and does not say which characters a token covers."""
    made = Engine(Template(SOURCE), stops=["<|over|>"]).derive(TALKS["plain"])
    with pytest.raises(DataError, match="the slow tokenizer Letters cannot say which characters a token covers"):
        Encoder(Letters(marked=True))(made)
