"""IBM Granite before 4: a JSON list after `<|tool_call|>` (3.x) or objects each after `<function_call>` (20B)."""

import re

from trainwright_templates.parse.format import THINK, TaggedFormat
from trainwright_templates.parse.json_calls import JsonCalls

_LIST = re.compile(r"<\|tool_call\|>")
_EACH = re.compile(r"<function_call>")

GRANITE = TaggedFormat("granite", _LIST, JsonCalls(_LIST), thinking=(THINK,), noise=("<response>", "</response>"))
GRANITE_20B = TaggedFormat("granite20b", _EACH, JsonCalls(_EACH))
