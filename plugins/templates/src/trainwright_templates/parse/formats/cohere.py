"""Cohere Command: a JSON list between action markers, with thinking and response markers around the rest."""

import re

from trainwright_templates.parse.format import TaggedFormat, Thinking
from trainwright_templates.parse.json_calls import JsonCalls

_OPENING = re.compile(r"<\|START_ACTION\|>")
FORMAT = TaggedFormat(
    "cohere",
    _OPENING,
    JsonCalls(_OPENING, "<|END_ACTION|>"),
    thinking=(Thinking("<|START_THINKING|>", "<|END_THINKING|>"),),
    noise=("<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|START_TEXT|>", "<|END_TEXT|>"),
)
