"""A reader of literals in JSON's, Python's and Gemma 4's spelling, for text that strict JSON refuses."""

from __future__ import annotations

import json
import re
from itertools import chain
from typing import Any

from .source import skip_space

MAX_DEPTH = 200
MAX_VALUES = 20_000  # in one literal that is not JSON
# A number or word ends where its characters do, or where a keyword follows without a comma (`days=3where=…`).
_GLUED = r"(?=[A-Za-z_]\w*+\s*+=)"
_NUMBER = re.compile(rf"[-+]?(?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][-+]?\d++)?+(?:(?![\w.])|{_GLUED})")
_WORD = re.compile(rf"(?:true|false|null|True|False|None){_GLUED}|[A-Za-z_]\w*+")
_KEY = re.compile(r"[^\s:=,{}\[\]()\"'<>|][^:=,{}\[\]()\"'<>|]*+")
_QUOTED = {'"': re.compile(r'"((?:[^"\\]++|\\.)*+)"', re.S), "'": re.compile(r"'((?:[^'\\]++|\\.)*+)'", re.S)}
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|U[0-9a-fA-F]{8}|\n|.)", re.S)
_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_SIMPLE = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "0": "\0", "\n": ""}
WORDS = {
    "true": True, "false": False, "null": None, "True": True, "False": False, "None": None,
    "NaN": float("nan"), "Infinity": float("inf"),
}  # fmt: skip
_CLOSING = "]})"
_REST = re.compile(r"[\s\]}`]*+")
GEMMA_QUOTE = '<|"|>'


class BadLiteralError(Exception):
    """There is no literal here.

    Attributes:
        at: Where reading stopped, in characters.
        cut: Whether it stopped because the text ended.
    """

    def __init__(self, at: int, cut: bool = False) -> None:
        super().__init__(at)
        self.at, self.cut = at, cut


class LiteralReader:
    """Reads values out of `text`, up to `end`.

    Args:
        text: The text.
        end: Where it ends.
        close: Whether brackets left open at `end` are taken as closed there (the call's own end follows).
        loose: Whether brackets are taken as closed where an outer one closes, and only brackets follow.

    Attributes:
        slips: What was not as JSON, Python or Gemma write it: missing commas and brackets.
    """

    def __init__(self, text: str, end: int | None = None, *, close: bool = False, loose: bool = False) -> None:
        self.text = text
        self.end = len(text) if end is None else end
        self.close, self.loose = close, loose
        self.slips: list[str] = []
        self.crossed = False  # whether one bracket has closed another
        self.left = MAX_VALUES

    def value(self, at: int, depth: int = 0) -> tuple[Any, int]:
        """The value that starts at `at` (white space may precede it) and where it ends.

        Raises:
            BadLiteralError: There is none.
        """
        at = self._present(at)
        self.left -= 1
        if depth > MAX_DEPTH or self.left < 0:
            raise BadLiteralError(at)
        first = self.text[at]
        if first == "{":
            return self._mapping(at + 1, depth)
        if first in "[(":
            return self._sequence(at + 1, "]" if first == "[" else ")", depth)
        if first in "\"'" or self.text.startswith(GEMMA_QUOTE, at):
            return self.string(at)
        return self._scalar(at)

    def string(self, at: int) -> tuple[str, int]:
        """The quoted string that starts at `at` and where it ends."""
        if self.text.startswith(GEMMA_QUOTE, at):
            start = at + len(GEMMA_QUOTE)
            shut = self.text.find(GEMMA_QUOTE, start, self.end)
            if shut == -1:
                raise BadLiteralError(at, cut=True)
            return self.text[start:shut], shut + len(GEMMA_QUOTE)
        match = _QUOTED[self.text[at]].match(self.text, at, self.end)
        if match is None:
            raise BadLiteralError(at, cut=True)
        return unescape(match[1]), match.end()

    def _present(self, at: int) -> int:
        at = skip_space(self.text, at)
        if at >= self.end:
            raise BadLiteralError(self.end, cut=True)
        return at

    def _scalar(self, at: int) -> tuple[Any, int]:
        number = _NUMBER.match(self.text, at, self.end)
        if number:
            return read_number(number[0], at), number.end()
        word = _WORD.match(self.text, at, self.end)
        if word and word[0] in WORDS:
            return WORDS[word[0]], word.end()
        raise BadLiteralError(at, cut=word is not None and word.end() == self.end)

    def _mapping(self, at: int, depth: int) -> tuple[dict[str, Any], int]:
        found: dict[str, Any] = {}
        while not (end := self._closed(at, "}")):
            key, at = self._key(self._present(at))
            at = self._present(at)
            if self.text[at] not in ":=":
                raise BadLiteralError(at)
            found[key], at = self.value(at + 1, depth + 1)
            at = self._separated(at, "}")
        return found, end

    def _sequence(self, at: int, closer: str, depth: int) -> tuple[list[Any], int]:
        found: list[Any] = []
        while not (end := self._closed(at, closer)):
            item, at = self.value(at, depth + 1)
            found.append(item)
            at = self._separated(at, closer)
        return found, end

    def _key(self, at: int) -> tuple[str, int]:
        if self.text[at] in "\"'" or self.text.startswith(GEMMA_QUOTE, at):
            return self.string(at)
        match = _KEY.match(self.text, at, self.end)
        if match is None:
            raise BadLiteralError(at)
        return match[0].rstrip(), match.end()

    def _closed(self, at: int, closer: str) -> int:
        """Where the bracket ends if it is closed at `at`, else 0."""
        at = skip_space(self.text, at)
        if (self.close and at >= self.end) or self._crossed(at, closer):
            self.slips.append("a closing bracket is missing")
            return min(at, self.end)
        return at + 1 if self.text.startswith(closer, at, self.end) else 0

    def _crossed(self, at: int, closer: str) -> bool:
        """Whether another bracket closes at `at`, so that one is missing."""
        if not self.loose or self.text[at : at + 1] not in ("]", "}") or self.text[at] == closer:
            return False
        self.crossed = self.crossed or _REST.fullmatch(self.text, at, self.end) is not None
        return self.crossed

    def _separated(self, at: int, closer: str) -> int:
        """Past the comma at `at`; a missing one is a slip, a trailing one too."""
        at = skip_space(self.text, at)
        if self.text.startswith(",", at, self.end):
            if self._closed_here(at + 1, closer):
                self.slips.append("a trailing comma")
            return at + 1
        if at < self.end and not self._closed_here(at, closer):
            if self.text[at] in _CLOSING:
                if self.loose:
                    return at
                raise BadLiteralError(at)
            self.slips.append("a comma is missing")
        return at

    def _closed_here(self, at: int, closer: str) -> bool:
        return self.text.startswith(closer, skip_space(self.text, at), self.end)


def read_number(text: str, at: int = 0) -> int | float:
    """The number that `text` spells; a number beyond Python's own limit on digits is no literal."""
    try:
        return int(text) if text.lstrip("+-").isdigit() else float(text)
    except ValueError as error:
        raise BadLiteralError(at) from error


def unescape(text: str) -> str:
    """Undo the escapes that JSON and Python share; an escape that neither knows stays as it is written."""
    return join_surrogates(_ESCAPE.sub(_unescaped, text)) if "\\" in text else text


def _unescaped(match: re.Match[str]) -> str:
    code = match[1]
    if code[0] in "uxU" and len(code) > 1:
        point = int(code[1:], 16)
        return chr(point) if point <= 0x10FFFF else match[0]
    if code in _SIMPLE:
        return _SIMPLE[code]
    return code if code in "\"'\\/" else match[0]


def load_json(text: str, *, strict: bool = True) -> Any:
    """The value that JSON spells, without lone halves of characters, which no file or request could hold.

    Raises:
        ValueError: It is no JSON, is nested too deeply, or has a number beyond Python's own limit on digits.
    """
    try:
        return sound(json.loads(text, strict=strict), text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def sound(value: Any, text: str) -> Any:
    """The value that was read from `text`, without lone halves of characters.

    Raises:
        ValueError: It is nested too deeply.
    """
    if text.count("[") + text.count("{") > MAX_DEPTH and _too_deep(value):
        raise ValueError("nested too deeply")
    return _paired(value) if _HALF.search(text) else value


def _too_deep(value: Any) -> bool:
    inside = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_DEPTH):
        children = chain.from_iterable(item.values() if isinstance(item, dict) else item for item in inside)
        inside = [child for child in children if isinstance(child, dict | list)]
    return bool(inside)


def _paired(value: Any) -> Any:
    if isinstance(value, str):
        return join_surrogates(value)
    if isinstance(value, list):
        return [_paired(item) for item in value]
    if isinstance(value, dict):
        return {join_surrogates(key): _paired(item) for key, item in value.items()}
    return value


def join_surrogates(text: str) -> str:
    """Two escaped halves of one character are that character."""
    if not any("\ud800" <= letter <= "\udfff" for letter in text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
