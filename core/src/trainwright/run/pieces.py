"""Token ids as text, one readable piece a token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_UNFINISHED = "\ufffd"
_LONGEST = 4
"""Bytes of the longest UTF-8 character, and so the tokens that it may take."""


def pieces(tokenizer: Any, ids: Sequence[int]) -> list[str]:
    """The text of each token, `[S]`; together they are the text of all.

    Each token is decoded behind the one before it, so that SentencePiece's leading spaces stay. Of a character that
    takes several tokens, the first has the text and the others have none.

    Args:
        tokenizer: A transformers tokenizer.
        ids: Token ids, `[S]`.
    """
    texts = [""] * len(ids)
    anchor = start = 0
    for end in range(1, len(ids) + 1):
        text = _behind(tokenizer, ids[anchor:start], ids[start:end])
        if text.endswith(_UNFINISHED) and end - start < _LONGEST and end < len(ids):
            continue
        texts[start] = text
        anchor, start = start, end
    return texts


def _behind(tokenizer: Any, before: Sequence[int], ids: Sequence[int]) -> str:
    """The text that ids add to what stands before them."""
    if not before:
        return _decode(tokenizer, ids)
    head, whole = _decode(tokenizer, before), _decode(tokenizer, [*before, *ids])
    return whole[len(head) :] if whole.startswith(head) else _decode(tokenizer, ids)


def _decode(tokenizer: Any, ids: Sequence[int]) -> str:
    return str(tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))
