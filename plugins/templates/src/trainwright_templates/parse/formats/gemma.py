"""Gemma 4: `<|tool_call>call:name{key:<|"|>text<|"|>}<tool_call|>`, with thinking in a channel."""

import re

from trainwright_templates.parse.format import TaggedFormat, Thinking
from trainwright_templates.parse.gemma_calls import GemmaCalls

_OPENING = re.compile(r"<\|tool_call>\s*+(?:call:)?(?P<name>[^{}\s<>]{1,128}+)(?=\{)")
FORMAT = TaggedFormat(
    "gemma4",
    _OPENING,
    GemmaCalls(_OPENING, "<tool_call|>"),
    thinking=(Thinking("<|channel>thought\n", "<channel|>"), Thinking("<|channel>thought", "<channel|>")),
)
