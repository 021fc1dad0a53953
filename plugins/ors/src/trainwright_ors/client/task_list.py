"""A list of tasks read as it arrives, one task in memory at a time: a split may have a million."""

from __future__ import annotations

import codecs
import json
import re
from typing import Any

_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


class TaskListError(ValueError):
    """The list cannot be read."""


class TaskList:
    """Reads `{"tasks": [...], ...}` in pieces of any size.

    Args:
        limit: Characters of one task, and of anything else that stands beside the list.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._text = ""
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._wait_for = 1  # characters; doubled while a value is incomplete, so that none is read over and over
        self._state = "{"
        self._found = False

    def feed(self, piece: bytes) -> list[dict[str, Any]]:
        """The tasks that these bytes complete."""
        try:
            self._text += self._decode(piece)
        except UnicodeDecodeError as error:
            raise TaskListError(f"not UTF-8: {error.reason}") from None
        if len(self._text) < self._wait_for:
            return []
        return self._advance()

    def end(self) -> list[dict[str, Any]]:
        """The rest, once the answer is complete."""
        tasks = self._advance()
        if self._state != "done":
            raise TaskListError("it ends too early, or a value in it is not JSON")
        if self._text.strip() or not self._found:
            raise TaskListError("something follows it" if self._found else "it holds no list under `tasks`")
        return tasks

    def _advance(self) -> list[dict[str, Any]]:
        """Read as many whole values as there are; the states are what may come next."""
        tasks: list[dict[str, Any]] = []
        at = 0
        while (step := self._step(at, tasks)) is not None:
            at = step
        self._text = self._text[at:]
        if len(self._text) > self._limit:
            raise TaskListError(f"a task is longer than {self._limit:,} characters")
        self._wait_for = 1 if at else 2 * max(len(self._text), 1)
        return tasks

    def _step(self, at: int, tasks: list[dict[str, Any]]) -> int | None:
        at = self._skip(at)
        if at >= len(self._text) or self._state == "done":
            return None
        return getattr(self, f"_{_STATES[self._state]}")(at, tasks)  # type: ignore[no-any-return]

    def _opening(self, at: int, tasks: list[dict[str, Any]]) -> int:
        self._expect(at, "{")
        self._state = "key"
        return at + 1

    def _key(self, at: int, tasks: list[dict[str, Any]]) -> int | None:
        if self._text[at] == "}":
            self._state = "done"
            return at + 1
        read = self._value(at, ":")
        if read is None:
            return None
        key, after = read
        if key != "tasks":
            self._state = "value"
            return after + 1
        bracket = self._skip(after + 1)
        if bracket >= len(self._text):
            return None
        self._expect(bracket, "[")
        self._state, self._found = "task", True
        return bracket + 1

    def _other(self, at: int, tasks: list[dict[str, Any]]) -> int | None:
        read = self._value(at, ",}")
        return None if read is None else self._after_value(read[1])

    def _after_value(self, at: int) -> int:
        self._state = "key" if self._text[at] == "," else "done"
        return at + 1

    def _task(self, at: int, tasks: list[dict[str, Any]]) -> int | None:
        if self._text[at] == "]":
            self._state = "end of list"
            return at + 1
        read = self._value(at, ",]")
        if read is None:
            return None
        task, after = read
        if not isinstance(task, dict):
            raise TaskListError("a task is not an object")
        tasks.append(task)
        return after + 1 if self._text[after] == "," else after

    def _closing(self, at: int, tasks: list[dict[str, Any]]) -> int:
        self._expect(at, ",}")
        return self._after_value(at)

    def _value(self, at: int, before: str) -> tuple[Any, int] | None:
        """A JSON value and where the delimiter after it stands; None where either is still to come."""
        try:
            value, end = _DECODER.raw_decode(self._text, at)
        except json.JSONDecodeError:
            return None
        except (ValueError, RecursionError):
            raise TaskListError("a task nests too deep, or holds a number that is too long") from None
        end = self._skip(end)
        if end >= len(self._text):
            return None
        self._expect(end, before)
        return value, end

    def _skip(self, at: int) -> int:
        found = _SPACE.match(self._text, at)
        return found.end() if found else at

    def _expect(self, at: int, characters: str) -> None:
        if self._text[at] not in characters:
            raise TaskListError(f"{self._text[at]!r} stands where one of {characters!r} was due")


_STATES = {"{": "opening", "key": "key", "value": "other", "task": "task", "end of list": "closing"}
