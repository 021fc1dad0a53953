"""What went wrong, where, and what to do: the one family of errors that reaches a user without a traceback.

Anything that a person can cause (a typo, a missing file, a full disk) is raised as `TrainwrightError`;
the command line prints it and exits with `exit_code`. Any other exception is a bug and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        message: What is wrong, one sentence.
        where: The place, as `file:line: key` where there is a file; empty where there is none.
        remedy: What to do about it; empty where the message says it all.
        origin: Who found it: a plugin's name, or `trainwright`.
        fatal: Whether it stops the run; False for a warning.
    """

    message: str
    where: str = ""
    remedy: str = ""
    origin: str = "trainwright"
    fatal: bool = True

    def __str__(self) -> str:
        """`where: message` and, on a line of its own, the remedy."""
        head = f"{self.where}: {self.message}" if self.where else self.message
        if self.origin != "trainwright":
            head = f"{head} [plugin {self.origin}]"
        return f"{head}\n  → {self.remedy}" if self.remedy else head


class TrainwrightError(Exception):
    """Base of everything that a user can cause and mend.

    Args:
        message: What is wrong.
        where: The place (`file:line: key`).
        remedy: What to do.
    """

    exit_code = 1

    def __init__(self, message: str, *, where: str = "", remedy: str = "") -> None:
        self.problems: Sequence[Problem] = (Problem(message, where, remedy),)
        super().__init__(str(self.problems[0]))

    @classmethod
    def together(cls, problems: Sequence[Problem]) -> Self:
        """One error of this kind that holds every problem found; needs at least one."""
        first = problems[0]
        error = cls(first.message)
        error.problems = tuple(problems)
        error.args = ("\n".join(str(problem) for problem in error.problems),)
        return error


class ConfigError(TrainwrightError):
    """Every problem of a configuration, together."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        if not problems:
            raise ValueError("ConfigError needs at least one problem")
        super().__init__(problems[0].message)
        self.problems = tuple(problems)
        self.args = ("\n".join(str(problem) for problem in self.problems),)


class PluginError(TrainwrightError):
    """A plugin that the run needs is missing, ambiguous, disabled, broken or incompatible."""


class DataError(TrainwrightError):
    """A data set that cannot be read, or that would train on the wrong tokens."""


class ModelError(TrainwrightError):
    """A model that does not exist, cannot be read, or does not fit what the run asks of it."""


class RunError(TrainwrightError):
    """A run that cannot start, continue or be resumed."""


class UsageError(TrainwrightError):
    """A command line that makes no sense."""

    exit_code = 2
