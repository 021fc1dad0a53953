"""From a derived mask to tokens: each stretch by itself, and texts of the data never as control tokens.

A span is tokenised apart from what is around it, as generation would: then no token lies on both sides of its
boundary. Where a text of the data spells a special token (`<|im_end|>` in a question about chat templates), that
stretch is tokenised as plain text. Tokenizers that write a piece otherwise when it stands alone (SentencePiece's
leading space) are recognised by what their tokens decode to; there the text is tokenised at once, and each token must
belong to one side.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

from trainwright.hooks import Tokens
from trainwright.template.render import text_tokenizer
from trainwright.template.segments import tokenize_spans
from trainwright.template.spans import Span as CoreSpan
from trainwright_templates.engine import Derived, Refused, Span
from trainwright_templates.engine.refused import excerpt


@dataclass(frozen=True)
class Stretch:
    """A stretch of text that is tokenised by itself.

    Attributes:
        text: The text.
        supervised: Whether its tokens carry loss.
        data: Whether it is a text of the data that spells a special token.
    """

    text: str
    supervised: bool
    data: bool


class Encoder:
    """Tokenises derived conversations.

    Args:
        processing_class: A tokenizer, fast or slow, or a processor.
    """

    def __init__(self, processing_class: Any) -> None:
        self.tokenizer = text_tokenizer(processing_class)

    @cached_property
    def special(self) -> re.Pattern[str]:
        """Matches any of the texts that the tokenizer turns into a control token."""
        added = getattr(self.tokenizer, "added_tokens_decoder", {}).values()
        texts = {str(token) for token in added if getattr(token, "special", True)}
        texts |= {str(token) for token in self.tokenizer.all_special_tokens}
        ordered = sorted(filter(None, texts), key=len, reverse=True)
        return re.compile("|".join(map(re.escape, ordered)) or "(?!)")

    def __call__(self, derived: Derived) -> Tokens:
        """The tokens of a conversation, with what a person should know of it.

        Raises:
            DataError: A token lies on both sides of a span's boundary.
            Refused: The tokenizer makes control tokens of the data's texts, whatever it is told.
        """
        spelt = [source for source in derived.sources if self.special.search(derived.text, *source)]
        notes = tuple(str(note) for note in derived.notes)
        if not spelt:
            spans = [CoreSpan(span.start, span.end, span.turn) for span in derived.spans]
            made = tokenize_spans(self.tokenizer, derived.text, spans)
            return Tokens(made.input_ids, made.supervised, notes)
        ids, mask = [], []
        for stretch in _stretches(derived, spelt):
            own = self._encode(stretch)
            ids += own
            mask += [int(stretch.supervised)] * len(own)
        self._check(derived, ids)
        return Tokens(ids, mask, notes)

    def _encode(self, stretch: Stretch) -> list[int]:
        if not stretch.data:
            return list(self.tokenizer(stretch.text, add_special_tokens=False, verbose=False)["input_ids"])
        ids: list[int] = []
        for text in self._without_control(stretch.text):
            ids += self.tokenizer(text, add_special_tokens=False, split_special_tokens=True, verbose=False)["input_ids"]
        control = {self.tokenizer.convert_tokens_to_ids(found) for found in self.special.findall(stretch.text)}
        if control & set(ids):
            raise Refused(
                f"the tokenizer makes control tokens of a text of the data: {excerpt(stretch.text, 0, 60)}",
                remedy="take the special tokens' texts out of the data",
            )
        return ids

    def _without_control(self, text: str) -> Iterator[str]:
        """The text whole where the tokenizer can leave special tokens alone, else cut inside each of them."""
        encoded = self.tokenizer(text, add_special_tokens=False, split_special_tokens=True, verbose=False)["input_ids"]
        control = {self.tokenizer.convert_tokens_to_ids(found) for found in self.special.findall(text)}
        if not control & set(encoded):
            yield text
            return
        at = 0
        for found in self.special.finditer(text):
            yield text[at : found.start() + 1]
            at = found.start() + 1
        yield text[at:]

    def _check(self, derived: Derived, ids: Sequence[int]) -> None:
        """See that cutting the text changed nothing of what it says."""
        whole = self.tokenizer(derived.text, add_special_tokens=False, verbose=False)["input_ids"]
        if self._said(ids) != self._said(whole):
            raise Refused(
                "the tokenizer writes parts of the conversation otherwise when they stand alone, and a text of the "
                "data spells a special token, so it cannot be tokenised as a whole",
                remedy="take the special tokens' texts out of the data, or use the model's fast tokenizer",
            )

    def _said(self, ids: Sequence[int]) -> str:
        """What tokens say, white space aside."""
        text = self.tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return "".join(text.split())


def _stretches(derived: Derived, spelt: Sequence[tuple[int, int]]) -> Iterator[Stretch]:
    """The text cut at spans and at the texts of the data that spell special tokens."""
    edges = {0, len(derived.text)}
    edges |= {edge for span in derived.spans for edge in (span.start, span.end)}
    edges |= {edge for source in spelt for edge in source}
    ordered = sorted(edges)
    for start, end in pairwise(ordered):
        supervised = any(_holds(span, start, end) for span in derived.spans)
        data = any(first <= start and end <= last for first, last in spelt)
        yield Stretch(derived.text[start:end], supervised, data)


def _holds(span: Span, start: int, end: int) -> bool:
    return span.start <= start and end <= span.end
