"""Rows of text files, and for each column the type that holds every one of its values unchanged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainwright.config.words import got
from trainwright.data.rows import Row, read_rows
from trainwright.data.sources import file_format
from trainwright.errors import DataError, Problem

if TYPE_CHECKING:
    from datasets import Features

_TEXT_COLUMNS = frozenset({"prompt", "completion", "chosen", "rejected", "text"})
"""Columns that are text whatever they look like."""

_LARGEST = 2**63
_EXACT = 2**53  # below it, every whole number is a float64
_MOST_PROBLEMS = 20
_BOOLEANS = {"true": True, "True": True, "false": False, "False": False}


@dataclass
class Shape:
    """What the values of one place (a column, a key, the items of a list) have been so far.

    Attributes:
        kinds: Of `bool`, `int`, `float`, `str`, `list`, `dict`, those that were met; None counts as nothing.
        items: The shape of the lists' items.
        keys: Key → the shape of its values, of dicts that all have the same keys.
        alike: Whether all dicts met have the same keys.
    """

    kinds: set[str] = field(default_factory=set)
    items: Shape | None = None
    keys: dict[str, Shape] = field(default_factory=dict)
    alike: bool = True

    def add(self, value: Any) -> None:
        """Take one more value into account."""
        if value is None:
            return
        first_dict = "dict" not in self.kinds
        self.kinds.add(type(value).__name__)
        if isinstance(value, dict):
            self.alike = self.alike and bool(value) and (first_dict or value.keys() == self.keys.keys())
            for key, item in value.items() if self.alike else ():
                self.keys.setdefault(key, Shape()).add(item)
        elif isinstance(value, list):
            self.items = self.items or Shape()
            for item in value:
                self.items.add(item)

    def feature(self) -> Any:
        """The type of `datasets`; `Json` where values differ in kind, or dicts in their keys."""
        from datasets import Json, List, Value

        if not self.kinds:
            return Value("null")
        if self.kinds == {"list"}:
            return List(self.items.feature() if self.items else Value("null"))
        if self.kinds == {"dict"} and self.alike:
            return {key: shape.feature() for key, shape in self.keys.items()}
        arrow = {"bool": "bool", "int": "int64", "float": "float64", "str": "string"}
        if len(self.kinds) == 1 and self.kinds <= arrow.keys():
            return Value(arrow[next(iter(self.kinds))])
        return Value("float64") if self.kinds == {"int", "float"} else Json()


class TypedRows:
    """The rows of files of one text format, as `datasets` takes them: every column in every row, typed.

    Iterating reads the files again, so that no more than a row is held.

    Args:
        files: JSONL, JSON or CSV files.

    Attributes:
        count: The number of rows.

    Raises:
        DataError: With the place of each row that cannot be read or is no mapping.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = tuple(files)
        self.count = 0
        self._shapes: dict[str, Shape] = {}
        self._parsers = _csv_parsers(self.files) if file_format(self.files[0]) == "csv" else {}
        problems = list(self._scan())
        if problems:
            raise DataError.together(problems[:_MOST_PROBLEMS])

    def features(self) -> Features:
        """The columns' types."""
        from datasets import Features

        return Features({name: shape.feature() for name, shape in self._shapes.items()})

    def __iter__(self) -> Iterator[dict[str, Any]]:
        empty: dict[str, Any] = dict.fromkeys(self._shapes)
        for row in self._rows():
            yield empty | self._parsed(row.value)

    def _scan(self) -> Iterator[Problem]:
        for row in self._rows():
            self.count += 1
            if row.error:
                yield Problem(row.error, row.where, row.remedy)
            elif not isinstance(row.value, Mapping):
                yield Problem(f"expected a row such as {{…}}, got {got(row.value)}", row.where)
            else:
                for name, value in self._parsed(row.value).items():
                    self._shapes.setdefault(name, Shape()).add(value)

    def _rows(self) -> Iterator[Row]:
        for file in self.files:
            yield from read_rows(file)

    def _parsed(self, row: Mapping[str, Any]) -> dict[str, Any]:
        if not self._parsers:
            return dict(row)
        return {name: None if text is None else self._parsers[name](text) for name, text in row.items()}


# ── CSV: what a column of texts stands for ───────────────────────────────────────────────────────────────────────────


def _boolean(text: str) -> bool:
    return _BOOLEANS[text]


def _whole(text: str) -> int:
    """A whole number that is written as Python writes it: not `007`, `+7` or `1_000`."""
    number = int(text)
    if str(number) != text or not -_LARGEST <= number < _LARGEST:
        raise ValueError(text)
    return number


def _decimal(text: str) -> float:
    """A number that is written as Python writes it (not `1.50`, which may be a version), or a whole one."""
    number = float(text)
    if repr(number) != text and (abs(number) > _EXACT or str(int(number)) != text):
        raise ValueError(text)
    return number


_PARSERS: tuple[Callable[[str], Any], ...] = (_boolean, _whole, _decimal, str)


def _csv_parsers(files: Sequence[Path]) -> dict[str, Callable[[str], Any]]:
    """Column → the first parser that reads all its values so that writing them again gives the same text."""
    level: dict[str, int] = {}
    for file in files:
        for row in read_rows(file):
            for name, text in row.value.items() if isinstance(row.value, dict) else ():
                start = level.setdefault(name, len(_PARSERS) - 1 if name in _TEXT_COLUMNS else 0)
                level[name] = start if text is None else _first_parser(text, start)
    return {name: _PARSERS[index] for name, index in level.items()}


def _first_parser(text: str, start: int) -> int:
    for index in range(start, len(_PARSERS) - 1):
        try:
            _PARSERS[index](text)
        except (ValueError, KeyError, OverflowError):
            continue
        return index
    return len(_PARSERS) - 1
