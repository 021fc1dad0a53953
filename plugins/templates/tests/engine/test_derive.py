"""Spans of templates whose habits are known, each with the text that must carry loss, and what is refused."""

from __future__ import annotations

import pytest

from trainwright_templates.engine import Engine, Refused
from trainwright_templates.render import RenderError, Template
from trainwright_templates.shapes import WEATHER, assistant, calls, result, shapes, system, user

ASK, TELL = user("Q1"), assistant("A1")
TWO = [ASK, TELL, user("Q2"), assistant("A2")]

CHATML = """
{%- for m in messages -%}
<|im_start|>{{ m.role }}
{{ m.content }}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


def spans(source, messages, tools=None, *, stops=("<|im_end|>",), prefill=False, **options):
    template = Template(source, special={"bos_token": "<s>", "eos_token": "</s>"})
    made = Engine(template, stops=stops, prefill=prefill).derive(messages, tools, **options)
    return [made.text[span.start : span.end] for span in made.spans], made


def kinds(made):
    return [note.kind for note in made.notes]


def test_chatml():
    said, made = spans(CHATML, [system("S"), *TWO])
    assert said == ["A1<|im_end|>", "A2<|im_end|>"]
    assert [span.turn for span in made.spans] == [2, 4]
    assert not made.notes


def test_only_the_turns_asked_for():
    said, _ = spans(CHATML, TWO, turns=[3])
    assert said == ["A2<|im_end|>"]


@pytest.mark.parametrize(
    "text", ["OK.", "assistant", "\n\nA", "  a ", "<|im_start|>assistant\n", "A<|im_end|>", "\U000f0001"]
)
def test_texts_that_look_like_the_frame(text):
    said, made = spans(CHATML, [user(text), assistant(text), user(text), assistant(text)])
    assert said == [f"{text}<|im_end|>"] * 2
    assert made.text.count("<|im_start|>user\n") == 2


@pytest.mark.parametrize(
    "loop",
    [
        "{% for m in messages[0:] %}BODY{% endfor %}",
        "{% for m in messages | list %}BODY{% endfor %}",
        "{% for i in range(messages | length) %}{% set m = messages[i] %}BODY{% endfor %}",
        "{% set ns = namespace(rest=messages) %}{% for m in ns.rest %}BODY{% endfor %}",
        "{% for m in messages %}{% set m = {'role': m.role, 'content': m.content} %}BODY{% endfor %}",
        "{% macro one(m) %}BODY{% endmacro %}{% for m in messages %}{{ one(m) }}{% endfor %}",
        "{% set all %}{% for m in messages %}BODY{% endfor %}{% endset %}{{ all | trim }}",
        "{% for m in messages %}{% for o in messages[loop.index:] %}{% if o.role == 'x' %}{% endif %}{% endfor %}BODY"
        "{% endfor %}",
        "{% set ns = namespace(t='') %}{% for m in messages %}"
        "{% set ns.t = ns.t ~ '<|' ~ m.role ~ '|>' ~ m.content ~ '<|end|>' %}{% endfor %}{{ ns.t }}",
    ],
)
def test_however_the_template_comes_by_its_messages(loop):
    body = "<|{{ m.role }}|>{{ m.content }}<|end|>"
    source = loop.replace("BODY", body) + "{% if add_generation_prompt %}<|assistant|>{% endif %}"
    assert spans(source, TWO, stops=["<|end|>"])[0] == ["A1<|end|>", "A2<|end|>"]


def test_a_template_without_a_loop_over_messages():
    source = (
        "{% if messages | length > 0 %}[INST] {{ messages[0].content }} [/INST]{% endif %}"
        "{% if messages | length > 1 %} {{ messages[1].content }}</s>{% endif %}"
    )
    assert spans(source, [ASK, TELL], stops=["</s>"])[0] == [" A1</s>"]


# ── where a turn begins ──────────────────────────────────────────────────────────────────────────────────────────────

PREFILLED = CHATML.replace("assistant\n{% endif %}", "assistant\n<think>\n{% endif %}")


def test_a_thought_that_the_prompt_begins_is_no_part_of_a_turn_that_has_none():
    said, made = spans(PREFILLED, TWO)
    assert said == ["A1<|im_end|>", "A2<|im_end|>"]
    assert kinds(made) == ["prefill", "prefill"]


def test_a_thought_that_the_prompt_has_begun_is_not_learnt():
    said, made = spans(PREFILLED, [ASK, assistant("<think>\nHm.\n</think>\n\nA1")])
    assert said == ["Hm.\n</think>\n\nA1<|im_end|>"]
    assert not made.notes


def test_a_thought_that_the_prompt_has_begun_is_learnt_where_that_is_asked():
    answer = assistant("<think>\nHm.\n</think>\n\nA1")
    assert spans(PREFILLED, [ASK, answer], prefill=True)[0] == ["<think>\nHm.\n</think>\n\nA1<|im_end|>"]
    assert spans(PREFILLED, TWO, prefill=True)[0] == ["A1<|im_end|>", "A2<|im_end|>"]


def test_an_answer_that_only_begins_like_the_prompts_thought_is_whole():
    assert spans(PREFILLED, [ASK, assistant("<table>")])[0] == ["<table><|im_end|>"]


def test_a_header_that_no_prompt_writes_is_not_learnt():
    source = CHATML.split("{%- if add")[0]
    assert spans(source, TWO)[0] == ["A1<|im_end|>", "A2<|im_end|>"]


def test_white_space_may_differ_between_prompt_and_past():
    source = CHATML.replace("assistant\n{% endif %}", "assistant\n\n{% endif %}")
    assert spans(source, TWO)[0] == ["A1<|im_end|>", "A2<|im_end|>"]


def test_a_header_in_words():
    source = (
        "{% for m in messages %}{{ 'USER: ' if m.role == 'user' else 'ASSISTANT: ' }}{{ m.content }}\n{% endfor %}"
        "{% if add_generation_prompt %}ASSISTANT: {% endif %}"
    )
    said, made = spans(source, TWO, stops=["</s>"])
    assert said == ["A1", "A2</s>"]
    assert kinds(made) == ["no_stop", "stop_added"]
    assert made.text.endswith("A2</s>")


def test_opening_and_consecutive_turns():
    assert spans(CHATML, [assistant("A0"), *TWO])[0] == ["A0<|im_end|>", "A1<|im_end|>", "A2<|im_end|>"]
    assert spans(CHATML, [ASK, TELL, assistant("A3")])[0] == ["A1<|im_end|>", "A3<|im_end|>"]


def test_an_opening_turn_whose_prompt_cannot_be_rendered_begins_like_the_others():
    """A header in words; a default system message before it; no header at all."""
    words = (
        "{{ messages[0].role[:0] }}{% for m in messages %}### {{ 'Ask' if m.role == 'user' else 'Response' }}:\n"
        "{{ m.content }}</s>{% endfor %}{% if add_generation_prompt %}### Response:\n{% endif %}"
    )
    assert spans(words, [assistant("A0"), *TWO], stops=["</s>"])[0] == ["A0</s>", "A1</s>", "A2</s>"]
    system_first = CHATML.replace(
        "<|im_start|>{{ m.role }}",
        "{% if loop.first %}<|im_start|>system\nS<|im_end|>\n{% endif %}<|im_start|>{{ m.role }}",
    )
    assert spans("{{ messages[0].role[:0] }}" + system_first, [assistant("A0"), *TWO])[0][0] == "A0<|im_end|>"
    none = (
        "{{ messages[0].role[:0] }}{% for m in messages %}{{ m.content }}"
        "{{ '[/INST]' if m.role == 'user' else '</s>' }}{% endfor %}"
    )
    assert spans(none, [assistant("A0"), *TWO], stops=["</s>"])[0] == ["A0</s>", "A1</s>", "A2</s>"]


def test_a_header_that_the_prompt_behind_an_answer_lacks_is_that_of_the_prompt_behind_a_question():
    source = (
        "{% for m in messages %}{{ 'Ask: ' if m.role == 'user' else '### Response: ' }}{{ m.content }}</s>{% endfor %}"
        "{% if add_generation_prompt and messages[-1].role == 'user' %}### Response: {% endif %}"
    )
    said, made = spans(source, [ASK, TELL, assistant("A2")], stops=["</s>"])
    assert said == ["A1</s>", "A2</s>"]
    assert [(note.kind, note.turn) for note in made.notes] == [("other_prompt", 2)]  # generation would see no header
    token = source.replace("### Response: ", "<reserved_107>")
    assert spans(token, [ASK, TELL, assistant("A2")], stops=["</s>"])[0] == ["A1</s>", "A2</s>"]


def test_a_tag_that_the_model_writes_before_its_first_text_is_learnt_though_no_prompt_is_written():
    source = (
        "{% for m in messages %}{% if m.role == 'user' %}<|turn>user\n{{ m.content }}<turn|>{% else %}"
        "{% if not loop.previtem.role == 'assistant' %}<|turn>model\n{% endif %}<|channel>thought\n{{ m.content }}"
        "<channel|><turn|>{% endif %}{% endfor %}"
        "{% if add_generation_prompt and messages[-1].role == 'user' %}<|turn>model\n{% endif %}"
    )
    said, _ = spans(source, [ASK, TELL, assistant("A2")], stops=["<turn|>"])
    assert said == [f"<|channel>thought\n{answer}<channel|><turn|>" for answer in ("A1", "A2")]


def test_an_opening_answer_that_is_written_as_if_it_were_a_question_is_refused():
    """The habit of Llama 3.1: tools are put before the first message, whoever says it, under the user's header."""
    source = (
        "<|h|>system<|/h|>You are a helpful assistant.{% for m in messages %}"
        "<|h|>{{ 'user' if loop.first else m.role }}<|/h|>{% if loop.first %}{{ tools | tojson }}{% endif %}"
        "{{ m.content }}<|eot|>{% endfor %}{% if add_generation_prompt %}<|h|>assistant<|/h|>{% endif %}"
    )
    with pytest.raises(Refused, match=r"message 0 .* does not begin as behind a question: .*⟦.*A0<\|eot\|>⟧"):
        spans("{{ messages[0].role[:0] }}" + source, [assistant("A0"), *TWO], [WEATHER], stops=["<|eot|>"])


def test_tools_on_offer_in_what_would_be_learnt_are_refused():
    source = CHATML.replace(
        "{{ m.content }}<", "{% if m.role == 'assistant' %}{{ tools | tojson }}{% endif %}{{ m.content }}<"
    )
    with pytest.raises(Refused, match="holds the tools on offer"):
        spans(source, TWO, [WEATHER])


def test_a_prompt_that_ends_otherwise_than_the_past_is_told():
    source = CHATML.replace("{%- if add", "{%- if messages[-1].role == 'tool' %}<over/>{% endif %}{% if add")
    said, made = spans(source, [*TWO, result("9"), assistant("A3")])
    assert said == ["A1<|im_end|>", "A2<|im_end|>", "A3<|im_end|>"]
    assert [(note.kind, note.turn) for note in made.notes] == [("other_prompt", 5)]


def test_a_header_that_goes_on_otherwise_in_an_opening_turn_is_cut_between_tokens():
    """A thought that the prompt begins, and an answer's own token: `<|START_T` is what they share."""
    source = (
        "{{ messages[0].role[:0] }}{% for m in messages %}<|{{ m.role }}|>"
        "{{ '<|START_TEXT|>' if m.role == 'assistant' }}{{ m.content }}<|end|>{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|><|START_THINKING|>{% endif %}"
    )
    said, _ = spans(source, [assistant("A0"), *TWO], stops=["<|end|>"])
    assert said == [f"<|START_TEXT|>{answer}<|end|>" for answer in ("A0", "A1", "A2")]


def test_without_a_loop_what_follows_a_turn_must_be_told_by_a_stop_token():
    source = (
        "{% set ns = namespace(t='') %}{% for m in messages %}{% set ns.t = ns.t ~ m.role ~ ': ' ~ m.content ~ ' ' %}"
        "{% endfor %}{{ ns.t }}{% if add_generation_prompt %}assistant: {% endif %}"
    )
    with pytest.raises(Refused, match="cannot be told from what follows"):
        spans(source, TWO, stops=["</s>"])


def test_a_prompt_that_is_rejected_and_a_turn_that_is_not_like_the_others():
    source = (
        "{{ messages[0].content }}{% for m in messages[1:] %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )
    with pytest.raises(Refused, match=r"writes nothing|has no prompt|cannot be told"):
        spans(source, [TELL, ASK], stops=["<|end|>"])


def test_what_the_environment_writes_of_a_turn_is_not_learnt_where_no_header_follows():
    """The habit of Apertus: the bracket that closes the tools' results is written as the next turn is."""
    source = (
        "{% for m in messages %}{% if m.role == 'user' %}<user>{{ m.content }}</user>{% elif m.role == 'tool' %}"
        "[{{ m.content }}{% else %}{{ ']' if loop.previtem.role == 'tool' else '<assistant>' }}{{ m.content }}"
        "{% for c in m.tool_calls or [] %}<call>{{ c.function | tojson }}</call>{% endfor %}"
        "{{ '</assistant>' if not m.tool_calls }}{% endif %}{% endfor %}{% if add_generation_prompt %}"
        "{{ ']' if messages[-1].role == 'tool' }}<assistant>{% endif %}"
    )
    said, made = spans(source, shapes()["tool_call"]["messages"], [WEATHER], stops=["</assistant>"])
    assert said[1] == "Rain, 9 °C.</assistant>"
    assert "goes on with '<assistant>'" in made.notes[1].text
    said, _ = spans(source, shapes()["two_rounds"]["messages"], [WEATHER], stops=["</assistant>"])
    assert said[1].startswith("<call>")


def test_a_thought_that_the_prompt_opens_and_closes_and_the_past_only_closes_is_no_part_of_a_turn():
    source = CHATML.replace(
        "{{ m.content }}", "{% if m.role == 'assistant' %}</think>{% endif %}{{ m.content }}"
    ).replace("assistant\n{% endif %}", "assistant\n<think></think>{% endif %}")
    assert spans(source, TWO)[0] == ["A1<|im_end|>", "A2<|im_end|>"]
    assert spans(source, TWO, prefill=True)[0] == ["</think>A1<|im_end|>", "</think>A2<|im_end|>"]


def test_a_word_of_the_prompt_that_is_the_answer_is_learnt():
    source = (
        "{% for m in messages %}Source: {{ m.role }}\n\n {{ m.content }} <step> {% endfor %}"
        "{% if add_generation_prompt %}Source: assistant\nDestination: user\n\n {% endif %}"
    )
    assert spans(source, [ASK, assistant("user")], stops=["<step>"])[0] == ["\n user <step>"]


# ── where it ends ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_stop_token_that_the_next_message_writes():
    source = (
        "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
    )
    said, made = spans(source, TWO, stops=["<|user|>"])
    assert said == ["A1<|user|>", "A2<|user|>"]
    assert kinds(made) == ["stop_added"]


def test_the_stop_token_that_is_added_is_the_one_before_the_message_that_would_follow():
    """GLM's: the model stops with the token that the next message begins with, which tells whose turn it is."""
    source = (
        "{% for m in messages %}<|{{ {'tool': 'observation'}.get(m.role, m.role) }}|>\n{{ m.content }}"
        "{% for c in m.tool_calls or [] %}<call>{{ c.function | tojson }}</call>{% endfor %}{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
    )
    stops = ["<|endoftext|>", "<|user|>", "<|observation|>"]
    assert spans(source, TWO, stops=stops)[0] == ["A1<|user|>", "A2<|user|>"]
    said, made = spans(source, shapes()["tool_call_last"]["messages"], [WEATHER], stops=stops)
    assert said[0].endswith("</call><|observation|>")
    assert kinds(made) == ["stop_added"]


def test_the_end_of_the_text_behind_the_stop_token_is_not_learnt():
    assert spans(CHATML + "{% if not add_generation_prompt %}</s>{% endif %}", [ASK, TELL])[0] == ["A1<|im_end|>"]


def test_stop_tokens_that_the_template_writes_need_not_be_declared():
    said, made = spans(CHATML.replace("<|im_end|>", "<|over|>"), TWO, stops=())
    assert said == ["A1<|over|>", "A2<|over|>"]
    assert not made.notes


def test_an_empty_turn_that_a_template_adds_is_not_learnt():
    """The habit of an R1-distill variant: behind each answer another, empty turn."""
    source = (
        "{% for m in messages %}{% if m.role == 'user' %}<|User|>{{ m.content }}{% else %}<|Assistant|>{{ m.content }}"
        "<|eos|><|Assistant|><|eos|>{% endif %}{% endfor %}{% if add_generation_prompt %}<|Assistant|>{% endif %}"
    )
    assert spans(source, TWO, stops=["<|eos|>"])[0] == ["A1<|eos|>", "A2<|eos|>"]


def test_the_next_header_inside_a_message_is_not_learnt():
    """The habit of Command-R+ with tools: a turn that calls tools also writes the header of what follows."""
    source = (
        "{% for m in messages %}{% if m.role == 'assistant' %}<|CHATBOT|>{{ m.content }}"
        "{% if m.tool_calls %}Action: {{ m.tool_calls[0].function | tojson }}<|END|><|SYSTEM|>results:"
        "{% else %}<|END|>{% endif %}"
        "{% else %}{{ '<|USER|>' if m.role == 'user' }}{{ m.content }}<|END|>{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<|CHATBOT|>{% endif %}"
    )
    said, _ = spans(source, shapes()["tool_call"]["messages"], [WEATHER], stops=["<|END|>"])
    assert said == ['Action: {"name": "get_weather", "arguments": {"city": "Łódź"}}<|END|>', "Rain, 9 °C.<|END|>"]


# ── tools ────────────────────────────────────────────────────────────────────────────────────────────────────────────

INSIDE = """
{%- for m in messages -%}
{%- if m.role == 'user' %}<|turn>user
{{ m.content }}<turn|>
<|turn>model
{% elif m.role == 'assistant' -%}
{{ m.content }}{% for c in m.tool_calls or [] %}<call>{{ c.function | tojson }}</call>{% endfor -%}
{%- for o in messages[loop.index:] if o.role == 'tool' %}<result>{{ o.content }}</result>{% endfor -%}
{%- if not m.tool_calls %}<turn|>
{% endif %}{% endif %}{% endfor -%}"""


def test_results_inside_the_turn_that_asked_for_them():
    said, _ = spans(INSIDE, shapes()["tool_call"]["messages"], [WEATHER], stops=["<turn|>"])
    assert said == ['<call>{"name": "get_weather", "arguments": {"city": "Łódź"}}</call>', "Rain, 9 °C.<turn|>"]


def test_content_behind_the_results_of_its_own_calls_is_refused():
    source = INSIDE.replace("{{ m.content }}{% for c", "{% for c").replace(
        "{%- if not m.tool_calls", "{{ m.content }}{%- if not m.tool_calls"
    )
    with pytest.raises(Refused, match="outside its turn, behind what others say"):
        spans(source, shapes()["tool_call_with_text"]["messages"], [WEATHER], stops=["<turn|>"])


@pytest.mark.parametrize("name", ["tool_call", "parallel_calls", "two_rounds", "tool_call_last"])
def test_dropped_tool_calls_are_refused_with_their_name(name):
    with pytest.raises(Refused, match=r"drops a tool call of message 1 .*get_weather"):
        spans(CHATML, shapes()[name]["messages"], [WEATHER])


def test_a_call_that_is_one_of_two_is_missed():
    source = CHATML.replace(
        "{{ m.content }}<", "{{ m.content }}{% if m.tool_calls %}{{ m.tool_calls[0].function | tojson }}{% endif %}<"
    )
    assert spans(source, shapes()["tool_call"]["messages"])[0][0].startswith('{"name"')
    with pytest.raises(Refused, match="drops a tool call"):
        spans(source, shapes()["parallel_calls"]["messages"])


def test_a_dropped_argument_is_refused():
    source = CHATML.replace(
        "{{ m.content }}<", "{{ m.content }}{% for c in m.tool_calls or [] %}{{ c.function.name }}(){% endfor %}<"
    )
    with pytest.raises(Refused, match="drops an argument of a tool call"):
        spans(source, [ASK, calls(("get_weather", {"city": "Brno"}))])
    assert spans(source, [ASK, calls(("get_weather", {})), result("9"), TELL])[0] == [
        "get_weather()<|im_end|>",
        "A1<|im_end|>",
    ]


def test_a_call_whose_arguments_are_a_json_string():
    source = CHATML.replace(
        "{{ m.content }}<", "{{ m.content }}{% for c in m.tool_calls or [] %}{{ c.name }}{{ c.arguments }}{% endfor %}<"
    )
    made = assistant("", tool_calls=[{"name": "f", "arguments": '{"a": "b"}'}])
    assert spans(source, [ASK, made])[0] == ['f{"a": "b"}<|im_end|>']


# ── what is left out ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_dropped_reasoning_is_told():
    said, made = spans(CHATML, [ASK, assistant("A1", reasoning_content="Hm.")])
    assert said == ["A1<|im_end|>"]
    assert kinds(made) == ["dropped_reasoning"]


def test_content_that_is_cut_is_told():
    source = CHATML.replace("{{ m.content }}", "{{ m.content.split('</think>')[-1] }}")
    said, made = spans(source, [ASK, assistant("<think>Hm.</think>A1")])
    assert said == ["A1<|im_end|>"]
    assert kinds(made) == ["dropped_content"]


def test_content_whose_parts_are_moved_is_told():
    source = CHATML.replace("{{ m.content }}", "{{ m.content.split(' and ') | join(' & ') }}")
    said, made = spans(source, [ASK, assistant("A1 and more")])
    assert said == ["A1 & more<|im_end|>"]
    assert kinds(made) == ["dropped_content"]
    as_json = CHATML.replace("{{ m.content }}", "{{ m.content | tojson }}")
    assert kinds(spans(as_json, [ASK, assistant('say "é"\n')])[1]) == []


def test_an_answer_that_begins_like_the_end_of_the_prompt_is_whole():
    """The question is empty, so its prompt has no text to be found by."""
    source = (
        "{% for m in messages %}{{ '[INST]' ~ m.content ~ '[/INST]' if m.role == 'user' else m.content ~ '</s>' }}"
        "{% endfor %}"
    )
    assert spans(source, [user(""), assistant("[/INST]A1")], stops=["</s>"])[0] == ["[/INST]A1</s>"]


def test_a_dropped_message_of_another_role_is_told():
    source = (
        "{% for m in messages if m.role != 'system' %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )
    _, made = spans(source, [system("S"), ASK, TELL], stops=["<|end|>"])
    assert kinds(made) == ["dropped_context"]


def test_content_dropped_by_its_value_is_refused():
    source = CHATML.replace("{{ m.content }}", "{{ m.content if m.content != 'A1' }}")
    with pytest.raises(Refused, match="leaves out all that message 1"):
        spans(source, TWO)


def test_contents_as_parts_under_a_template_of_texts_are_refused():
    """It would write them as Python's lists, and the model would learn to."""
    parts = [{"type": "text", "text": "A1"}]
    with pytest.raises(Refused, match=r"knows texts only, .* message 1 .*⟦.*A1"):
        spans(CHATML, [ASK, assistant(parts)])
    with pytest.raises(Refused, match=r"knows texts only, .* message 0 "):
        spans(CHATML, [user([{"type": "image"}, *parts]), TELL])


def test_a_turn_that_is_not_written_is_refused():
    source = "{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}"
    with pytest.raises(Refused, match="writes nothing for message 1"):
        spans(source, [ASK, TELL])


def test_a_conversation_without_an_assistant_is_refused():
    with pytest.raises(Refused, match="no assistant turn"):
        spans(CHATML, [ASK])


def test_roles_that_the_template_does_not_know():
    source = (
        "{% for m in messages %}{% if m.role not in ('user', 'assistant') %}"
        "{{ raise_exception('Unknown role ' ~ m.role) }}{% endif %}{% endfor %}"
    )
    with pytest.raises(RenderError, match="Unknown role critic"):
        spans(source, [ASK, TELL, {"role": "critic", "content": "Bad."}])


def test_many_turns_take_few_renderings(monkeypatch):
    counted = []
    run = Template.run
    monkeypatch.setattr(Template, "run", lambda self, *rest, **named: counted.append(1) or run(self, *rest, **named))
    messages = [each for number in range(200) for each in (user(f"Q{number}"), assistant(f"A{number}"))]
    engine = Engine(Template(CHATML), stops=["<|im_end|>"])
    assert engine.stops
    counted.clear()
    assert len(engine.derive(messages).spans) == 200
    assert len(counted) <= 4
