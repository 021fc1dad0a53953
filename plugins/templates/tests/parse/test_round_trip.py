"""`parse(render(message)) == message`, on values that hold the format's own tags, and for every template at hand."""

import json

import pytest
from response_texts import HARD

from trainwright_templates.parse import Parser, format_names, pick_format
from trainwright_templates.parse.probe import PROBE_TOOLS
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
EXACT = ("hermes", "xml_function", "glm", "minimax", "dsml", "mistral", "mistral_args", "deepseek", "deepseek31", "kimi",  # noqa: E501
         "cohere", "llama_json", "granite", "lfm_escaped", "harmony", "gemma4")  # fmt: skip


def write(format, text):
    """The call `find-it.now(text=…)` as the format writes it."""
    value = json.dumps(text, ensure_ascii=False)
    arguments = f'{{"text": {value}}}'
    python = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return {
        "hermes": f'<tool_call>\n{{"name": "find-it.now", "arguments": {arguments}}}\n</tool_call>',
        "xml_function": f"<tool_call>\n<function=find-it.now>\n<parameter=text>\n{text}\n</parameter>\n</function>\n</tool_call>",  # noqa: E501
        "glm": f"<tool_call>find-it.now\n<arg_key>text</arg_key>\n<arg_value>{text}</arg_value>\n</tool_call>",
        "minimax": f'<minimax:tool_call>\n<invoke name="find-it.now">\n<parameter name="text">{text}</parameter>\n</invoke>\n</minimax:tool_call>',  # noqa: E501
        "dsml": f'<｜DSML｜invoke name="find-it.now">\n<｜DSML｜parameter name="text" string="true">{text}</｜DSML｜parameter>\n</｜DSML｜invoke>',  # noqa: E501
        "mistral": f'[TOOL_CALLS][{{"name": "find-it.now", "arguments": {arguments}}}]',
        "mistral_args": f"[TOOL_CALLS]find-it.now[ARGS]{arguments}",
        "deepseek": f"<｜tool▁call▁begin｜>function<｜tool▁sep｜>find-it.now\n```json\n{arguments}\n```<｜tool▁call▁end｜>",  # noqa: E501
        "deepseek31": f"<｜tool▁call▁begin｜>find-it.now<｜tool▁sep｜>{arguments}<｜tool▁call▁end｜>",
        "kimi": f"<|tool_call_begin|>functions.find-it.now:0<|tool_call_argument_begin|>{arguments}<|tool_call_end|>",
        "cohere": f'<|START_ACTION|>[{{"tool_name": "find-it.now", "parameters": {arguments}}}]<|END_ACTION|>',
        "llama_json": f'{{"name": "find-it.now", "parameters": {arguments}}}',
        "granite": f'<|tool_call|>[{{"name": "find-it.now", "arguments": {arguments}}}]',
        "lfm_escaped": f"<|tool_call_start|>[find-it.now(text='{python}')]<|tool_call_end|>",
        "harmony": f"<|channel|>commentary to=functions.find-it.now<|message|>{arguments}<|call|>",
        "gemma4": f'<|tool_call>call:find-it.now{{text:<|"|>{text}<|"|>}}<tool_call|>',
    }[format]  # fmt: skip


@pytest.mark.parametrize("format", EXACT)
@pytest.mark.parametrize("text", HARD)
def test_hard_values_come_back_as_they_were(format, text):
    written = write(format, text)
    for source in (
        written,
        written + written,
        "<think>Hm.</think>" * (format not in ("harmony", "gemma4", "cohere", "granite")) + written,
    ):
        for call in Parser(format, PROBE_TOOLS)(source).calls:
            assert (call.name, call.arguments, call.status) == ("find-it.now", {"text": text}, "ok")
    assert len(Parser(format, PROBE_TOOLS)(written + written).calls) == 2


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
