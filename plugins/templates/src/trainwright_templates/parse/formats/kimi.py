"""Kimi K2: a section of calls, each with an id that holds its name."""

import re

from trainwright_templates.parse.format import TaggedFormat, Thinking
from trainwright_templates.parse.headed_calls import HeadedCalls

_OPENING = re.compile(
    r"(?:<\|tool_calls_section_begin\|>\s*+)?<\|tool_call_begin\|>\s*+(?:functions\.)?(?P<name>[^<>\s]{1,128}?)(?::\d{1,9}+)?"
    r"\s*+<\|tool_call_argument_begin\|>"
)
FORMAT = TaggedFormat(
    "kimi",
    _OPENING,
    HeadedCalls(_OPENING, "<|tool_call_end|>", "<|tool_calls_section_end|>"),
    thinking=(Thinking("<think>", "</think>"), Thinking("◁think▷", "◁/think▷")),
)
