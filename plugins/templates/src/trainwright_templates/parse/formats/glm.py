"""GLM-4.5 and later, Laguna: a name, then `<arg_key>` and `<arg_value>`; and Hunyuan 3, whose tags have a suffix."""

import re

from trainwright_templates.parse.format import TaggedFormat, Thinking
from trainwright_templates.parse.tagged_calls import TaggedCalls

_NAME = r"(?P<name>\w[\w.\-:/]{0,127}+)\s*+"
_GLM = re.compile(rf"(?:<tool_call>\s*+){{1,2}}{_NAME}(?=<arg_key>|</tool_call>|\Z)")
_HUNYUAN = re.compile(
    r"(?:<tool_calls:opensource>\s*+)?<tool_call:opensource>\s*+(?P<name>[^<>\s]{1,128}+)\s*+<tool_sep:opensource>"
)
_GLM_KEY = re.compile(r"<arg_key>(?P<key>[^<>\n]{1,256}+)</arg_key>\s*+<arg_value>")
_HUNYUAN_KEY = re.compile(
    r"<arg_key:opensource>(?P<key>[^<>\n]{1,256}+)</arg_key:opensource>\s*+<arg_value:opensource>"
)

GLM = TaggedFormat("glm", _GLM, TaggedCalls(_GLM, _GLM_KEY, "</arg_value>", ("</tool_call>",)))
HUNYUAN = TaggedFormat(
    "hunyuan3",
    _HUNYUAN,
    TaggedCalls(
        _HUNYUAN,
        _HUNYUAN_KEY,
        "</arg_value:opensource>",
        ("</tool_call:opensource>",),
        outer=("</tool_calls:opensource>",),
    ),
    thinking=(Thinking("<think:opensource>", "</think:opensource>"),),
)
