"""Templates are programs from anywhere: they render as under transformers, in bounds, or say what is wrong."""

from __future__ import annotations

from datetime import datetime

import pytest
from transformers.utils.chat_template_utils import render_jinja_template

from trainwright_templates.render import RenderError, Template, TemplateError
from trainwright_templates.render.template import prepared
from trainwright_templates.shapes import shapes

SPECIAL = {"bos_token": "<s>", "eos_token": "</s>"}
EVERYTHING = """
{{- bos_token }}{% macro show(value, depth=0) %}{{ value | tojson }}{% endmacro %}
{%- set ns = namespace(last=-1) %}
{%- for message in messages %}{% if message.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}
{%- for message in messages if message.role != 'system' %}
    {%- if loop.index0 > 40 %}{% break %}{% endif %}
    {%- if message.content is string and not message.content %}{% continue %}{% endif %}
[{{ message['role'] | upper }}:{{ loop.index0 == ns.last }}]
    {%- generation %}
    {{- message.content if message.content is string else message.content | map(attribute='type') | list }}
    {%- if message.reasoning_content %}<t>{{ message.thinking }}</t>{% endif %}{% endgeneration %}
    {%- for call in message.tool_calls or [] %}{{ show(call.function.arguments) }}{% endfor %}
{% endfor -%}
{%- if tools %}{{ tools | length }}{% endif %}{% if add_generation_prompt %}[ASSISTANT]{% endif %}
"""


@pytest.mark.parametrize("name", shapes())
@pytest.mark.parametrize("prompt", [False, True])
def test_it_renders_as_transformers_does(name, prompt):
    row = shapes()[name]
    expected, _ = render_jinja_template(
        conversations=[prepared(row["messages"])],  # transformers before 5.23 knows one name of reasoning
        tools=row.get("tools"),
        chat_template=EVERYTHING,
        add_generation_prompt=prompt,
        **SPECIAL,
    )
    template = Template(EVERYTHING, special=SPECIAL)
    assert template.render(row["messages"], tools=row.get("tools"), prompt=prompt) == expected[0]


@pytest.mark.parametrize(
    "source",
    [
        "{% set n = namespace(a=1) %}{% set n.b = n.a + 1 %}{{ n.a }}{{ n.b }}{{ n['b'] }}{{ n }}",
        "{% set n = namespace({'a': 1}) %}{{ n.c is defined }}{{ n.c or 'none' }}{{ n.items is defined }}",
        "{% set n = namespace(f='{}'.format) %}{{ n.f(3) }}",
        "{{ 'ab'['upper']() }}{{ 'ab'[0] }}{{ 'ab'['type'] is defined }}{{ 'ab'.type or 'none' }}",
        "{% for part in 'ab' %}{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}",
    ],
)
def test_namespaces_and_texts_are_read_as_under_transformers(source):
    expected, _ = render_jinja_template(conversations=[[{"role": "user"}]], chat_template=source)
    assert Template(source).render([{"role": "user"}]) == expected[0]


def test_variables_and_the_clock():
    template = Template("{{ strftime_now('%d %b %Y') }} {{ enable_thinking }}", now=datetime(2031, 2, 3))
    assert template.render([{"role": "user"}], variables={"enable_thinking": False}) == "03 Feb 2031 False"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{% for m in messages %}", "does not parse, line 1"),
        ("{{ messages | no_such_filter }}", "does not compile"),
        ("{{" + "(" * 2000 + ")" * 2000 + "}}", "chat template"),
    ],
)
def test_what_is_no_template_is_refused_when_it_is_read(source, said):
    with pytest.raises(TemplateError, match=said):
        Template(source)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{{ raise_exception('roles must alternate') }}", "roles must alternate"),
        ("{% include 'other.jinja' %}", "no loader"),
        ("{% import 'os' as os %}", "no loader"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ messages.append(1) }}", "unsafe"),
        ("{{ cycler.__init__.__globals__ }}", "unsafe"),
        ("{{ namespace(_x=1) }}{% set n = namespace() %}{% set n._y = 1 %}", ""),
        ("{% set n = namespace() %}{{ n.__init__.__globals__ }}", "no attribute '__init__'"),
        ("{{ ''['__class__'].__mro__ }}", "unsafe"),
        ("{{ '{0.__class__.__mro__}'['format'](1) }}", "unsafe"),
        ("{{ messages[0]['content'] + 1 }}", "can only concatenate"),
        ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "1,000,000 steps"),
        ("{% for a in range(100001) %}{% endfor %}", "Range too big"),
        ("{% for a in range(60000) %}{{ 'x' * 1000 }}{% endfor %}", "50,000,000 characters"),
        ("{{ 'x' * 99999999 }}", "repeats a text"),
        ("{{ [0] * 99999999 }}", "repeats a text"),
        ("{{ 'x'.ljust(999999999) }}", "gigantic"),
        ("{{ 'x' | center(999999999) }}", "gigantic"),
        ("{{ '%999999999d' % 1 }}", "gigantic"),
        ("{{ 9 ** 999999 }}", "gigantic"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "recursion"),
    ],
)
def test_what_a_template_may_not_do_ends_in_one_message_with_the_roles(source, said):
    with pytest.raises(RenderError) as caught:
        Template(source).render([{"role": "user", "content": "Hi"}, {"role": "tool", "content": "1"}])
    assert said.lower() in str(caught.value).lower()
    assert "user, tool" in str(caught.value)
