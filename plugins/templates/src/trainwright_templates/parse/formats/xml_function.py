"""`<function=NAME>` with `<parameter=KEY>`: Qwen3-Coder, Qwen3.5, Nemotron 3, StepFun, Seed-OSS; and near relations."""

import re

from trainwright_templates.parse.format import THINK, TaggedFormat, Thinking
from trainwright_templates.parse.tagged_calls import TaggedCalls

_PARAMETER = re.compile(r"<parameter=(?P<key>[^<>\n]{1,256}+)>")
_QWEN = re.compile(r"(?:<tool_call>\s*+){0,2}<function=(?P<name>[^<>\n]{1,256}+)>")
_SEED = re.compile(r"(?:<seed:tool_call>\s*+){0,2}<function=(?P<name>[^<>\n]{1,256}+)>")
_MINICPM = re.compile(r'<function name="(?P<name>[^"<>\n]{1,256}+)">')
_MINICPM_PARAMETER = re.compile(r'<param name="(?P<key>[^"<>\n]{1,256}+)">')

QWEN = TaggedFormat(
    "xml_function",
    _QWEN,
    TaggedCalls(_QWEN, _PARAMETER, "</parameter>", ("</function>", "</tool_call>"), framed=True),
)
SEED = TaggedFormat(
    "seed",
    _SEED,
    TaggedCalls(_SEED, _PARAMETER, "</parameter>", ("</function>", "</seed:tool_call>")),
    thinking=(Thinking("<seed:think>", "</seed:think>"),),
)
MINICPM = TaggedFormat(
    "minicpm",
    _MINICPM,
    TaggedCalls(_MINICPM, _MINICPM_PARAMETER, "</param>", ("</function>",), cdata=True),
    thinking=(THINK,),
)
