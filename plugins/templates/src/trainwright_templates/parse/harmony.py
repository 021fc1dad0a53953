"""gpt-oss: messages with a channel and a recipient in their header, in either order."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .calls import Reading, Response
from .format import Parts
from .json_calls import fill_arguments
from .jsons import read_json
from .source import Source, skip_space
from .tools import Tools

_MESSAGE = "<|message|>"
_END = re.compile(r"<\|(?:end|call|return|start)\|>")
_BEGIN = re.compile(r"<\|(?:start|channel|message)\|>|(?<!\s)\s*+to=")
_RECIPIENT = re.compile(r"\bto=(?:functions\.)?([^\s<]+)")
_CHANNEL = re.compile(r"<\|channel\|>\s*(\w+)")


@dataclass(frozen=True)
class Harmony:
    """gpt-oss' format: `analysis` is thinking, a message to a recipient is a call, all else is content.

    Attributes:
        name: The format's name.
    """

    name: str = "harmony"

    def scan(self, source: Source, tools: Tools, prefix: str) -> Response:
        """Take a response apart, see `Format`."""
        parts = Parts()
        at = 0
        while at < len(source.text):
            begin = source.search(_BEGIN, at)
            if begin is None or (begin.start() > at and source.text[at : begin.start()].strip() and at > 0):
                parts.say(source.text[at : begin.start() if begin else len(source.text)])
            elif begin.start() > at and source.text[at : begin.start()].strip() not in ("", "assistant"):
                parts.say(source.text[at : begin.start()])
            if begin is None:
                break
            at = self._message(source, begin.start(), tools, parts, prefix)
        return parts.response()

    def _message(self, source: Source, start: int, tools: Tools, parts: Parts, prefix: str) -> int:
        """Read one message from its header on; returns where it ends."""
        text = source.text
        at = source.find(_MESSAGE, start)
        header = text[start : len(text) if at == -1 else at]
        if at == 0:  # the header stands in the prompt
            header = prefix[max(prefix.rfind("<|start|>"), 0) :]
        recipient = _RECIPIENT.search(header)
        if at == -1:
            return self._headless(source, start, recipient, parts)
        body = at + len(_MESSAGE)
        if recipient:
            return self._call(source, start, body, recipient[1], tools, parts)
        end = source.search(_END, body)
        stop = end.start() if end else len(text)
        channel = _CHANNEL.search(header)
        if channel and channel[1] == "analysis":
            parts.thoughts.append(text[body:stop].strip())
        else:
            parts.say(text[body:stop])
        return _past(end, len(text))

    def _headless(self, source: Source, start: int, recipient: re.Match[str] | None, parts: Parts) -> int:
        """A text that ends inside a header says nothing; one to a recipient is a call that was cut."""
        if recipient:
            reading = Reading(recipient[1])
            reading.fail("the text ends before the arguments", "truncated")
            parts.calls.append(reading.at(source.text, start, len(source.text)))
        return len(source.text)

    def _call(self, source: Source, start: int, body: int, name: str, tools: Tools, parts: Parts) -> int:
        text, reading = source.text, Reading(name)
        at = skip_space(text, body)
        if at >= len(text):
            reading.fail("the text ends before the arguments", "truncated")
            end = len(text)
        else:
            part = read_json(source, at, "<|call|>", _NEXT)
            reading.status, reading.reason, end = part.status, part.reason, part.end
            if reading.status in ("ok", "repaired"):
                fill_arguments(reading, part.value, tools)
        after = _END.match(text, skip_space(text, end))
        stop = _past(after, end) if after else end
        parts.calls.append(reading.at(text, start, stop))
        return stop


_NEXT = re.compile(r"<\|start\|>")


def _past(end: re.Match[str] | None, default: int) -> int:
    """Where the next message may begin: after a closing tag, at an opening one."""
    if end is None:
        return default
    return end.start() if end[0] == "<|start|>" else end.end()
