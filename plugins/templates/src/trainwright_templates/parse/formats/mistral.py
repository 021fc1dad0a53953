"""Mistral: `[TOOL_CALLS]` before a JSON list (up to Small 3.1) or before a name and its arguments (since Small 3.2)."""

import re

from trainwright_templates.parse.format import TaggedFormat, Thinking
from trainwright_templates.parse.headed_calls import HeadedCalls
from trainwright_templates.parse.json_calls import JsonCalls

_THINK = (Thinking("[THINK]", "[/THINK]"), Thinking("<think>", "</think>"))
_LIST = re.compile(r"\[TOOL_CALLS\]")
_NAMED = re.compile(
    r"\[TOOL_CALLS\]\s*+(?P<name>\w[\w.\-:/]{0,127}+)(?:\[CALL_ID\][^\[\s]{0,128}+)?\s*+(?:\[ARGS\]|(?=\{)|\Z)"
)

LIST = TaggedFormat("mistral", _LIST, JsonCalls(_LIST), thinking=_THINK)
NAMED = TaggedFormat("mistral_args", _NAMED, HeadedCalls(_NAMED), thinking=_THINK)
