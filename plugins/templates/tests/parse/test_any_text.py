"""Whatever the text: nothing raises, spans lie in order, and nothing is lost or made up."""

import json

import pytest

from trainwright_templates.parse import Parser, format_names, to_message

hypothesis = pytest.importorskip("hypothesis")
st = pytest.importorskip("hypothesis.strategies")

MARKERS = [
    "<tool_call>", "</tool_call>", "<function=f>", "</function>", "<parameter=a>", "</parameter>", "<arg_key>a</arg_key>",  # noqa: E501
    "<arg_value>", "</arg_value>", "[TOOL_CALLS]", "[ARGS]", "[", "]", "{", "}", '"', "'", "\\", ",", ":", '{"name": "f", ',  # noqa: E501
    '"arguments": {', '"a": "b"', "f(", "a=", ")", "<|tool_call_start|>", "<|tool_call_end|>", "<|tool_call>call:f{", "a:",  # noqa: E501
    '<|"|>', "<tool_call|>", "<|channel|>", "analysis", "<|message|>", "<|start|>assistant", "<|call|>", " to=functions.f",  # noqa: E501
    "<think>", "</think>", "<｜tool▁call▁begin｜>", "f<｜tool▁sep｜>", "<｜tool▁call▁end｜>", '<｜DSML｜invoke name="f">',  # noqa: E501
    "</｜DSML｜invoke>", '<invoke name="f">', '<parameter name="a">', "</invoke>", "<|START_ACTION|>", "<|END_ACTION|>",
    "<tool_calls>", "</tool_calls>", "<TOOLCALL>", '<|open|>call tool="f"<|sep|>', "<|close|>call<|sep|>", "Action:",
    '<|open|>argument key="a" type="string"<|sep|>', "<|close|>argument<|sep|>", "]<]minimax[>[", "<a>", "</a>",
    '<atem:invoke name="f">', '<atem:parameter name="a">', "</atem:parameter>", "<|eom|>", " to=self<|message|>",
    ">>>f\n", ">>>all\n", "\\ud83c", "\n", " ", "```json", "```", "\ud800", "é", "\0", "<|im_end|>", "true", "1e9",
]  # fmt: skip
TEXTS = st.one_of(
    st.text(max_size=40), st.lists(st.one_of(st.sampled_from(MARKERS), st.text(max_size=4)), max_size=30).map("".join)
)
TOOLS = [
    {"function": {"name": "f", "parameters": {"properties": {"a": {"type": "string"}}}}},
    {},
    {"function": None},
    {"function": {"name": "g", "parameters": {"properties": {"a": {"anyOf": 3}, "b": None}}}},
    "no tool",
]


@pytest.mark.parametrize("name", format_names())
@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(
    text=TEXTS,
    prefix=st.sampled_from(
        ["", "PROMPT<think>", "PROMPT<think></think>", "<|start|>assistant<|channel|>PROMPT", "PROMPT"]
    ),
)
def test_any_text_has_a_response(name, text, prefix):
    parser = Parser(name, TOOLS)
    response = parser(text, prefix=prefix)
    end = 0
    for call in response.calls:
        assert end <= call.span[0] < call.span[1]
        assert call.raw == parser.without_stops(text)[slice(*call.span)]
        assert call.usable or call.arguments == {}
        assert not call.usable or call.name
        assert "\ud800" in text or json.dumps(call.arguments, ensure_ascii=False).encode()
        end = call.span[1]
    assert "PROMPT" not in str(to_message(response)) or "PROMPT" in text
