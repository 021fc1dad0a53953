"""Kimi: a section of calls, each with an id that holds its name (K2), or a tag around each value (K3)."""

import re

from trainwright_templates.parse.format import TaggedFormat, Thinking
from trainwright_templates.parse.headed_calls import HeadedCalls
from trainwright_templates.parse.tagged_calls import TaggedCalls

_K2 = re.compile(
    r"(?:<\|tool_calls_section_begin\|>\s*+)?<\|tool_call_begin\|>\s*+(?:functions\.)?(?P<name>[^<>\s]{1,128}?)(?::\d{1,9}+)?"
    r"\s*+<\|tool_call_argument_begin\|>"
)
_K3 = re.compile(
    r'(?:<\|open\|>tools<\|sep\|>\s*+)?<\|open\|>call tool="(?P<name>[^"<>\n]{1,256}+)"(?: index="\d{1,9}+")?<\|sep\|>'
)
_ARGUMENT = re.compile(r'<\|open\|>argument key="(?P<key>[^"<>\n]{1,256}+)" type="(?P<string>\w{1,16}+)"<\|sep\|>')
K2 = TaggedFormat(
    "kimi",
    _K2,
    HeadedCalls(_K2, "<|tool_call_end|>", "<|tool_calls_section_end|>"),
    thinking=(Thinking("<think>", "</think>"), Thinking("◁think▷", "◁/think▷")),
)
K3 = TaggedFormat(
    "kimi3",
    _K3,
    TaggedCalls(
        _K3,
        _ARGUMENT,
        "<|close|>argument<|sep|>",
        ("<|close|>call<|sep|>",),
        outer=("<|close|>tools<|sep|>",),
    ),
    thinking=(Thinking("<|open|>think<|sep|>", "<|close|>think<|sep|>"),),
    lead=re.compile(r"<\|open\|>response<\|sep\|>"),
    noise=("<|close|>response<|sep|>", "<|close|>message<|sep|>"),
)
