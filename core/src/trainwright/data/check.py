"""Local data, row by row, before anything is loaded: is every row something that the method can train on?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from trainwright.config.models import DataSource, RunConfig
from trainwright.config.words import got, nearest, suggestion
from trainwright.data.conversations import Fault, is_conversation, style_of
from trainwright.data.rows import Row, read_rows
from trainwright.data.sources import file_format, find_files, is_local
from trainwright.data.unpaired import Labels
from trainwright.data.values import value_faults
from trainwright.errors import Problem
from trainwright.trainer.methods import Method

MOST_PROBLEMS = 20
"""Problems reported of one data source; the rest is counted."""

EXTRA_COLUMNS = frozenset(
    {"tools", "images", "image", "videos", "labels", "completion_mask", "assistant_masks", "chat_template_kwargs"}
)
"""Columns that TRL reads beside those that a method needs."""

_SPELLINGS = {"role": "conversations", "from": "conversations of `from` and `value`", "plain": "plain values"}


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
    problems = _unknown_names(source, config, method, key)
    if not is_local(source, config):
        return problems
    files, missing = find_files(source, config, key)
    check = _Check(source, method, config.where(f"{key}.columns"))
    for file in files:
        problems += check.file(file, config.where(key))
    if check.labels is not None:
        config.note_labels(key, check.labels)
    problems += [*missing, *_renaming_problems(source, config, key, check.names), *_mask_problems(check.format, config)]
    rest = len(problems) + check.uncounted - MOST_PROBLEMS
    if rest <= 0:
        return problems
    return [*problems[:MOST_PROBLEMS], Problem(f"and {rest} more problems in the data", config.where(key))]


def _unknown_names(source: DataSource, config: RunConfig, method: Method, key: str) -> list[Problem]:
    """Columns that are given names which the method does not read."""
    known = {name for names in method.columns for name in names} | EXTRA_COLUMNS
    if method.batch == "rollouts":  # reward functions are given every column
        return []
    return [
        Problem(
            f"`{method.name}` reads no column `{name}`",
            config.where(f"{key}.columns.{name}"),
            f"Write `{data}: {name}`: the method's name comes first." if data in known else _needed(method),
        )
        for name, data in source.columns.items()
        if name not in known
    ]


def _renaming_problems(source: DataSource, config: RunConfig, key: str, names: set[str]) -> Iterator[Problem]:
    """New names that are taken already, and old ones that no row has."""
    for new, old in source.columns.items() if names else ():
        where = config.where(f"{key}.columns.{new}")
        if old not in names:
            yield Problem(f"the data have no column `{old}`", where, suggestion(old, names))
        elif new in names and new not in source.columns.values():
            remedy = f"Rename it, too, e.g. `columns: {{{new}_before: {new}}}`."
            yield Problem(f"the data have a column `{new}` already", where, remedy)


def _needed(method: Method) -> str:
    return "Rows need " + ", or ".join(" and ".join(f"`{name}`" for name in names) for names in method.columns) + "."


def _mask_problems(format_: tuple[str, ...], config: RunConfig) -> Iterator[Problem]:
    """A mask that is asked of rows which do not have what it needs; tokenised rows bring their own."""
    if not format_ or "input_ids" in format_:
        return
    if config.training.get("assistant_only_loss") is True and "plain" in format_:
        message = "only what the assistant says may carry loss, but the rows are plain text"
        remedy = "Give conversations (`messages`), or remove `assistant_only_loss`."
        yield Problem(message, config.where("training.assistant_only_loss"), remedy)
    if config.training.get("completion_only_loss") is True and "completion" not in format_:
        message = "only completions may carry loss, but the rows have no `completion`"
        remedy = "Give `prompt` and `completion`, or use `assistant_only_loss` with conversations."
        yield Problem(message, config.where("training.completion_only_loss"), remedy)


class _Check:
    """The rows of one source. It remembers the first row's format, which the others must share.

    Args:
        source: The source.
        method: The method.
        columns_where: The place of `columns:` in the config.

    Attributes:
        format: The columns that count, and how their messages are spelt: `("messages", "role")`.
        names: Every column of any row.
        uncounted: Problems found beyond `MOST_PROBLEMS`.
        labels: The labels so far, of a method whose rows have any.
    """

    def __init__(self, source: DataSource, method: Method, columns_where: str) -> None:
        self.source = source
        self.method = method
        self.columns_where = columns_where
        self.format: tuple[str, ...] = ()
        self.names: set[str] = set()
        self.uncounted = 0
        self.labels = Labels() if method.batch == "unpaired" else None
        self._first = ""
        self._lacking: set[frozenset[str]] = set()

    def file(self, path: Path, where: str) -> list[Problem]:
        """The problems of one file; `where` is the place of the source in the config."""
        problems: list[Problem] = []
        rows = 0
        wanted = {self.source.columns.get(name, name) for names in self.method.columns for name in names}
        for row in islice(read_rows(path, wanted), self.source.limit):
            rows += 1
            for problem in self._row(row, is_csv=file_format(path) == "csv"):
                if len(problems) < MOST_PROBLEMS:
                    problems.append(problem)
                else:
                    self.uncounted += 1
        if not rows:
            problems.append(Problem(f"{path} holds no rows", where, "Give at least one row."))
        return problems

    def _row(self, row: Row, *, is_csv: bool) -> Iterator[Problem]:
        if row.error:
            yield Problem(row.error, row.where, row.remedy)
            return
        if not isinstance(row.value, dict):
            yield Problem(f"expected a row such as {{…}}, got {got(row.value)}", row.where, _needed(self.method))
            return
        self.names.update(row.columns or row.value)
        named = self._named(row.value)
        complete = (names for names in self.method.columns if all(named.get(name) is not None for name in names))
        columns = next(complete, None)
        if columns is None:
            yield from self._missing(row, named)
            return
        faults = (*value_faults(columns, named, self.method, is_csv=is_csv), *self._mixed(columns, named, row))
        for fault in faults:
            yield Problem(fault.message, f"{row.where}: {fault.path}", fault.remedy)
        if self.labels is not None:
            self.labels = self.labels.with_row(named, paired="label" not in columns)

    def _named(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """A row by the method's names for its columns."""
        renamed = {name: value[data] for name, data in self.source.columns.items() if data in value}
        hidden = {*self.source.columns, *self.source.columns.values()}
        return {**{name: item for name, item in value.items() if name not in hidden}, **renamed}

    def _missing(self, row: Row, named: Mapping[str, Any]) -> Iterator[Problem]:
        """One problem for all rows that lack the same columns."""
        present = frozenset(name for name, value in named.items() if value is not None)
        if present in self._lacking:
            return
        self._lacking.add(present)
        names = row.columns or tuple(row.value)
        wanted = self._nearly(present)
        if self.format:
            lacking = _listed(wanted, " and ")
            message = f"the row has no {lacking}, as the first row has ({self._first})"
        else:
            message = f"missing columns: the rows have {_listed(names) or 'none'}"
        pairs = ((name, other) for name in wanted if (other := nearest(name, names)))
        near = next(pairs, None)
        hint = f"`columns: {{{near[0]}: {near[1]}}}`" if near else "`columns:`"
        remedy = f"{_needed(self.method)} Other names are given by {hint} ({self.columns_where})."
        yield Problem(message, row.where, remedy)

    def _nearly(self, present: frozenset[str]) -> list[str]:
        """What is missing: of the first row's columns, or of the alternative that is nearest to complete."""
        nearly = self.format[:-1] or max(
            self.method.columns, key=lambda names: len(present.intersection(names)) / len(names)
        )
        return [name for name in nearly if name not in present]

    def _mixed(self, columns: tuple[str, ...], named: Mapping[str, Any], row: Row) -> Iterator[Fault]:
        spelling = next((style_of(named[name])[0] for name in columns if is_conversation(named[name])), "plain")
        format_ = (*columns, spelling)
        if not self.format:
            self.format, self._first = format_, row.where
        elif format_ != self.format:
            message = (
                f"mixed formats: this row holds {_say(format_)}, the first one {_say(self.format)} ({self._first})"
            )
            yield Fault(columns[0], message, "Give rows of one format only, or split the data set.")


def _listed(names: Iterable[str], between: str = ", ") -> str:
    return between.join(f"`{name}`" for name in names)


def _say(format_: tuple[str, ...]) -> str:
    *columns, spelling = format_
    return f"{_listed(columns, ' and ')} as {_SPELLINGS[spelling]}"
