"""Conversations of any texts, the frame's own among them: what is said carries loss, whole, and nothing else."""

from __future__ import annotations

import pytest

from trainwright.errors import DataError
from trainwright_templates.engine import Engine
from trainwright_templates.render import Template
from trainwright_templates.shapes import assistant, user

hypothesis = pytest.importorskip("hypothesis")
st = pytest.importorskip("hypothesis.strategies")

TEMPLATES = {
    "chatml": "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
    "inst": "{% for m in messages %}"
    "{{ '[INST] ' ~ m.content ~ ' [/INST]' if m.role == 'user' else m.content ~ '</s>' }}"
    "{% endfor %}",
    "words": "{% for m in messages %}{{ 'USER: ' if m.role == 'user' else 'ASSISTANT: ' }}{{ m.content | trim }}</s>\n"
    "{% endfor %}{% if add_generation_prompt %}ASSISTANT: {% endif %}",
    "next": "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}",
}
STOPS = {"chatml": "<|im_end|>", "inst": "</s>", "words": "</s>", "next": "<|user|>"}
ENGINES = {name: Engine(Template(source), stops=[STOPS[name]]) for name, source in TEMPLATES.items()}
BITS = [
    "", "a", "OK.", " ", "\n", "assistant", "user", "<|im_start|>assistant\n", "<|im_end|>", "[INST]", " [/INST]",
    "</s>", "ASSISTANT: ", "<|assistant|>", "<|user|>", "é", "\U000f0000", "{{ x }}", "'text': '",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(BITS), max_size=5).map("".join)


@pytest.mark.parametrize("name", TEMPLATES)
@hypothesis.settings(max_examples=150, deadline=None)
@hypothesis.given(said=st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=4))
def test_answers_carry_loss_through_their_stop_token(name, said):
    messages = [each for question, answer in said for each in (user(question), assistant(answer))]
    try:
        made = ENGINES[name].derive(messages)
    except DataError:
        assert not all(answer.strip() for _, answer in said)  # what says something is never refused here
        return
    found = [made.text[span.start : span.end] for span in made.spans]
    expected = [f"{answer}{STOPS[name]}" for _, answer in said]
    assert ["".join(text.split()) for text in found] == ["".join(text.split()) for text in expected]
