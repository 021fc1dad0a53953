"""What a response format is, and the one loop that takes a response apart by it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from .calls import MAX_CALLS, Reading, Region, Response, ToolCall
from .source import Source, skip_space
from .tools import Tools

# Openings that may start no call before the rest of a text is content: each costs a look at what follows.
MAX_MENTIONS = 4096

# What stands between two turns, in some template or other.
_TURN = re.compile(r"<[|｜]|[|｜]>|\[/INST\]|</s>|_of_turn>|\[e~\[|\]~b\]")

Read = Callable[[Source, re.Match[str], Tools], Region | None]


@runtime_checkable
class Format(Protocol):
    """How one family of models writes thinking, content and calls.

    Attributes:
        name: The name that a config and `explain` use.
    """

    name: str

    def scan(self, source: Source, tools: Tools, prefix: str) -> Response:
        """Take `source.text` apart. `prefix` is the end of the prompt, of which nothing may be in the answer."""
        ...


@dataclass(frozen=True)
class Thinking:
    """A pair of tags around reasoning.

    Attributes:
        open: The opening tag.
        close: The closing tag.
        unopened: Whether a closing tag without an opening one ends reasoning that began with the response; None: where
            there is no prompt that could have opened it or not.
    """

    open: str
    close: str
    unopened: bool | None = None

    def left_open(self, prefix: str) -> bool:
        """Whether the prompt ends inside this block; a tag that the user's turn mentions opens nothing."""
        at = prefix.rfind(self.open)
        return at > prefix.rfind(self.close) and not _TURN.search(prefix, at + len(self.open))


THINK = Thinking("<think>", "</think>")


@dataclass(frozen=True)
class TaggedFormat:
    """Thinking in tags, calls after an opening, content everywhere else.

    Attributes:
        name: The format's name.
        opening: What may start a call.
        read: Reads the calls that start at a match of `opening`; None where it starts none, and the text is content.
            It must look at no more text than it takes, so that a scan stays linear.
        thinking: The tags of reasoning.
        lead: What may stand before content and is none of it (`>>>all`): a recipient or a channel.
        noise: Markers that are neither content nor call (`<|python_start|>`); they are taken out of content.
    """

    name: str
    opening: re.Pattern[str]
    read: Read
    thinking: tuple[Thinking, ...] = (THINK,)
    lead: re.Pattern[str] | None = None
    noise: tuple[str, ...] = ()

    def scan(self, source: Source, tools: Tools, prefix: str) -> Response:
        """Take a response apart, see `Format`."""
        parts = Parts()
        at = self._begin(source, prefix, tools, parts)
        while at < len(source.text):
            at = self._past_frame(source, at, parts)
            region, match = self._next(source, at, tools)
            end = match.start() if match else len(source.text)
            parts.say(source.text[at:end], before_call=region is not None)
            if region is None or match is None:
                break
            if len(parts.calls) >= MAX_CALLS:
                parts.give_up(source.text, match.start())
                break
            parts.calls.extend(region.calls)
            parts.beside_marker = True
            at = region.end
        return parts.response(self.noise)

    def _begin(self, source: Source, prefix: str, tools: Tools, parts: Parts) -> int:
        """Past the reasoning that the prompt has opened, and past one whose end alone is there."""
        first = skip_space(source.text, 0)
        for tags in self.thinking:
            if tags.left_open(prefix) or source.text.startswith(tags.close, first):
                return parts.think(source, 0, tags)
            unopened = not prefix if tags.unopened is None else tags.unopened
            if unopened and self._ends_unopened(source, tags, tools):
                return parts.think(source, 0, tags)
        return 0

    def _ends_unopened(self, source: Source, tags: Thinking, tools: Tools) -> bool:
        """Whether a closing tag stands before any opening one, and not inside a call's argument."""
        shut, started = source.find(tags.close, 0), source.find(tags.open, 0)
        if shut == -1 or -1 < started < shut:
            return False
        region, match = self._next(source, 0, tools)
        inside = region is not None and match is not None and match.start() < shut < region.end
        return not (inside and region is not None and all(call.usable for call in region.calls))

    def _past_frame(self, source: Source, at: int, parts: Parts) -> int:
        """Past every block of reasoning and every lead that stands at `at`."""
        while True:
            start = skip_space(source.text, at)
            tags = next((tags for tags in self.thinking if source.text.startswith(tags.open, start)), None)
            lead = self.lead.match(source.text, start) if self.lead and tags is None else None
            if tags is not None:
                at = parts.think(source, start + len(tags.open), tags)
            elif lead is not None and lead.end() > start:
                at, parts.beside_marker = lead.end(), True
            else:
                return at

    def _next(self, source: Source, at: int, tools: Tools) -> tuple[Region | None, re.Match[str] | None]:
        while match := source.search(self.opening, at):
            region = self.read(source, match, tools)
            if region is not None:
                return region, match
            at = max(match.end(), match.start() + 1)
            source.mentions += 1
            if source.mentions > MAX_MENTIONS:
                break
        return None, None


@dataclass
class Parts:
    """A response under construction."""

    calls: list[ToolCall] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)
    beside_marker: bool = False

    def think(self, source: Source, start: int, tags: Thinking) -> int:
        """Keep the reasoning from `start` to its closing tag, or all of the text; returns where content goes on."""
        shut = source.find(tags.close, start)
        end = len(source.text) if shut == -1 else shut
        self.thoughts.append(source.text[start:end].strip())
        self.beside_marker = True
        return end if shut == -1 else shut + len(tags.close)

    def say(self, text: str, before_call: bool = False) -> None:
        """Keep content; white space beside a marker belongs to the frame."""
        text = text.lstrip() if self.beside_marker else text
        text = text.rstrip() if before_call else text
        if text:
            self.pieces.append(text)

    def give_up(self, text: str, start: int) -> None:
        """Take the rest of the text for one call that cannot be executed."""
        reading = Reading()
        reading.fail(f"more than {MAX_CALLS} calls")
        self.calls.append(reading.at(text, start, len(text)))

    def response(self, noise: tuple[str, ...] = ()) -> Response:
        """The finished response."""
        content = "\n".join(self.pieces)
        for marker in noise:
            content = content.replace(marker, "")
        return Response(content, "\n\n".join(filter(None, self.thoughts)), tuple(self.calls))
