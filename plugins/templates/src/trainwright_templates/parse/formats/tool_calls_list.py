"""JSON lists and lines between tags: Jamba, Apriel, Hunyuan, MiniMax M1 (`<tool_calls>`), Nemotron 2 (`<TOOLCALL>`)."""

import re

from trainwright_templates.parse.format import THINK, TaggedFormat, Thinking
from trainwright_templates.parse.json_calls import JsonCalls

_PLURAL = re.compile(r"<tool_calls>")
_UPPER = re.compile(r"<TOOLCALL>")
_APRIEL = Thinking("Here are my reasoning steps:\n", "[BEGIN FINAL RESPONSE]", unopened=True)

_HUNYUAN = re.compile("助手：")  # before a plain answer; the prompt leaves it to the model

PLURAL = TaggedFormat(
    "tool_calls", _PLURAL, JsonCalls(_PLURAL, "</tool_calls>"), thinking=(THINK, _APRIEL), lead=_HUNYUAN
)
NEMOTRON_2 = TaggedFormat("nemotron2", _UPPER, JsonCalls(_UPPER, "</TOOLCALL>"))
