"""What a parsed response is made of: content, thinking, and calls that say how sure they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

# Calls read in one response. A text that holds more is no answer; what follows is one malformed call.
MAX_CALLS = 1024

Status = Literal["ok", "repaired", "truncated", "malformed"]


@dataclass(frozen=True)
class ToolCall:
    """One call as the model wrote it.

    Attributes:
        name: The tool's name; empty where it could not be read.
        arguments: The arguments, typed by the tool's schema; empty unless `status` is `ok` or `repaired`.
        status: `ok`: written as the format asks. `repaired`: the only reading of a slip (a trailing comma, a missing
            closing tag after whole arguments). `truncated`: the text ends inside the call. `malformed`: no reading.
        raw: The call's text, tags included.
        span: Where `raw` lies in the text, in characters: `text[start:end] == raw`.
        reason: What was repaired or wrong; empty for a plain `ok`.
    """

    name: str
    arguments: dict[str, Any]
    status: Status
    raw: str
    span: tuple[int, int]
    reason: str = ""

    @property
    def usable(self) -> bool:
        """Whether the call may be executed: never one that is truncated or malformed."""
        return self.status in ("ok", "repaired")


@dataclass(frozen=True)
class Response:
    """A response taken apart.

    Attributes:
        content: What the model says to the user.
        thinking: Its reasoning; several blocks are joined by an empty line.
        calls: Every call in order, those that cannot be executed included.
    """

    content: str
    thinking: str = ""
    calls: tuple[ToolCall, ...] = ()

    @property
    def usable_calls(self) -> tuple[ToolCall, ...]:
        """The calls that may be executed, in order."""
        return tuple(call for call in self.calls if call.usable)


@dataclass(frozen=True)
class Region:
    """A stretch of text that a format has read as calls.

    Attributes:
        end: Where it ends, in characters; greater than where it starts.
        calls: The calls in it, in order.
    """

    end: int
    calls: tuple[ToolCall, ...]


@dataclass
class Reading:
    """Arguments on their way to a `ToolCall`: the status can only get worse."""

    name: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    status: Status = "ok"
    reason: str = ""

    def slip(self, reason: str) -> None:
        """Note something that had to be repaired."""
        if self.status == "ok":
            self.status, self.reason = "repaired", reason

    def fail(self, reason: str, status: Status = "malformed") -> None:
        """Note that there is no reading."""
        self.status, self.reason, self.arguments = status, reason, {}

    def at(self, text: str, start: int, end: int) -> ToolCall:
        """The finished call over `text[start:end]`."""
        arguments = self.arguments if self.status in ("ok", "repaired") else {}
        return ToolCall(self.name, arguments, self.status, text[start:end], (start, end), self.reason)

    def region(self, text: str, start: int, end: int) -> Region:
        """The stretch `text[start:end]` with this call alone."""
        return Region(end, (self.at(text, start, end),))
