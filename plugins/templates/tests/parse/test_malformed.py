"""Faulty calls get the status that says what is wrong, and what is not whole is never executed."""

import pytest

from trainwright_templates.parse import Parser, to_message

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
                "required": ["city"],
            },
        },
    },
    {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}},
]
WEATHER = ("get_weather", {"city": "Paris"})
CALL = '{"name": "get_weather", "arguments": {"city": "Paris"}}'


def read(format, text):
    return Parser(format, TOOLS)(text)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (f"<tool_call>{CALL}</tool_call>", "ok"),
        (f"<tool_call>{CALL}", "repaired"),
        (f"<tool_call>```json\n{CALL}\n```</tool_call>", "repaired"),
        (f"<tool_call><tool_call>{CALL}</tool_call>", "repaired"),
        (f"<tool_call>{CALL[:-1]}</tool_call>", "repaired"),
        (f"<tool_call>{CALL}}}</tool_call>", "repaired"),
        ("<tool_call>{'name': 'get_weather', 'arguments': {'city': 'Paris'}}</tool_call>", "repaired"),
        ('<tool_call>{"name": "get_weather", "arguments": {"city": "Paris",}}</tool_call>', "repaired"),
        ('<tool_call>{"name": "get_weather", "arguments": "{\\"city\\": \\"Paris\\"}"}</tool_call>', "repaired"),
    ],
)
def test_a_call_with_one_reading_is_made(text, status):
    (call,) = read("hermes", text).calls
    assert (call.status, call.name, call.arguments) == (status, *WEATHER)
    assert (call.reason == "") == (status == "ok")


@pytest.mark.parametrize(
    ("format", "text", "status"),
    [
        ("hermes", '<tool_call>{"name": "get_weather", "arguments": {"city": "Pa', "truncated"),
        ("hermes", '<tool_call>{"name": "get_weather", "arguments": {"city": "Paris"', "truncated"),
        ("hermes", "<tool_call>", "truncated"),
        ("hermes", "<tool_call>\n</tool_call>", "malformed"),
        ("hermes", '<tool_call>{"name": "get_weather"}</tool_call>', "malformed"),
        ("hermes", '<tool_call>{"name": "get_weather", "arguments": ["Paris"]}</tool_call>', "malformed"),
        ("hermes", '<tool_call>{"name": "get_weather", "arguments": }</tool_call>', "malformed"),
        ("hermes", '<tool_call>{"arguments": {"city": "Paris"}}</tool_call>', "malformed"),
        ("mistral", '[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "Pa', "truncated"),
        ("mistral_args", '[TOOL_CALLS]get_weather[ARGS]{"city": "Pa', "truncated"),
        ("mistral_args", "[TOOL_CALLS]get_weather[ARGS]", "truncated"),
        ("llama_json", '{"name": "get_weather", "parameters": {"city": "Pa', "truncated"),
        ("pythonic", "[get_weather(city='Pa", "truncated"),
        ("lfm", "<|tool_call_start|>[get_weather(city='Pa", "truncated"),
        ("lfm_escaped", "<|tool_call_start|>[get_weather(city='Pa", "truncated"),
        ("xml_function", "<tool_call>\n<function=get_weather>\n<parameter=city>\nPa", "truncated"),
        ("xml_function", "<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n", "truncated"),
        ("xml_function", "<tool_call>\n<function=get_weather>\n<para", "truncated"),
        ("xml_function", "<tool_call>\n<function=get_weather>\n</function>\n</tool_call>", "malformed"),
        ("glm", "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Pa", "truncated"),
        ("minimax", '<minimax:tool_call>\n<invoke name="get_weather">\n<parameter name="city">Pa', "truncated"),
        ("dsml", '<｜DSML｜invoke name="get_weather">\n<｜DSML｜parameter name="city" string="true">P', "truncated"),
        ("deepseek31", '<｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city": "Pa', "truncated"),
        ("gemma4", '<|tool_call>call:get_weather{city:<|"|>Pa', "truncated"),
        ("cohere", '<|START_ACTION|>[{"tool_name": "get_weather", "parameters": {"city": "Pa', "truncated"),
        ("granite", '<|tool_call|>[{"name": "get_weather", "arguments": {"city": "Pa', "truncated"),
        ("kimi", '<|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>{"city": "Pa', "truncated"),
        ("harmony", '<|channel|>commentary to=functions.get_weather<|message|>{"city": "Pa', "truncated"),
        ("harmony", "<|channel|>commentary to=functions.get_weather", "truncated"),
    ],
)
def test_a_call_that_is_not_whole_is_never_made(format, text, status):
    response = read(format, text)
    (call,) = response.calls
    assert (call.status, call.arguments, call.usable) == (status, {}, False)
    assert call.raw == text[slice(*call.span)]
    assert call.reason
    message = to_message(response)
    assert "tool_calls" not in message
    assert call.raw in message["content"]


@pytest.mark.parametrize("end", ["<tool_call>" + CALL[:-9], '<tool_call>{"na'])
def test_calls_before_a_cut_are_kept(end):
    response = read("hermes", f"<tool_call>{CALL}</tool_call>\n" * 40 + end)
    assert [call.status for call in response.calls] == ["ok"] * 40 + ["truncated"]
    assert len(to_message(response)["tool_calls"]) == 40


def test_a_bad_call_does_not_take_the_good_ones_with_it():
    bad = '<tool_call>{"name": "get_weather", "arguments": {"city": oops}}</tool_call>'
    good = f"<tool_call>{CALL}</tool_call>"
    response = read("hermes", good + bad + good)
    assert [call.status for call in response.calls] == ["ok", "malformed", "ok"]


def test_a_list_that_is_cut_keeps_its_whole_calls():
    response = read("mistral", f"[TOOL_CALLS][{CALL}, {CALL[:-6]}")
    assert [call.status for call in response.calls] == ["ok", "truncated"]


def test_a_tool_without_parameters_may_be_called_without_arguments():
    (call,) = read("hermes", '<tool_call>{"name": "now"}</tool_call>').calls
    assert (call.status, call.arguments) == ("repaired", {})
    (call,) = read("xml_function", "<tool_call>\n<function=now>\n</function>\n</tool_call>").calls
    assert (call.status, call.arguments) == ("ok", {})


@pytest.mark.parametrize(
    ("format", "text"),
    [
        ("hermes", "Write <tool_call> before a call and </tool_call> after it."),
        ("hermes", "The tag is `<tool_call>`."),
        ("xml_function", "Use <tool_call> and <function=name> as tags."),
        ("glm", "Write <tool_call> before a call and </tool_call> after it."),
        ("llama_json", 'An object such as {"name": "someone", "age": 3} is JSON.'),
        ("pythonic", "See [the list (of all)] and [x(1)](http://x)."),
        ("lfm", "The marker <|tool_call_start|> starts calls."),
        ("mistral", "Mistral writes [TOOL_CALLS] first."),
        ("gemma4", "Gemma writes <|tool_call> first."),
        ("harmony", "No markers at all."),
    ],
)
def test_text_that_mentions_a_tag_stays_content(format, text):
    response = read(format, text)
    assert (response.content, response.calls) == (text, ())


def test_nothing_gives_an_empty_response():
    from trainwright_templates.parse import format_names

    for name in format_names():
        assert to_message(read(name, "")) == {"role": "assistant", "content": ""}
