"""Faulty calls get the status that says what is wrong, and what is not whole is never executed."""

import json

import pytest
from response_texts import JSON_CALLS, TAGGED_CALLS

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


def halves(format):
    """A call of `get_weather` with a `%s` for the city, cut where its end begins."""
    opening, parameter, _, end = TAGGED_CALLS[format]
    return opening + parameter.replace("KEY", "city"), end


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


NO_END = ("llama_json", "mistral_args", "functionary32")
SLIPS = {
    "a trailing comma": '{"city": "Paris",}',
    "single quotes": "{'city': 'Paris'}",
    "a missing comma": '{"city": "Paris" "days": 3}',
    "Python's literals": '{"city": "Paris", "days": None, "warm": True}',
    "a JSON string": '"{\\"city\\": \\"Paris\\"}"',
    "a line break in a string": '{"city": "Pa\nris"}',
}
MEANT = {
    "a missing comma": {"city": "Paris", "days": 3},
    "Python's literals": {"city": "Paris", "days": None, "warm": True},
    "a line break in a string": {"city": "Pa\nris"},
}


# Only a brace tells the headers of Functionary 3.2 from text.
SLIPPED = [
    (format, slip) for format in JSON_CALLS for slip in SLIPS if (format, slip) != ("functionary32", "a JSON string")
]


@pytest.mark.parametrize(("format", "slip"), SLIPPED)
def test_a_slip_with_one_reading_is_repaired_in_every_json_format(format, slip):
    (call,) = read(format, JSON_CALLS[format] % SLIPS[slip]).calls
    assert (call.status, call.name) == ("repaired", "get_weather")
    assert call.arguments == MEANT.get(slip, {"city": "Paris"})


@pytest.mark.parametrize("format", ["harmony", "mistral_args", "deepseek31", "kimi", "solar"])
def test_a_code_fence_around_the_arguments_is_passed_over(format):
    response = read(format, JSON_CALLS[format] % '```json\n{"city": "Paris"}\n```')
    (call,) = response.calls
    assert (call.status, call.name, call.arguments, response.content) == ("repaired", *WEATHER, "")


@pytest.mark.parametrize("format", sorted(set(JSON_CALLS) - set(NO_END)))
def test_a_missing_brace_is_put_where_the_call_ends(format):
    (call,) = read(format, JSON_CALLS[format].replace("%s}", "%s") % '{"city": "Paris"').calls
    assert (call.status, call.name, call.arguments) == ("repaired", *WEATHER)


@pytest.mark.parametrize("format", NO_END)
def test_a_missing_brace_where_nothing_ends_the_call_is_a_cut_unless_a_stop_token_follows(format):
    text = JSON_CALLS[format].replace("%s}", "%s") % '{"city": "Paris"'
    (call,) = read(format, text).calls
    assert (call.status, call.arguments) == ("truncated", {})
    (call,) = read(format, text + "<|eot_id|>").calls
    assert (call.status, call.name, call.arguments) == ("repaired", *WEATHER)
    (call,) = read(format, text[:-1] + "<|eot_id|>").calls
    assert (call.status, call.arguments) == ("truncated", {})


@pytest.mark.parametrize(
    "arguments", ["[1]", "7", '"Paris"', "{city}", "", '{"city": ["Paris"}, "days": 3}', '{"city": "Paris")']
)
@pytest.mark.parametrize("format", JSON_CALLS)
def test_arguments_without_a_reading_are_never_executed(format, arguments):
    assert read(format, JSON_CALLS[format] % arguments).usable_calls == ()


@pytest.mark.parametrize("format", TAGGED_CALLS)
def test_a_call_without_its_end_may_have_had_more_arguments(format):
    begin, end = halves(format)
    (call,) = read(format, begin % "Paris" + end).calls
    assert (call.status, call.name, call.arguments) == ("ok", *WEATHER)
    for cut in (begin % "Paris", begin.partition("%s")[0] + "Pa"):
        (call,) = read(format, cut).calls
        assert (call.status, call.arguments) == ("truncated", {})


@pytest.mark.parametrize("format", TAGGED_CALLS)
def test_calls_before_a_cut_are_kept_in_every_format(format):
    begin, end = halves(format)
    response = read(format, (begin % "Paris" + end) * 40 + begin.partition("%s")[0] + "Pa")
    assert [call.status for call in response.calls] == ["ok"] * 40 + ["truncated"]


@pytest.mark.parametrize("format", ["xml_function", "glm"])
def test_a_doubled_opening_tag_belongs_to_the_call(format):
    begin, end = halves(format)
    response = read(format, "<tool_call>\n" + begin % "Paris" + end)
    (call,) = response.calls
    assert (call.status, call.name, call.arguments, response.content) == ("repaired", *WEATHER, "")


@pytest.mark.parametrize("format", ["xml_function", "glm"])
def test_tags_with_nothing_between_them_are_no_call(format):
    assert read(format, "<tool_call>\n</tool_call>").calls == ()


def test_pythons_literals_are_values_where_the_schema_has_them():
    tools = [
        {"name": "f", "parameters": {"properties": {"on": {"type": "boolean"}, "n": {"type": ["integer", "null"]}}}}
    ]
    values = "<parameter=on>\nTrue\n</parameter>\n<parameter=n>\nNone\n</parameter>\n"
    (call,) = Parser("xml_function", tools)(f"<tool_call>\n<function=f>\n{values}</function>\n</tool_call>").calls
    assert call.arguments == {"on": True, "n": None}


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
        ("hermes", 'Use the "<tool_call>" tag, then [this].'),
        ("hermes", "<tool_call>[1] is what I write."),
        ("xml_function", "Use <tool_call> and <function=name> as tags."),
        ("glm", "Write <tool_call> before a call and </tool_call> after it."),
        ("glm", "Begin with <tool_call>."),
        ("mistral_args", "Begin with [TOOL_CALLS]."),
        ("llama_json", 'An object such as {"name": "someone", "age": 3} is JSON.'),
        ("pythonic", "See [the list (of all)] and [x(1)](http://x)."),
        ("lfm", "The marker <|tool_call_start|> starts calls."),
        ("mistral", "Mistral writes [TOOL_CALLS] first."),
        ("gemma4", "Gemma writes <|tool_call> first."),
        ("harmony", "No markers at all, but goto=5 and to=functions.f."),
    ],
)
def test_text_that_mentions_a_tag_stays_content(format, text):
    response = read(format, text)
    assert (response.content, response.calls) == (text, ())


def test_nothing_gives_an_empty_response():
    from trainwright_templates.parse import format_names

    for name in format_names():
        assert to_message(read(name, "")) == {"role": "assistant", "content": ""}


@pytest.mark.parametrize("depth", [400, 3000, 200_000])
def test_values_that_are_nested_too_deeply_to_be_written_again_are_none(depth):
    nested = "[" * depth + "]" * depth
    for format in JSON_CALLS:
        for arguments in (f'{{"city": {nested}}}', '"{\\"city\\": ' + nested + '}"'):
            assert read(format, JSON_CALLS[format] % arguments).usable_calls == ()
    for format in TAGGED_CALLS:
        begin, end = halves(format)
        text = (begin % nested + end).replace(f"'{nested}'", nested).replace(f'<|"|>{nested}<|"|>', nested)
        for call in Parser(format)(text).usable_calls:
            assert call.arguments == {"city": nested}


def test_long_lists_are_read_where_they_are_json():
    numbers = list(range(100_000))
    for format in JSON_CALLS:
        (call,) = read(format, JSON_CALLS[format] % json.dumps({"city": numbers})).calls
        assert (call.status, call.arguments) == ("ok", {"city": numbers})


def test_a_list_of_too_many_values_to_repair_is_never_executed():
    values = "'x', " * 60_000
    assert read("hermes", JSON_CALLS["hermes"] % f"{{'city': [{values}]}}").usable_calls == ()
    assert read("lfm_escaped", f"<|tool_call_start|>[get_weather(city=[{values}])]<|tool_call_end|>").usable_calls == ()
