"""From characters to tokens, so that no token lies on both sides of a span's boundary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trainwright.errors import DataError
from trainwright.hooks import Tokens
from trainwright.template.diff import shorten
from trainwright.template.spans import Span


def tokenize_spans(tokenizer: Any, text: str, spans: Sequence[Span]) -> Tokens:
    """Tokenise a text piece by piece, cut at the boundaries of its spans.

    Each prompt is then tokenised as at inference, where it ends before the answer exists; a tokenizer that sees the
    whole text at once merges over the boundary in about one turn of thirty (a newline of the header and one of the
    answer, say). Tokenizers that write a piece otherwise when it does not begin the text (SentencePiece's leading
    space, special tokens that swallow the white space around them) are recognised by what their tokens decode to:
    there the text is tokenised at once and every token must belong to one side.

    Args:
        tokenizer: A transformers tokenizer.
        text: The rendered conversation; special tokens are in it already.
        spans: The spans that carry loss, in order and apart.

    Returns:
        Ids `[S]` and the mask `[S]`.

    Raises:
        DataError: Where a token would lie on both sides of a boundary.
    """
    pieces = _pieces(text, spans)
    whole, *parts = _encode(tokenizer, [text, *(piece for piece, _ in pieces)])
    ids = [token for part in parts for token in part]
    if ids == whole or _decode(tokenizer, ids) == _decode(tokenizer, whole):
        return Tokens(ids, [flag for part, (_, flag) in zip(parts, pieces, strict=True) for flag in [flag] * len(part)])
    return _aligned(tokenizer, text, spans)


def _pieces(text: str, spans: Sequence[Span]) -> list[tuple[str, int]]:
    """The text cut at the spans: each piece with whether it carries loss."""
    pieces, at = [], 0
    for span in spans:
        pieces += [(text[at : span.start], 0), (text[span.start : span.end], 1)]
        at = span.end
    return [(piece, flag) for piece, flag in [*pieces, (text[at:], 0)] if piece]


def _encode(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    encoded = tokenizer(list(texts), add_special_tokens=False, return_attention_mask=False, verbose=False)
    return [list(ids) for ids in encoded["input_ids"]]


def _decode(tokenizer: Any, ids: Sequence[int]) -> str:
    return str(tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))


def _aligned(tokenizer: Any, text: str, spans: Sequence[Span]) -> Tokens:
    """Tokenise at once; a token carries loss if its characters, white space aside, lie in a span."""
    if not tokenizer.is_fast:
        raise DataError(
            f"the slow tokenizer {type(tokenizer).__name__} cannot say which characters a token covers",
            remedy="use the model's fast tokenizer",
        )
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    flags = [_flag(text, start, end, spans) for start, end in encoded["offset_mapping"]]
    return Tokens(list(encoded["input_ids"]), flags)


def _flag(text: str, start: int, end: int, spans: Sequence[Span]) -> int:
    covered = text[start:end]
    if covered.strip():
        start, end = end - len(covered.lstrip()), start + len(covered.rstrip())
    for span in spans:
        if span.start <= start and end <= span.end and start < span.end:
            return 1
        if start < span.end and span.start < end:
            raise DataError(
                f"the token of {shorten(text[start:end])} would hold both prompt and answer, around "
                f"{shorten(text[max(0, start - 20) : end + 20])}",
                remedy="use a template whose generation prompt ends where a token ends",
            )
    return 0
