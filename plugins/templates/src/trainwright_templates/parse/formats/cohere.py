"""Cohere Command: a JSON list between action markers, or after `Action:` in a code fence (Command R and R+)."""

import re

from trainwright_templates.parse.format import TaggedFormat, Thinking
from trainwright_templates.parse.json_calls import JsonCalls

_OPENING = re.compile(r"<\|START_ACTION\|>")
_ACTION = re.compile(r"Action:\s*+```json(?=\s*+\[)")
FORMAT = TaggedFormat(
    "cohere",
    _OPENING,
    JsonCalls(_OPENING, "<|END_ACTION|>"),
    thinking=(Thinking("<|START_THINKING|>", "<|END_THINKING|>"),),
    noise=("<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|START_TEXT|>", "<|END_TEXT|>"),
)
COMMAND_R = TaggedFormat("command_r", _ACTION, JsonCalls(_ACTION))
