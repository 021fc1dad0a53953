"""Edits that people make to templates, and templates that nobody should write: the right text carries loss, or none.

Each case was worked out by hand: the texts that carry loss, or the reason of the refusal. Stop tokens are `<|end|>` and
`<|eos|>`.
"""

from __future__ import annotations

import pytest

from trainwright_templates.engine import Engine, Refused
from trainwright_templates.render import RenderError, Template
from trainwright_templates.shapes import assistant, system, user

TALK = [system("Sys."), user("Quo vadis?"), assistant("  Romam eo.\n"), user("Quando?"), assistant("Cras, mane.")]
PLAIN = ["  Romam eo.\n<|end|>", "Cras, mane.<|end|>"]
TRIMMED = ["Romam eo.<|end|>", "Cras, mane.<|end|>"]
HEAD = "{% if add_generation_prompt %}<|assistant|>{% endif %}"

CASES = {
    "white space between everything": (
        "\n\n{%- for m in messages %}\n   \n  {%- if true %}   \n <|{{ m.role }}|>{{- m.content -}} <|end|>   "
        "{% endif -%}\n{% endfor -%}  {% if add_generation_prompt %} <|assistant|>{% endif %}",
        PLAIN,
    ),
    "branches in another order, the header in two of them": (
        "{% for m in messages %}{% if m.role == 'assistant' %}<|assistant|>{{ m.content }}{% elif m.role == 'system' %}"
        "<|system|>{{ m.content }}{% else %}<|user|>{{ m.content }}{% endif %}<|end|>{% endfor %}" + HEAD,
        PLAIN,
    ),
    "two messages at each step, by index": (
        "{{ messages[0].content }}{% for i in range(1, messages | length, 2) %}<|user|>{{ messages[i].content }}<|end|>"
        "{% if i + 1 < messages | length %}<|assistant|>{{ messages[i + 1]['content'] }}<|end|>{% endif %}{% endfor %}"
        + HEAD,
        PLAIN,
    ),
    "two messages at each step, by batch": (
        "{% for pair in messages[1:] | batch(2) %}{% for m in pair %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
        "{% endfor %}" + HEAD,
        PLAIN,
    ),
    "state in a namespace, printed one step late": (
        "{% set ns = namespace(late='') %}{% for m in messages %}{{ ns.late }}"
        "{% set ns.late = '<|' ~ m.role ~ '|>' ~ m.content ~ '<|end|>' %}{% endfor %}{{ ns.late }}" + HEAD,
        "outside its turn",
    ),
    "copies of messages with contents that are joined": (
        "{% set ns = namespace(all=[]) %}{% for m in messages %}"
        "{% set ns.all = ns.all + [{'who': m.role, 'what': m.content ~ '<|end|>'}] %}{% endfor %}"
        "{% for c in ns.all %}<|{{ c.who }}|>{{ c.what }}{% endfor %}" + HEAD,
        PLAIN,
    ),
    "a macro that calls a macro": (
        "{% macro put(text) %}{{ text | trim }}<|end|>{% endmacro %}"
        "{% macro turn(m, head) %}{{ head ~ m.role ~ '|>' }}{{ put(m.content) }}{% endmacro %}"
        "{% for m in messages %}{{ turn(m, head='<|') }}{% endfor %}" + HEAD,
        TRIMMED,
    ),
    "a macro that is its own loop": (
        "{% macro rest(left) %}{% if left %}{% set m = left[0] %}<|{{ m.role }}|>{{ m.content }}<|end|>"
        "{{ rest(left[1:]) }}{% endif %}{% endmacro %}{{ rest(messages) }}" + HEAD,
        PLAIN,
    ),
    "another stop token on the last turn": (
        "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{{ '<|eos|>' if loop.last else '<|end|>' }}{% endfor %}"
        + HEAD,
        ["  Romam eo.\n<|end|>", "Cras, mane.<|eos|>"],
    ),
    "a stop token between turns only": (
        "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{{ '<|end|>' if not loop.last }}{% endfor %}" + HEAD,
        PLAIN,
    ),
    "a stop token that the next message writes": (
        "{% for m in messages %}{{ '<|end|>' if not loop.first }}<|{{ m.role }}|>{{ m.content }}{% endfor %}"
        "{% if add_generation_prompt %}<|end|><|assistant|>{% endif %}",
        PLAIN,
    ),
    "a stop token at the end of the conversation only": (
        "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}\n{% endfor %}"
        + HEAD
        + "{{ '' if add_generation_prompt else '<|eos|>' }}",
        ["  Romam eo.", "Cras, mane.\n<|eos|>"],
    ),
    "an end of text behind the stop token of the last turn": (
        "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% else %}<|eos|>{% endif %}",
        PLAIN,
    ),
    "the last two messages only": (
        "{% for m in messages[-2:] %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}" + HEAD,
        "writes nothing for message 2",
    ),
    "the system message in the first question": (
        "{% set head = messages[0].content if messages[0].role == 'system' else '' %}"
        "{% for m in (messages[1:] if head else messages) %}"
        "<|{{ m.role }}|>{{ head ~ '\n\n' ~ m.content if loop.first else m.content }}<|end|>{% endfor %}" + HEAD,
        PLAIN,
    ),
    "the answer's header at the end of the question": (
        "{% for m in messages %}{% if m.role == 'user' %}<|user|>{{ m.content }}<|end|><|assistant|>{% else %}"
        "{{ m.content }}<|end|>{% endif %}{% endfor %}",
        PLAIN,
    ),
    "a header with the turn's number": (
        "{% for m in messages %}<|{{ m.role }} {{ loop.index }}|>{{ m.content }}<|end|>{% endfor %}"
        "{% if add_generation_prompt %}<|assistant {{ messages | length + 1 }}|>{% endif %}",
        PLAIN,
    ),
    "a thought that the prompt begins and the past does not have": (
        "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|><think>\n{% endif %}",
        PLAIN,
    ),
    "a thought that the prompt begins and only the last turn has": (
        "{% for m in messages %}<|{{ m.role }}|>{% if loop.last and m.role == 'assistant' %}<think>\n\n</think>\n\n"
        "{% endif %}{{ m.content }}<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|><think>\n{% endif %}",
        ["  Romam eo.\n<|end|>", "\n</think>\n\nCras, mane.<|end|>"],
    ),
    "white space at the end of the prompt that the past does not have": (
        "{% for m in messages %}<|{{ m.role }}|>{{ m.content | trim }}<|end|>{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>\n\n{% endif %}",
        TRIMMED,
    ),
    "contents in capitals": (
        "{% for m in messages %}<|{{ m.role }}|>{{ m.content | upper }}<|end|>{% endfor %}" + HEAD,
        ["  ROMAM EO.\n<|end|>", "CRAS, MANE.<|end|>"],
    ),
    "contents cut short": (
        "{% for m in messages %}<|{{ m.role }}|>{{ (m.content | trim)[:5] }}<|end|>{% endfor %}" + HEAD,
        "leaves out all that message 2",
    ),
    "the halves of a content in the other order": (
        "{% for m in messages %}<|{{ m.role }}|>{{ (m.content | trim).split(' ')[::-1] | join(' ') }}<|end|>"
        "{% endfor %}"
        + HEAD,
        ["eo. Romam<|end|>", "mane. Cras,<|end|>"],
    ),
    "contents as JSON": (
        "{% for m in messages %}<|{{ m.role }}|>{{ m.content | tojson }}<|end|>{% endfor %}" + HEAD,
        ['"  Romam eo.\\n"<|end|>', '"Cras, mane."<|end|>'],
    ),
    "what was said, once more at the head": (
        "{% if messages | length > 2 %}Before: {{ messages[2].content }}{% endif %}\n"
        "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}" + HEAD,
        PLAIN,
    ),
    "what was said, once more in the next question": (
        "{% set ns = namespace(said='') %}{% for m in messages %}<|{{ m.role }}|>"
        "{% if m.role == 'user' and ns.said %}You said: {{ ns.said }} {% endif %}{{ m.content }}<|end|>"
        "{% if m.role == 'assistant' %}{% set ns.said = m.content %}{% endif %}{% endfor %}" + HEAD,
        PLAIN,
    ),
    "the last answer once more at the end": (
        "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% else %}{{ messages[-1].content }}{% endif %}",
        PLAIN,
    ),
    "questions first, then answers": (
        "{% for m in messages if m.role != 'assistant' %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
        "{% for m in messages if m.role == 'assistant' %}<|assistant|>{{ m.content }}<|end|>{% endfor %}" + HEAD,
        PLAIN,
    ),
    "the newest message first": (
        "{% for m in messages | reverse %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}" + HEAD,
        "cannot be told",
    ),
    "all answers in one turn": (
        "<|user|>{% for m in messages if m.role == 'user' %}{{ m.content }} {% endfor %}<|end|><|assistant|>"
        "{% for m in messages if m.role == 'assistant' %}{{ m.content }} {% endfor %}{{ '<|end|>' if not "
        "add_generation_prompt }}",
        ["  Romam eo.", "Cras, mane. <|end|>"],
    ),
    "an answer under the user's header": (
        "{% for m in messages %}<|{{ 'user' if m.role == 'assistant' and not loop.last else m.role }}|>{{ m.content }}"
        "<|end|>{% endfor %}" + HEAD,
        "begins as a message of another role",
    ),
    "a question that is put into the answer's turn": (
        "{% for m in messages %}{% if m.role == 'assistant' %}<|assistant|>{{ messages[loop.index0 - 1].content }}\n"
        "{{ m.content }}<|end|>{% elif m.role == 'system' %}{{ m.content }}{% endif %}{% endfor %}" + HEAD,
        "holds text of message 1",
    ),
    "an answer that is followed by a comment of the template": (
        "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% if m.role == 'assistant' %} (as said){% endif %}"
        "<|end|>{% endfor %}" + HEAD,
        ["  Romam eo.\n (as said)<|end|>", "Cras, mane. (as said)<|end|>"],
    ),
    "copies of messages, and a prompt at the end of every conversation": (
        "{% set ns = namespace(all=[]) %}{% for m in messages %}{% set ns.all = ns.all + [dict(m)] %}{% endfor %}"
        "{% for m in ns.all %}<|start|><|{{ m.role }}|>{{ m.content }}<|over|>{% endfor %}<|start|><|assistant|>",
        "cannot be told from what follows",
    ),
    "copies of messages, and another prompt than the past has": (
        "{% set ns = namespace(all=[]) %}{% for m in messages %}{% set ns.all = ns.all + [dict(m)] %}{% endfor %}"
        "{% for m in ns.all %}{{ '[ASK]' if m.role != 'assistant' }}{{ m.content }}"
        "{{ '<|end|>' if m.role == 'assistant' else '[/LAST]' if loop.last else '[/ASK]' }}{% endfor %}",
        "begins with '.*ASK.*, not as its prompt goes on, with '.*LAST",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_right_text_or_none(name):
    source, expected = CASES[name]
    engine = Engine(Template(source), stops=["<|end|>", "<|eos|>"])
    if isinstance(expected, str):
        with pytest.raises((Refused, RenderError), match=expected):
            engine.derive(TALK)
        return
    made = engine.derive(TALK)
    assert [made.text[span.start : span.end] for span in made.spans] == expected
