"""What is written comes back: values that hold the format's own tags, names, and the format that a template has."""

import pytest
from response_texts import DELIMITERS, HARD, JSON_CALLS, TAGGED_CALLS, written

from trainwright_templates.parse import Parser, Response, ToolCall, format_names, pick_format
from trainwright_templates.parse.pick import agrees
from trainwright_templates.parse.probe import Probe, Rendered
from trainwright_templates.render import Template

HERMES = """{% for m in messages %}<|im_start|>{{ m.role }}
{{ m.content }}{% for c in m.tool_calls or [] %}
<tool_call>
{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}
</tool_call>{% endfor %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
XML = """{% for m in messages %}<|im_start|>{{ m.role }}
{{ m.content }}{% for c in m.tool_calls or [] %}
<tool_call>
<function={{ c.function.name }}>
{% for k, v in c.function.arguments.items() %}<parameter={{ k }}>
{{ v if v is string else v | tojson }}
</parameter>
{% endfor %}</function>
</tool_call>{% endfor %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
TOOLS = [
    {"name": "get_weather", "parameters": {"properties": {"city": {"type": "string"}, "near": {"type": "string"}}}}
]  # fmt: skip
# What cannot come back: the delimiters that a format has no escape for.
UNESCAPED = {"minicpm": {"<![CDATA[x]]>"}, "gemma4": {'<|"|>'}, "minimax3": {"]<]minimax[>["}}


@pytest.mark.parametrize("format", [*JSON_CALLS, *TAGGED_CALLS])
def test_hard_texts_come_back_as_they_were(format):
    parser = Parser(format, TOOLS)
    for text in HARD + DELIMITERS:
        if text in UNESCAPED.get(format, ()):
            continue
        arguments = {"city": text, "near": text}
        call = written(format, **arguments)
        for source, count in ((call, 1), (call + call, 2), ("<think>Hm.</think>" + call, 1)):
            found = parser(source, prefix="<|im_start|>assistant\n").calls
            read = [(each.name, each.arguments, each.status) for each in found]
            assert read == [("get_weather", arguments, "ok")] * count, source


@pytest.mark.parametrize("name", ["find-it.now", "a.b.c", "x-y_z", "f2"])
@pytest.mark.parametrize("format", [*JSON_CALLS, *TAGGED_CALLS])
def test_names_come_back_as_they_were(format, name):
    tools = [{**TOOLS[0], "name": name}]
    (call,) = Parser(format, tools)(written(format, city="Paris").replace("get_weather", name)).calls
    assert (call.name, call.arguments, call.status, call.reason) == (name, {"city": "Paris"}, "ok", "")


def test_a_number_is_not_the_truth_value_that_equals_it():
    probe, turn = Probe((("f", {"a": 1}),)), Rendered("", "f")
    for value, same in ((1, True), (True, False), (1.0, False)):
        call = ToolCall("f", {"a": value}, "ok", "f", (0, 1))
        assert agrees(Response("", "", (call,)), probe, turn) == same


@pytest.mark.parametrize(("template", "name"), [(HERMES, "hermes"), (XML, "xml_function")])
def test_the_format_is_found_by_what_the_template_writes(template, name):
    format = pick_format(Template(template).render)
    assert format is not None
    assert format.name == name


def test_no_format_is_picked_where_the_template_drops_calls():
    template = Template("{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}")
    assert pick_format(template.render) is None


def test_the_list_of_formats_is_read_from_metadata():
    assert {"hermes", "harmony", "gemma4"} <= set(format_names())
