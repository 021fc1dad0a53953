"""MiniMax: `<invoke name="…">` with `<parameter name="…">` (M2) or a tag a key (M3); Muse is like M2."""

import re

from trainwright_templates.parse.format import TaggedFormat, Thinking
from trainwright_templates.parse.nested_calls import NestedCalls
from trainwright_templates.parse.tagged_calls import TaggedCalls

_NAME = r'invoke name="(?P<name>[^"<>\n]{1,256}+)">'
_KEY = r'parameter name="(?P<key>[^"<>\n]{1,256}+)">'
_M2 = re.compile(rf"(?:<minimax:tool_call>\s*+)?<{_NAME}")
_MARKER = "]<]minimax[>["
_M3 = re.compile(rf"(?:{re.escape(_MARKER)}<tool_call>\s*+)?{re.escape(_MARKER)}<{_NAME}")
_TO = r"(?:<\|start\|>assistant )?(?<![^\s>])to="
_MUSE = re.compile(rf"(?:{_TO}[^<>\s]{{1,128}}+<\|message\|>)?(?:<atem:function_calls>\s*+)?<atem:{_NAME}")

M2 = TaggedFormat(
    "minimax",
    _M2,
    TaggedCalls(_M2, re.compile(f"<{_KEY}"), "</parameter>", ("</invoke>",), outer=("</minimax:tool_call>",)),
)
M3 = TaggedFormat(
    "minimax3",
    _M3,
    NestedCalls(_M3, _MARKER, "invoke", f"{_MARKER}</tool_call>"),
    thinking=(Thinking("<mm:think>", "</mm:think>"),),
)
MUSE = TaggedFormat(
    "muse",
    _MUSE,
    TaggedCalls(
        _MUSE,
        re.compile(f"<atem:{_KEY}"),
        "</atem:parameter>",
        ("</atem:invoke>",),
        outer=("</atem:function_calls><|eom|>", "</atem:function_calls>"),
    ),
    thinking=(
        Thinking("to=self<|message|>", "<|eom|>", unopened=False),
        Thinking("<|start|>assistant to=self<|message|>", "<|eom|>", unopened=False),
    ),
    lead=re.compile(rf"{_TO}user<\|message\|>"),
    noise=("<|eom|>",),
)
