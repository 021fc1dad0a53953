"""Hermes, Qwen2.5, Qwen3, Granite 4, Reka and others: `<tool_call>{"name": …, "arguments": …}</tool_call>`."""

import re

from trainwright_templates.parse.format import TaggedFormat
from trainwright_templates.parse.json_calls import JsonCalls

_OPENING = re.compile(r"<tool_call>")
FORMAT = TaggedFormat("hermes", _OPENING, JsonCalls(_OPENING, "</tool_call>"))
