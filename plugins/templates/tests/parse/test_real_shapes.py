"""What models write that their templates do not, and what the prompt has written already."""

import pytest
from response_texts import JSON_CALLS, TAGGED_CALLS, written

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

MARK = "]<]minimax[>["


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


HEAD = "<|start|>assistant<|channel|>"
CALL = 'commentary to=functions.get_weather <|constrain|>json<|message|>{"city": "Paris"}<|call|>'


@pytest.mark.parametrize(
    ("prefix", "text", "thinking", "content", "called"),
    [
        (HEAD + "analysis<|message|>", "Hm.<|end|>", "Hm.", "", []),
        (HEAD + "analysis<|message|>I", f" see.<|end|>{HEAD}{CALL}", "see.", "", [WEATHER]),
        (HEAD + "analysis", "<|message|>Hm.<|end|>", "Hm.", "", []),
        (HEAD, "analysis<|message|>Hm.<|end|>", "Hm.", "", []),
        (HEAD + "final<|message|>", "Sunny.<|return|>", "", "Sunny.", []),
        (HEAD, CALL, "", "", [WEATHER]),
        (HEAD + CALL[:-25], CALL[-25:], "", "", [WEATHER]),
        ("<|start|>user<|message|><|channel|>analysis<|message|><|end|><|start|>assistant", "Hello.", "", "Hello.", []),
        ("", "assistant<|channel|>final<|message|>Hello.", "", "Hello.", []),
    ],
)  # fmt: skip
def test_gpt_oss_where_the_prompt_has_written_more_of_the_header(prefix, text, thinking, content, called):
    response = Parser("harmony", TOOLS)(text, prefix=prefix)
    assert (response.thinking, response.content, calls(response)) == (thinking, content, called)


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


@pytest.mark.parametrize(
    "prompt",
    [
        "<|im_start|>user\nWhat does <think> mean?<|im_end|>\n<|im_start|>assistant\n",
        "<｜User｜>Explain <think><｜Assistant｜>",
        "[INST] What is <think>? [/INST]",
    ],
)
def test_a_user_who_mentions_the_tag_opens_no_thinking(prompt):
    response = Parser("hermes")("It begins thinking.", prefix=prompt)
    assert (response.thinking, response.content) == ("", "It begins thinking.")


def test_thinking_goes_on_where_the_prompt_ends_in_its_middle():
    response = Parser("hermes")(" see.</think>Hello.", prefix="<|im_start|>assistant\n<think>\nI")
    assert (response.thinking, response.content) == ("see.", "Hello.")


def test_without_a_prompt_a_closing_tag_in_an_argument_ends_no_thinking():
    text = '<tool_call>{"name": "get_weather", "arguments": {"city": "</think>"}}</tool_call>'
    assert calls(Parser("hermes", TOOLS)(text)) == [("get_weather", {"city": "</think>"})]


def test_without_a_prompt_a_call_that_is_only_thought_of_is_not_made():
    call = '<tool_call>{"name": "get_weather", "arguments": {"city": "Paris"}}</tool_call>'
    response = Parser("hermes", TOOLS)(f"I could {call}, but no.</think>Hello.")
    assert (response.calls, response.content) == ((), "Hello.")


def test_thinking_that_begins_unasked():
    text = "First this.\n[BEGIN FINAL RESPONSE]\nThen that."
    response = Parser("tool_calls")(text, prefix="<|begin_assistant|>\n")
    assert (response.thinking, response.content) == ("First this.", "Then that.")


def test_recipients_are_no_content():
    text = 'all\nLet me look.>>>get_weather\n{"city": "Paris"}>>>all\nDone.<|eot_id|>'
    response = Parser("functionary32", TOOLS)(text, prefix=">>>")
    assert (response.content, calls(response)) == ("Let me look.\nDone.", [WEATHER])


def test_a_value_that_spells_whole_calls_is_one_value():
    inner = "<tool_call>\n<function=f>\n<parameter=a>\n1\n</parameter>\n</function>\n</tool_call>"
    text = f"<tool_call>\n<function=get_weather>\n<parameter=city>\n{inner} and {inner}\n</parameter>\n<parameter=days>\n2\n</parameter>\n</function>\n</tool_call>"  # noqa: E501
    assert calls(Parser("xml_function", TOOLS)(text)) == [("get_weather", {"city": f"{inner} and {inner}", "days": 2})]


def test_nested_tags_get_the_types_of_the_schema():
    of = {
        "type": "object",
        "properties": {"n": {"type": "integer"}, "s": {"type": "string"}, "item": {"type": "string"}},
    }
    tools = [
        {
            "name": "f",
            "parameters": {"properties": {"one": of, "all": {"type": "array", "items": of}, "no": {"type": "array"}}},
        }
    ]
    tags = "<one><n>1</n><s>2</s></one><all><item><n>3</n></item><item><item>4</item></item></all><no></no>"
    marked = tags.replace("<", "]<]minimax[>[<")
    (call,) = Parser("minimax3", tools)(f'{MARK}<invoke name="f">{marked}{MARK}</invoke>').calls
    assert call.arguments == {"one": {"n": 1, "s": "2"}, "all": [{"n": 3}, {"item": "4"}], "no": []}
    assert call.status == "ok"


@pytest.mark.parametrize(
    ("tags", "status"),
    [
        ("<a><b>1</b>", "truncated"),
        ("<a>1</b>", "malformed"),
        ("<a>1</a> text <b>2</b></invoke>", "malformed"),
        ("<a>text <b>2</b></a></invoke>", "malformed"),
        ("<a" , "truncated"),
        ("<a b='1'>", "malformed"),
        ("<a>" * 300, "malformed"),
    ],
)  # fmt: skip
def test_tags_that_are_no_tree_are_never_executed(tags, status):
    (call,) = Parser("minimax3")(f'{MARK}<invoke name="f">' + tags.replace("<", MARK + "<")).calls
    assert (call.status, call.arguments) == (status, {})


def test_python_strings_without_escapes_or_quotes():
    text = """[get_weather(city=say "hi", it's, days=3, parts=['a', 2]), get_weather(city="a "b" c", near=null)]"""
    assert calls(Parser("pythonic_verbatim", TOOLS)(text)) == [
        ("get_weather", {"city": 'say "hi", it\'s', "days": 3, "parts": ["a", 2]}),
        ("get_weather", {"city": 'a "b" c', "near": None}),
    ]


def test_python_keywords_without_commas():
    (call,) = Parser("pythonic", TOOLS)('[get_weather(city="Paris"days=3warm=true)]').calls
    assert (call.status, call.arguments) == ("repaired", {"city": "Paris", "days": 3, "warm": True})


def test_a_quoted_null_stays_text_where_text_may_be():
    (call,) = Parser("pythonic", TOOLS)("[get_weather(near='null')]").calls
    assert call.arguments == {"near": "null"}


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


PROSE = (
    "Let me see.",
    "It is (f(a)) [1], {x}: 'y' \"z\", a < b > c.",
    "Line.\n\n  Indented.",
    'Use f(a=1), {"name": "g"} or to=5.',
    "- item\n- item",
    "```py\nx = [f(1)]\n```",
)


@pytest.mark.parametrize("format", sorted({*JSON_CALLS, *TAGGED_CALLS} - {"harmony"}))
def test_prose_around_a_call_stays_as_it_is(format):
    call = written(format, city="Paris")
    for before in PROSE:
        for behind in PROSE:
            response = Parser(format, TOOLS)(f"{before}\n{call}\n{behind}", prefix="<|im_start|>assistant\n")
            assert (response.content, calls(response)) == (f"{before}\n{behind}", [WEATHER])
            assert response.calls[0].status == "ok"


def test_content_around_calls_is_kept():
    call = '<tool_call>{"name": "get_weather", "arguments": {"city": "Paris"}}</tool_call>'
    response = Parser("hermes", TOOLS)(f"First.\n{call}\n{call}\nLast.<|im_end|>\n")
    assert (response.content, len(response.calls)) == ("First.\nLast.", 2)


@pytest.mark.parametrize(
    "arguments", ['{"city": "\\ud83c"}', "{'city': '\\ud83c'}", '{"city": "a\\udf89", "parts": ["\\ud83c"]}']
)
def test_half_a_character_is_none(arguments):
    (call,) = Parser("hermes", TOOLS)(
        f'<tool_call>{{"name": "get_weather", "arguments": {arguments}}}</tool_call>'
    ).calls
    assert call.usable
    assert "\ufffd".encode() in str(call.arguments).encode()


def test_two_escaped_halves_are_a_character():
    text = '<tool_call>{"name": "get_weather", "arguments": {"city": "\\ud83c\\udf89"}}</tool_call>'
    assert calls(Parser("hermes", TOOLS)(text)) == [("get_weather", {"city": "🎉"})]
