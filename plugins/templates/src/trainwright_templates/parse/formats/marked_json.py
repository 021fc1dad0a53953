"""JSON after one special token each: InternLM 2, Apertus, GigaChat 3, Solar Open."""

import re

from trainwright_templates.parse.format import TaggedFormat, Thinking
from trainwright_templates.parse.headed_calls import HeadedCalls
from trainwright_templates.parse.json_calls import JsonCalls

_INTERNLM = re.compile(r"<\|action_start\|>\s*+<\|plugin\|>")
_APERTUS = re.compile(r"<\|tools_prefix\|>")
_GIGACHAT = re.compile(r"(?:<\|function_call\|>|<\|message_sep\|>\s*+function call<\|role_sep\|>)")
_SOLAR = re.compile(
    r"(?:(?:<\|begin\|>assistant)?<\|tool_calls\|>\s*+)?<\|tool_call:begin\|>[^<>\s]{0,128}+<\|tool_call:name\|>(?P<name>[^<>\n]{1,128}+)"
    r"<\|tool_call:args\|>"
)

INTERNLM = TaggedFormat("internlm", _INTERNLM, JsonCalls(_INTERNLM, "<|action_end|>"))
APERTUS = TaggedFormat(
    "apertus",
    _APERTUS,
    JsonCalls(_APERTUS, "<|tools_suffix|>", keyed=True),
    thinking=(Thinking("<|inner_prefix|>", "<|inner_suffix|>"),),
)
GIGACHAT = TaggedFormat("gigachat", _GIGACHAT, JsonCalls(_GIGACHAT), noise=("<|message_sep|>",))
SOLAR = TaggedFormat(
    "solar",
    _SOLAR,
    HeadedCalls(_SOLAR, "<|tool_call:end|>", "<|calls|>"),
    thinking=(Thinking("<|think|>", "<|end|>", unopened=False),),
    lead=re.compile(r"(?:<\|begin\|>assistant)?<\|content\|>"),
)
