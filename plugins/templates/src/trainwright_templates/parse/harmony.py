"""gpt-oss: messages with a channel and a recipient in their header, in either order."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .arguments import read_arguments, skip_fence
from .calls import MAX_CALLS, Reading, Response
from .format import Parts
from .source import Source, skip_space
from .tools import Tools

_START = "<|start|>"
_MESSAGE = "<|message|>"
_END = re.compile(r"<\|(?:end|call|return|start)\|>")
_NEXT = re.compile(re.escape(_START))
# Where a message begins. The prompt may have written `<|start|>` and more of the first one's header.
_BEGIN = re.compile(r"<\|(?:start|channel|message)\|>|\A\s*+(?:to=|assistant\s*+(?=to=|<\|))")
_RECIPIENT = re.compile(r"\bto=(?:functions\.)?([^\s<]+)")
_CHANNEL = re.compile(r"<\|channel\|>\s*(\w+)")
# A header, perhaps cut, behind which no message follows.
_CUT = re.compile(
    r"(?:<\|start\|>)?(?:assistant)?(?:\s*+(?:<\|channel\|>\s*+\w*+|to=[^\s<]*+|<\|constrain\|>\s*+\w*+|json))*+\s*+\Z"
)


@dataclass(frozen=True)
class Harmony:
    """gpt-oss' format: `analysis` is thinking, a message to a recipient is a call, all else is content.

    Attributes:
        name: The format's name.
    """

    name: str = "harmony"

    def scan(self, source: Source, tools: Tools, prefix: str) -> Response:
        """Take a response apart, see `Format`."""
        scan = _Scan(source, tools)
        at = scan.begun(prefix)
        while at < len(source.text):
            begin = source.search(_BEGIN, at)
            scan.say(at, begin.start() if begin else len(source.text))
            if begin is None:
                break
            if len(scan.parts.calls) >= MAX_CALLS:
                scan.parts.give_up(source.text, begin.start())
                break
            at = scan.message(begin.start())
        return scan.parts.response()


class _Scan:
    """One response while it is taken apart."""

    def __init__(self, source: Source, tools: Tools) -> None:
        self.source, self.text, self.tools = source, source.text, tools
        self.parts = Parts()

    def begun(self, prefix: str) -> int:
        """Read the message that the prompt has begun, if it has; returns where it ends."""
        start = prefix.rfind(_START)
        if not self.text or start == -1 or _END.search(prefix, start + len(_START)):
            return 0
        header, message, _ = prefix[start:].partition(_MESSAGE)
        if message:
            return self.body(0, 0, header)
        at = self.source.find(_MESSAGE, 0)
        return 0 if at == -1 or _END.search(self.text, 0, at) else self.message(0, header)

    def message(self, start: int, begun: str = "") -> int:
        """Read the message whose header, or all of it but `begun`, is at `start`; returns where it ends."""
        at = self.source.find(_MESSAGE, start)
        if at == -1:
            self.without_body(start)
            return len(self.text)
        return self.body(start, at + len(_MESSAGE), begun + self.text[start:at])

    def without_body(self, start: int) -> None:
        """A header that is cut: with a recipient a call, else it says nothing; what is no header is text."""
        header = _CUT.match(self.text, skip_space(self.text, start))
        recipient = _RECIPIENT.search(header[0]) if header else None
        if header is None:
            self.say(start, len(self.text))
        elif recipient:
            reading = Reading(recipient[1])
            reading.fail("the text ends before the arguments", "truncated")
            self.parts.calls.append(reading.at(self.text, start, len(self.text)))

    def body(self, start: int, at: int, header: str) -> int:
        """Read what is between a header and the message's end."""
        recipient, channel = _RECIPIENT.search(header), _CHANNEL.search(header)
        if recipient:
            return self.call(start, at, recipient[1])
        end = self.source.search(_END, at)
        stop = end.start() if end else len(self.text)
        if channel and channel[1] == "analysis":
            self.parts.thoughts.append(self.text[at:stop].strip())
        else:
            self.parts.say(self.text[at:stop])
        return _past(end, len(self.text))

    def call(self, start: int, at: int, name: str) -> int:
        """Read a call's arguments."""
        reading, at = Reading(name), skip_space(self.text, at)
        if at >= len(self.text):
            reading.fail("the text ends before the arguments", "truncated")
            end = len(self.text)
        else:
            end, fenced = read_arguments(self.source, at, reading, self.tools, "<|call|>", _NEXT)
            end = skip_fence(self.text, end) if fenced else end
        after = _END.match(self.text, skip_space(self.text, end))
        end = _past(after, end) if after else end
        self.parts.calls.append(reading.at(self.text, start, end))
        return end

    def say(self, start: int, end: int) -> None:
        """Keep text outside any message as content, if there is any."""
        if not self.text[start:end].isspace():
            self.parts.say(self.text[start:end])


def _past(end: re.Match[str] | None, default: int) -> int:
    """Where the next message may begin: after a closing tag, at an opening one."""
    if end is None:
        return default
    return end.start() if end[0] == _START else end.end()
