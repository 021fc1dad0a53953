"""What a plugin answered to a broadcast, with its origin."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from trainwright.errors import PluginError, Problem
from trainwright.plugins.records import PluginRecord


@dataclass(frozen=True)
class Answer:
    """What one plugin answered.

    Attributes:
        record: Who answered.
        error: What it raised instead, under the plugin's name; None where it answered.
    """

    record: PluginRecord
    answered: Any = field(default=None, repr=False)
    error: PluginError | None = None

    @property
    def value(self) -> Any:
        """The answer: `{name: float}` for `metrics`, a tuple of `Problem`s for `validate_config`.

        Raises:
            PluginError: Where the plugin raised, so that a failure cannot be taken for an empty answer.
        """
        if self.error is not None:
            raise self.error
        return self.answered


def settled(hook: str, record: PluginRecord, results: Sequence[Any]) -> Any:
    """One plugin's answer in its final form: read to its end, checked, and marked with its origin.

    Args:
        hook: One of `hooks.BROADCASTS`.
        record: Who answered.
        results: What pluggy returned: nothing where the plugin returned None, else its one answer.

    Raises:
        TypeError: The answer is not what the hook promises.
    """
    if hook == "metrics":
        return {str(name): float(value) for answer in results for name, value in dict(answer).items()}
    problems = [problem for answer in results for problem in answer]
    for problem in problems:
        if not isinstance(problem, Problem):
            raise TypeError(f"{hook} returns Problems, not {type(problem).__name__}")
    return tuple(_marked(problem, record) for problem in problems)


def _marked(problem: Problem, record: PluginRecord) -> Problem:
    return problem if record.built_in else replace(problem, origin=record.name)


def failure(hook: str, record: PluginRecord, error: Exception) -> PluginError:
    """What a plugin raised, under its name and at the line that raised it; the original is its cause."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    failed = PluginError(
        f"{hook} of plugin {record.label} raised {type(error).__name__}: {error}",
        where=f"{last.filename}:{last.lineno}",
        remedy=f"mend or upgrade {record.distribution}, or leave it out (plugins: {{disable: [{record.name}]}})",
    )
    failed.__cause__ = error
    return failed
