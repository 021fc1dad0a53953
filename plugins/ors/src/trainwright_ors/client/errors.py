# ruff: noqa: N818  (they are named after what happened: `except SessionGone`)
"""What can go wrong with a server. Every error names the environment and the task, never a session's id or a secret."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from trainwright.errors import TrainwrightError


@dataclass(frozen=True)
class Place:
    """Where something happened, in words that are the same in every run.

    Attributes:
        environment: The environment's name; empty for what concerns the whole server.
        task: The task, as `train[3]` or `a given task`; empty where there is none.
        tool: The tool's name; empty where none was called.
    """

    environment: str = ""
    task: str = ""
    tool: str = ""

    def __str__(self) -> str:
        """`environment 'mathenv', task train[3], tool 'add'`, or `the ORS server`."""
        parts = [f"environment {self.environment!r}"] if self.environment else ["the ORS server"]
        parts += [f"task {self.task}"] if self.task else []
        parts += [f"tool {self.tool!r}"] if self.tool else []
        return ", ".join(parts)


class OrsError(TrainwrightError):
    """Base of everything that an ORS server, or the way to it, can do to a run.

    Args:
        message: What is wrong.
        place: The environment, task and tool.
        remedy: What to do.

    Attributes:
        place: The environment, task and tool.
        detail: The message alone, fit to be shown to a model.
    """

    def __init__(self, message: str, place: Place | None = None, *, remedy: str = "") -> None:
        self.place = place or Place()
        self.detail = message
        super().__init__(message, where=str(self.place), remedy=remedy)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled, as errors are that cross processes, with all that the class was given."""
        own = {name: value for name, value in vars(self).items() if name in ("reason", "status")}
        return partial(type(self), self.detail, self.place, remedy=self.problems[0].remedy, **own), ()


class Unreachable(OrsError):
    """No connection, or none that lasted, within the retries; nothing was executed."""


class SessionGone(OrsError):
    """The server no longer knows the session: it expired, was deleted, or the server restarted."""


class OutcomeUnknown(OrsError):
    """The connection was lost at a point where a tool may or may not have run; it is not called again."""


class ToolFailed(OrsError):
    """The server ran or refused a tool and said so; the session goes on.

    Attributes:
        reason: `not_found`, `name_collision`, `input_validation` or `episode_finished` of a refusal that the server
            gives or whose text tells it; `raised` where the tool's own code failed; else empty.
    """

    def __init__(self, message: str, place: Place | None = None, *, reason: str = "", remedy: str = "") -> None:
        self.reason = reason
        super().__init__(message, place, remedy=remedy)


class Deadline(OrsError):
    """Something took longer than its deadline."""


class ProtocolError(OrsError):
    """The server's answer is not what the standard says; nothing of it is used."""


class HttpRefused(OrsError):
    """The server answered with an HTTP error.

    Attributes:
        status: The HTTP status.
    """

    def __init__(self, message: str, place: Place | None = None, *, status: int, remedy: str = "") -> None:
        self.status = status
        super().__init__(message, place, remedy=remedy)


class EnvironmentFailed(HttpRefused):
    """The environment's own code failed (HTTP 500): its constructor, its setup, its prompt or its tasks."""
