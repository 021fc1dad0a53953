"""MiniMax M2: `<invoke name="…">` with `<parameter name="…">`; Muse writes the same with another name space."""

import re

from trainwright_templates.parse.format import TaggedFormat
from trainwright_templates.parse.tagged_calls import TaggedCalls

_OPENING = re.compile(r'(?:<minimax:tool_call>\s*+)?<invoke name="(?P<name>[^"<>\n]{1,256}+)">')
_PARAMETER = re.compile(r'<parameter name="(?P<key>[^"<>\n]{1,256}+)">')
FORMAT = TaggedFormat(
    "minimax",
    _OPENING,
    TaggedCalls(_OPENING, _PARAMETER, "</parameter>", ("</invoke>",), outer=("</minimax:tool_call>",)),
)
