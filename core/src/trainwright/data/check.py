"""Local data, row by row, before anything is loaded: is every row something that the method can train on?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from trainwright.config.models import DataSource, RunConfig
from trainwright.config.words import got, nearest
from trainwright.data.conversations import Fault, conversation_faults, is_conversation, style_of
from trainwright.data.rows import Row, read_rows
from trainwright.data.sources import file_format, find_files, is_local
from trainwright.errors import Problem
from trainwright.trainer.methods import Method

MOST_PROBLEMS = 20
"""Problems reported of one data source; the rest is counted."""

EXTRA_COLUMNS = frozenset(
    {"tools", "images", "image", "videos", "labels", "completion_mask", "assistant_masks", "chat_template_kwargs"}
)
"""Columns that TRL reads beside those that a method needs."""

_PLAIN_ONLY = ("text",)
_CONVERSATIONS_ONLY = ("messages", "conversations")
_ANSWERED = ("messages", "conversations", "completion", "chosen", "rejected")


def check_source(source: DataSource, config: RunConfig, method: Method, key: str) -> list[Problem]:
    """What is wrong with a data source; nothing is said of the rows of a hub data set.

    Args:
        source: The source.
        config: The run's config.
        method: The method that will train on the rows; its `columns` say what a row needs.
        key: The dotted key of the source (`data.train`).

    Returns:
        Problems with `file:line: column.item`, `MOST_PROBLEMS` at most and one that counts the rest.
    """
    problems = _column_problems(source, config, method, key)
    if not is_local(source, config):
        return problems
    files, missing = find_files(source, config, key)
    check = _Check(source, method)
    for file in files:
        problems += check.file(file, config.where(key), config.where(f"{key}.columns"))
    problems += missing + _mask_problems(check.format, config)
    rest = len(problems) + check.uncounted - MOST_PROBLEMS
    if rest <= 0:
        return problems
    return [*problems[:MOST_PROBLEMS], Problem(f"and {rest} more problems in the data", config.where(key))]


def _column_problems(source: DataSource, config: RunConfig, method: Method, key: str) -> list[Problem]:
    known = {name for names in method.columns for name in names} | EXTRA_COLUMNS
    if method.batch == "rollouts":  # reward functions are given every column
        return []
    reversed_pairs = {name: data for name, data in source.columns.items() if name not in known}
    return [
        Problem(
            f"`{method.name}` reads no column `{name}`",
            config.where(f"{key}.columns.{name}"),
            f"Write `{data}: {name}`: the method's name comes first." if data in known else _known_columns(method),
        )
        for name, data in reversed_pairs.items()
    ]


def _known_columns(method: Method) -> str:
    return "Rows need " + ", or ".join(" and ".join(f"`{name}`" for name in names) for names in method.columns) + "."


def _mask_problems(format_: tuple[str, ...], config: RunConfig) -> list[Problem]:
    """A mask that is asked of rows which do not have what it needs."""
    if not format_:
        return []
    problems = []
    conversational = any(part in ("role", "from") for part in format_)
    if config.training.get("assistant_only_loss") is True and not conversational and "input_ids" not in format_:
        message = "only what the assistant says may carry loss, but the rows are plain text"
        remedy = "Give conversations (`messages`), or remove `assistant_only_loss`."
        problems.append(Problem(message, config.where("training.assistant_only_loss"), remedy))
    if config.training.get("completion_only_loss") is True and "completion" not in format_ and "input_ids" not in format_:
        message = "only completions may carry loss, but the rows have no `completion`"
        remedy = "Give `prompt` and `completion`, or use `assistant_only_loss` with conversations."
        problems.append(Problem(message, config.where("training.completion_only_loss"), remedy))
    return problems


class _Check:
    """The rows of one source: remembers the first row's format, which the others must share.

    Attributes:
        format: The columns that count and how their messages are spelt, e.g. `("messages", "role")`.
        uncounted: Problems found beyond `MOST_PROBLEMS`.
    """

    def __init__(self, source: DataSource, method: Method) -> None:
        self.source = source
        self.method = method
        self.format: tuple[str, ...] = ()
        self.first = ""
        self.uncounted = 0
        self.lacking: set[frozenset[str]] = set()

    def file(self, path: Path, where: str, columns_where: str) -> list[Problem]:
        """The problems of one file."""
        problems: list[Problem] = []
        rows = 0
        names = {self.source.columns.get(name, name) for names in self.method.columns for name in names}
        for row in islice(read_rows(path, names), self.source.limit):
            rows += 1
            for problem in self.row(row, columns_where, csv=file_format(path) == "csv"):
                if len(problems) < MOST_PROBLEMS:
                    problems.append(problem)
                else:
                    self.uncounted += 1
        if not rows:
            problems.append(Problem(f"{path} holds no rows", where, "Give at least one row."))
        return problems

    def row(self, row: Row, columns_where: str, *, csv: bool) -> Iterator[Problem]:
        """The problems of one row."""
        if row.error:
            yield Problem(row.error, row.where, row.remedy)
        elif not isinstance(row.value, Mapping):
            yield Problem(f"expected a row such as {{…}}, got {got(row.value)}", row.where, _known_columns(self.method))
        else:
            named = self._named(row.value)
            columns = self._alternative(named)
            if columns is None:
                yield from self._missing(row, named, columns_where)
                return
            for fault in (*_faults(columns, named, self.method, csv=csv), *self._format_faults(columns, named, row)):
                yield Problem(fault.message, f"{row.where}: {fault.path}", fault.remedy)

    def _named(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """A row by the method's names for its columns."""
        renamed = {name: value[data] for name, data in self.source.columns.items() if data in value}
        hidden = {*self.source.columns, *self.source.columns.values()}
        return {**{name: item for name, item in value.items() if name not in hidden}, **renamed}

    def _alternative(self, named: Mapping[str, Any]) -> tuple[str, ...] | None:
        complete = (names for names in self.method.columns if all(named.get(name) is not None for name in names))
        return next(complete, None)

    def _missing(self, row: Row, named: Mapping[str, Any], columns_where: str) -> Iterator[Problem]:
        """One problem for all rows that lack the same columns."""
        present = frozenset(name for name, value in named.items() if value is not None)
        if present in self.lacking:
            return
        self.lacking.add(present)
        names = row.columns or tuple(row.value)
        wanted = self._nearly(present)
        near = next(((name, other) for name in wanted if (other := nearest(name, names))), None)
        if self.format:
            message = f"the row has no {' and '.join(f'`{name}`' for name in wanted)}, as the first row has ({self.first})"
        else:
            message = f"missing columns: the rows have {', '.join(f'`{name}`' for name in names) or 'none'}"
        remedy = _known_columns(self.method) + (
            f" Is `{near[1]}` the `{near[0]}`? Then say so: `columns: {{{near[0]}: {near[1]}}}` ({columns_where})."
            if near
            else f" Other names are given by `columns:` ({columns_where})."
        )
        yield Problem(message, row.where, remedy)

    def _nearly(self, present: frozenset[str]) -> list[str]:
        """What is missing: of the first row's columns, or of the alternative that is nearest to complete."""
        names = [name for name in self.format if name not in ("role", "from", "plain")]
        nearly = names or max(self.method.columns, key=lambda names: len(present & set(names)) / len(names))
        return [name for name in nearly if name not in present]

    def _format_faults(self, columns: tuple[str, ...], named: Mapping[str, Any], row: Row) -> Iterator[Fault]:
        spelling = next((style_of(named[name])[0] for name in columns if is_conversation(named[name])), "plain")
        format_ = (*columns, spelling)
        if not self.format:
            self.format, self.first = format_, row.where
        elif format_ != self.format:
            message = f"mixed formats: this row holds {_say(format_)}, the first one {_say(self.format)} ({self.first})"
            yield Fault(columns[0], message, "Give rows of one format only, or split the data set.")


def _say(format_: tuple[str, ...]) -> str:
    *columns, spelling = format_
    how = {"role": "conversations", "from": "conversations of `from` and `value`", "plain": "plain values"}[spelling]
    return f"{' and '.join(f'`{name}`' for name in columns)} as {how}"


def _faults(columns: tuple[str, ...], named: Mapping[str, Any], method: Method, *, csv: bool) -> Iterator[Fault]:
    """What is wrong with the values of the columns that count."""
    for name in columns:
        yield from _column_faults(name, named[name], method, csv=csv)
    pair = [name for name in columns if name in ("prompt", "completion", "chosen", "rejected")]
    kinds = {is_conversation(named[name]) for name in pair if isinstance(named[name], str | list)}
    if len(kinds) > 1:
        plain = next(name for name in pair if not is_conversation(named[name]))
        other = next(name for name in pair if is_conversation(named[name]))
        yield Fault(plain, f"`{plain}` is plain text and `{other}` a conversation", "Give both as the same kind.")


def _column_faults(name: str, value: Any, method: Method, *, csv: bool) -> Iterator[Fault]:
    if name == "label":
        if not isinstance(value, bool) and not (csv and str(value).lower() in ("true", "false")):
            yield Fault(name, f"expected `true` or `false`, got {got(value)}", "`true` marks a completion that is liked.")
    elif name == "input_ids":
        if not isinstance(value, list) or not value or not all(type(token) is int for token in value):
            yield Fault(name, f"expected a list of token ids, got {'another list' if isinstance(value, list) else got(value)}")
    elif is_conversation(value) and name not in _PLAIN_ONLY:
        answered = name in _ANSWERED and method.batch != "rollouts"
        yield from conversation_faults(value, name, answered=answered)
    elif name in _CONVERSATIONS_ONLY:
        remedy = "A CSV file holds text only: write conversations as JSONL." if csv else "It is a list of messages."
        yield Fault(name, f"expected a conversation, got {got(value)}", remedy)
    elif not isinstance(value, str):
        yield Fault(name, f"expected text{'' if name in _PLAIN_ONLY else ' or a conversation'}, got {got(value)}")
    elif not value.strip() and name in _PLAIN_ONLY:
        yield Fault(name, "the text is empty", "Remove the row.")
