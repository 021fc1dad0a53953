"""DeepSeek: call markers around JSON (R1 and V3 with a type and a code fence, V3.1 without), and DSML (V3.2, V4)."""

import re

from trainwright_templates.parse.format import TaggedFormat
from trainwright_templates.parse.headed_calls import HeadedCalls
from trainwright_templates.parse.tagged_calls import TaggedCalls

_BEGIN = r"(?:<｜tool▁calls▁begin｜>\s*+)?<｜tool▁call▁begin｜>"
_OUTER = "<｜tool▁calls▁end｜>"
_V3 = re.compile(_BEGIN + r"\w{1,32}+<｜tool▁sep｜>(?P<name>[^<`\n]{1,256}+)\n\s*+```(?:json)?\s*+")
_V31 = re.compile(_BEGIN + r"(?P<name>[^<`\n]{1,256}+)<｜tool▁sep｜>")
_DSML = re.compile(
    r'(?:<｜DSML｜(?:function_calls|tool_calls)>\s*+)?<｜DSML｜invoke name="(?P<name>[^"<>\n]{1,256}+)"\s*+>'
)
_PARAMETER = re.compile(
    r'<｜DSML｜parameter name="(?P<key>[^"<>\n]{1,256}+)"(?:\s++string="(?P<string>true|false)")?+\s*+>'
)

V3 = TaggedFormat("deepseek", _V3, HeadedCalls(_V3, "<｜tool▁call▁end｜>", _OUTER, fenced=True))
V31 = TaggedFormat("deepseek31", _V31, HeadedCalls(_V31, "<｜tool▁call▁end｜>", _OUTER))
DSML = TaggedFormat(
    "dsml",
    _DSML,
    TaggedCalls(
        _DSML,
        _PARAMETER,
        "</｜DSML｜parameter>",
        ("</｜DSML｜invoke>",),
        outer=("</｜DSML｜function_calls>", "</｜DSML｜tool_calls>"),
    ),
)
