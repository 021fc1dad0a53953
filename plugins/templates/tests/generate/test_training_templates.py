"""Training templates: equal to the original in text, right in mask in transformers' renderer, or refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from trainwright_templates.engine import derive
from trainwright_templates.generate import cache, training_template
from trainwright_templates.generate.judge import fault, rendered
from trainwright_templates.generate.pieces import cut, mark_of, with_marks
from trainwright_templates.generate.probes import Probe, probes, variables
from trainwright_templates.generate.source import tags, without_markers
from trainwright_templates.render.template import Template

CHATML = """{% for message in messages %}
    {{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}
{% endfor %}
{% if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{% endif %}"""
NEXT_STOPS = """{{- '[gMASK]' }}{%- for m in messages %}
{%- if m.role == 'user' %}{{- '<|user|>\\n' + m.content }}
{%- elif m.role == 'assistant' %}{{- '<|assistant|>\\n' + m.content }}
{%- elif m.role == 'system' %}{{- '<|system|>\\n' + m.content }}{%- endif %}
{%- endfor %}{%- if add_generation_prompt %}{{- '<|assistant|>\\n' }}{%- endif %}"""
IN_A_MACRO = """{%- macro turn(m) %}{{ '<' + m.role + '>' + (m.content | trim) + '<|end|>' }}{% endmacro -%}
{%- for i in range(messages | length) %}{%- set m = messages[i] %}{{- turn(m) }}{%- endfor -%}
{%- if add_generation_prompt %}{{- '<assistant>' }}{%- endif -%}"""
APPENDED = """{%- set ns = namespace(out='') -%}
{%- for i in range(messages | length) -%}
{%- set ns.out = ns.out ~ '<' ~ messages[i]['role'] ~ '>' ~ messages[i]['content'] ~ '</s>' -%}
{%- endfor -%}{{- ns.out -}}{%- if add_generation_prompt %}{{- '<assistant>' }}{%- endif -%}"""
OWN = {"chatml": (CHATML, "<|im_end|>"), "macro": (IN_A_MACRO, "<|end|>"), "appended": (APPENDED, "</s>")}
TALK = [
    {"role": "user", "content": "Hi."},
    {"role": "assistant", "content": "  Held out, with spaces. <|im_start|>assistant\nNo header."},
    {"role": "user", "content": "Bye."},
    {"role": "assistant", "content": "\n"},
]


@pytest.mark.parametrize("name", OWN)
def test_a_training_template_gives_the_derived_mask_on_a_conversation_that_it_was_not_made_from(name: str) -> None:
    source, stop = OWN[name]
    template = Template(source)
    made = training_template(template, stops=[stop], kept=False)
    assert made, made.reason
    wanted = derive(template, TALK[:3], stops=[stop])
    probe = Probe("talk", TALK[:3], None, wanted.text, tuple((s.start, s.end) for s in wanted.spans))
    assert fault(source, made.text, [probe], {}) == ""
    text, ranges = rendered(made.text, probe, {})
    assert [text[a:b].endswith(stop) for a, b in ranges if a < b] == [True]


def test_a_stop_token_that_the_next_message_writes_is_supervised() -> None:
    made = training_template(Template(NEXT_STOPS), stops=["<|user|>"], kept=False)
    assert made, made.reason
    probe = next(probe for probe in probes(Template(NEXT_STOPS), ["<|user|>"], False) if probe.name == "multi2")
    text, ranges = rendered(made.text, probe, {})
    shown = "".join(text[a:b] for a, b in ranges)
    assert shown in ("A machine that grinds.<|user|>A miller does.", "A machine that grinds.A miller does.")
    assert probe.spans is not None
    assert shown == "".join(text[a:b] for a, b in probe.spans)


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        (
            "{%- generation -%}{{ tw_piece[tw_at.start:",
            "{{ ' ' }}{%- generation -%}{{ tw_piece[tw_at.start:",
            "renders",
        ),
        ("tw_at.end = tw_piece|length - tw_tail[1]", "tw_at.end = tw_piece|length", "supervises"),
        ("{%- set tw_kind = tw_part[0] -%}", "{%- set tw_kind = tw_part[0] -%}{{ raise_exception('no') }}", "raises"),
        ("'<|im_start|>assistant\\n' }}", "'<|im_start|>model\\n' }}", "generation prompt"),
    ],
)
def test_the_judge_finds_what_was_planted(old: str, new: str, word: str) -> None:
    template = Template(CHATML)
    made = training_template(template, stops=["<|im_end|>"], kept=False)
    seen = list(probes(template, ["<|im_end|>"], False))
    assert old in made.text
    assert fault(CHATML, made.text, seen, {}) == ""
    assert word in fault(CHATML, made.text.replace(old, new), seen, {})


def test_the_judge_finds_a_conversation_that_only_the_original_refuses() -> None:
    refuses = "{% if messages[0].role == 'developer' %}{{ raise_exception('no developers') }}{% endif %}" + CHATML
    seen = list(probes(Template(refuses), ["<|im_end|>"], False))
    assert "developer" in [probe.name for probe in seen if probe.text is None]
    made = training_template(Template(refuses), stops=["<|im_end|>"], kept=False)
    assert fault(refuses, made.text, seen, {}) == ""
    accepts = training_template(Template(CHATML), stops=["<|im_end|>"], kept=False).text
    wrong = fault(refuses, accepts, seen, {})
    assert wrong == "probe developer: the training template accepts what the original refuses (no developers)"


def test_the_judge_finds_a_variable_that_only_the_original_reads() -> None:
    reads = CHATML.replace("{% endfor %}", "{% endfor %}{% if short %}{{- 'Be short.' }}{% endif %}")
    template = Template(reads)
    assert variables(template) == ["short"]
    sets = "{% for m in messages %}{% if true %}{% set own = m %}{% endif %}{{ own }}{% endfor %}{{ read }}"
    default = "{% if not deep is defined %}{% set deep = 1 %}{% endif %}{{ deep }}"
    assert variables(Template(sets + default)) == ["deep", "read"]
    seen = list(probes(template, ["<|im_end|>"], False))
    made = training_template(template, stops=["<|im_end|>"], kept=False)
    assert made, made.reason
    assert fault(reads, made.text, seen, {}) == ""
    ignores = training_template(Template(CHATML), stops=["<|im_end|>"], kept=False).text
    assert fault(reads, ignores, seen, {}).startswith("probe single with short=True: the training template renders ''")


def test_markers_that_are_wrong_where_a_variable_is_set_are_not_taken() -> None:
    """With `closed` the prompt closes a thought, so the past's closed thought is not the model's."""
    native = (
        "{% for m in messages %}<|im_start|>{{ m.role ~ '\\n' }}{% if m.role == 'assistant' %}{% generation %}"
        "{{ '<think></think>' if closed else '' }}{{ m.content }}<|im_end|>{% endgeneration %}{% else %}{{ m.content }}"
        "<|im_end|>{% endif %}{{ '\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>{{ 'assistant\\n' }}{{ '<think></think>' if closed else '' }}"
        "{% endif %}"
    )
    seen = list(probes(Template(native), ["<|im_end|>"], False))
    assert fault(native, native, [probe for probe in seen if not probe.variables], {}) == ""
    assert fault(native, native, seen, {}).startswith(
        "probe single with closed=True: the training template supervises '<think></think>A machine"
    )
    made = training_template(Template(native), stops=["<|im_end|>"], kept=False)
    assert made.text != native
    assert made.reason == "generation markers placed around each reply"


def test_markers_that_are_right_are_left_and_markers_that_are_wrong_are_placed_anew() -> None:
    template = Template(CHATML)
    made = training_template(template, stops=["<|im_end|>"], kept=False)
    assert training_template(Template(made.text), stops=["<|im_end|>"], kept=False).text == made.text
    wrong = "{% generation %}" + CHATML + "{% endgeneration %}"
    mended = training_template(Template(wrong), stops=["<|im_end|>"], kept=False)
    assert mended, mended.reason
    probe = Probe("talk", TALK[:2], None, template.render(TALK[:2]), None)
    assert rendered(mended.text, probe, {}) == rendered(made.text, probe, {})


def test_a_template_without_a_mask_is_refused_with_the_reason() -> None:
    made = training_template(Template("{{ raise_exception('never') }}"), stops=[], kept=False)
    assert not made
    assert "no probe conversation has a mask" in made.reason


@pytest.mark.parametrize("sign", ["", "-", "+"])
def test_marks_leave_white_space_as_it_was(sign: str) -> None:
    source = "{% for m in messages %}\n {% if m.role == 'user' %}\n  u {% endif %}\n {{ m.content }}"
    source += "\n  {% endfor %}\nend\n"
    source = source.replace(" %}", f" {sign}%}}")
    mark = mark_of(source)
    marked = with_marks(source, mark)
    assert marked is not None
    text, pieces = cut(Template(marked).render(TALK), mark)
    assert text == Template(source).render(TALK)
    assert [piece.kind for piece in pieces] == ["", "o", "a", "o", "a", "E"]


def test_tags_are_found_past_strings_comments_dictionaries_and_raw_text() -> None:
    source = "{# {% for #}{{ '}}' }}{{ {'a': {}}['a'] }}{% raw %}{% for %}{% endraw %}{% set x = '%}' -%}"
    assert [tag.code for tag in tags(source)] == ["{% for", "'}}'", "{'a': {}}['a']", "raw", "set x = '%}'"]
    assert "generation" not in without_markers("a {%- generation -%} b {% endgeneration %}\n")


def test_results_are_kept_and_a_broken_file_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINWRIGHT_CACHE", str(tmp_path))
    template = Template(CHATML)
    made = training_template(template, stops=["<|im_end|>"])
    file = cache.entry(CHATML, {}, ["<|im_end|>"], False)
    assert json.loads(file.read_text(encoding="utf-8")) == {"text": made.text, "reason": made.reason}
    file.write_text('{"text": "kept", "reason": ""}', encoding="utf-8")
    assert training_template(template, stops=["<|im_end|>"]).text == "kept"
    file.write_text('{"text": "ke', encoding="utf-8")
    assert training_template(template, stops=["<|im_end|>"]) == made
    assert cache.entry(CHATML, {}, ["<|im_end|>"], True) != file


def _corpus() -> dict[str, str]:
    beside = Path(__file__).resolve().parents[4].parent / "shared" / "corpus" / "chat_templates.json"
    file = Path(os.environ.get("TRAINWRIGHT_CORPUS", beside))
    return {n: e["template"] for n, e in json.loads(file.read_text("utf-8")).items()} if file.exists() else {}


SAMPLE = dict(list(_corpus().items())[::12])


@pytest.mark.parametrize("name", SAMPLE)
def test_templates_of_the_corpus_have_one_or_a_reason(name: str) -> None:
    special = {"bos_token": "<s>", "eos_token": "</s>"}
    made = training_template(Template(SAMPLE[name], special=special), stops=(), kept=False)
    assert made or made.reason
