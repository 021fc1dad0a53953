"""What models write that their templates do not, and what the prompt has written already."""

import pytest

from trainwright_templates.parse import Parser

WEATHER = ("get_weather", {"city": "Paris"})
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string"},
                    "days": {"type": "integer"},
                    "warm": {"type": "boolean"},
                    "near": {"type": ["string", "null"]},
                    "parts": {"type": "array"},
                },
            },
        },
    }
]


def calls(response):
    return [(call.name, call.arguments) for call in response.calls]


@pytest.mark.parametrize(
    "text",
    [
        '<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{"city": "Paris"}<|call|>',
        ' to=functions.get_weather<|channel|>commentary json<|message|>{"city": "Paris"}<|call|>',
        '<|channel|>commentary to=functions.get_weather<|message|>{"city": "Paris"}',
    ],
)
def test_gpt_oss_in_both_header_orders(text):
    response = Parser("harmony", TOOLS)("<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant" + text)
    assert (response.thinking, response.content, calls(response)) == ("Hm.", "", [WEATHER])
    assert response.calls[0].status == "ok"


def test_gpt_oss_keeps_thinking_and_answer_apart():
    text = "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Sunny.<|return|>"
    response = Parser("harmony")(text, prefix="<|start|>assistant")
    assert (response.thinking, response.content) == ("Hm.", "Sunny.")


@pytest.mark.parametrize(
    "text",
    [
        '<|python_tag|>{"name": "get_weather", "parameters": {"city": "Paris"}}<|eom_id|>',
        '{"type": "function", "name": "get_weather", "parameters": {"city": "Paris"}}',
        '{"type": "function", "function": {"name": "get_weather", "parameters": {"city": "Paris"}}}',
        '{"name": "get_weather", "parameters": {"city": "Paris"}}\n<|eot_id|>',
        '[{"name": "get_weather", "arguments": {"city": "Paris"}}]',
    ],
)
def test_llama_in_all_its_spellings(text):
    response = Parser("llama_json", TOOLS)(text)
    assert (response.content, calls(response)) == ("", [WEATHER])


@pytest.mark.parametrize("between", ["; ", "\n", "", ", "])
def test_llama_with_several_calls(between):
    text = between.join(['{"name": "get_weather", "parameters": {"city": "Paris"}}'] * 3)
    assert calls(Parser("llama_json", TOOLS)(text)) == [WEATHER] * 3


def test_glm_without_a_line_break_after_the_name():
    text = "<tool_call>get_weather<arg_key>city</arg_key><arg_value>Paris</arg_value></tool_call>"
    assert calls(Parser("glm", TOOLS)(text)) == [WEATHER]


@pytest.mark.parametrize("format", ["hermes", "xml_function", "glm", "deepseek"])
def test_thinking_that_the_prompt_has_opened(format):
    response = Parser(format)("I see.\n</think>\n\nHello.", prefix="<|im_start|>assistant\n<think>\n")
    assert (response.thinking, response.content) == ("I see.", "Hello.")


def test_thinking_that_the_prompt_has_closed_is_content_where_it_is_mentioned():
    response = Parser("hermes")("Close it with </think>.", prefix="<think>\n\n</think>\n\n")
    assert (response.thinking, response.content) == ("", "Close it with </think>.")


def test_a_call_inside_unfinished_thinking_is_not_made():
    text = '<think>I could <tool_call>{"name": "get_weather", "arguments": {"city": "Paris"}}</tool_call>'
    response = Parser("hermes", TOOLS)(text)
    assert (response.calls, response.content) == ((), "")


def test_parameters_get_the_types_of_the_schema():
    values = {"city": "75001", "days": "7", "warm": "true", "near": "null", "parts": '["a", 1]', "other": "x"}
    body = "".join(f"<parameter={key}>\n{value}\n</parameter>\n" for key, value in values.items())
    (call,) = Parser("xml_function", TOOLS)(
        f"<tool_call>\n<function=get_weather>\n{body}</function>\n</tool_call>"
    ).calls
    assert call.arguments == {
        "city": "75001", "days": 7, "warm": True, "near": None, "parts": ["a", 1], "other": "x",
    }  # fmt: skip


def test_python_functions_are_tools():
    def get_weather(city: str) -> str:
        """Say the weather.

        Args:
            city: Where.
        """
        return city

    text = "<tool_call>\n<function=get_weather>\n<parameter=city>\n7\n</parameter>\n</function>\n</tool_call>"
    assert Parser("xml_function", [get_weather])(text).calls[0].arguments == {"city": "7"}


def test_content_around_calls_is_kept():
    call = '<tool_call>{"name": "get_weather", "arguments": {"city": "Paris"}}</tool_call>'
    response = Parser("hermes", TOOLS)(f"First.\n{call}\n{call}\nLast.<|im_end|>\n")
    assert (response.content, len(response.calls)) == ("First.\nLast.", 2)
