"""Published templates: every conversation gets a mask, or a refusal that says why; where the corpus is at hand."""

from __future__ import annotations

import json
import os
import random
import re
from datetime import datetime
from pathlib import Path

import pytest

from trainwright_templates.engine import Engine, Refused
from trainwright_templates.render import RenderError, Template, TemplateError
from trainwright_templates.shapes import assistant, shapes, system, user

HERE = Path(__file__).resolve().parents[4]
CORPUS = Path(os.environ.get("TRAINWRIGHT_CORPUS", HERE.parent / "shared" / "corpus" / "chat_templates.json"))
pytestmark = pytest.mark.skipif(not CORPUS.is_file(), reason="the corpus of published templates is not at hand")

SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
NAMES = (
    "multi3_system",
    "opening_assistant",
    "thinking_in_text",
    "reasoning_history",
    "two_rounds",
    "leading_newline",
    "identical_turns",
)


def engine(name, stop):
    source = json.loads(CORPUS.read_text(encoding="utf-8"))[name]["template"]
    return Engine(Template(source, special=SPECIAL), stops=[stop])


def said(engine, row):
    made = engine.derive(row["messages"], row.get("tools"))
    return [made.text[span.start : span.end] for span in made.spans], [str(note) for note in made.notes]


def engines(step=1):
    for name, entry in list(json.loads(CORPUS.read_text(encoding="utf-8")).items())[::step]:
        try:
            yield name, Engine(Template(entry["template"], special=SPECIAL, now=datetime(2026, 1, 2)))
        except TemplateError:
            continue


def test_masks_hold_what_is_said_in_order_and_apart():
    answered = refused = 0
    for name, engine in engines():
        for shape in NAMES:
            row = shapes()[shape]
            try:
                made = engine.derive(row["messages"], row.get("tools"))
            except RenderError:
                continue
            except Refused as error:
                refused += "tool call" not in str(error) and "leaves out all" not in str(error)
                continue
            answered += 1
            edges = [edge for span in made.spans for edge in (span.start, span.end)]
            assert edges == sorted(edges), (name, shape)
            whole = [found.span() for found in re.finditer(r"<[^<>\s]{1,64}>", made.text)]
            assert not any(start < edge < end for edge in edges for start, end in whole), (name, shape)
            for span in made.spans:
                held = "".join(made.text[span.start : span.end].split())
                content = "".join(str(row["messages"][span.turn]["content"]).split())
                told = {note.kind for note in made.notes if note.turn == span.turn}
                begun = content.removeprefix("<think>")  # by a prompt that begins the thought
                assert content in held or begun in held or "dropped_content" in told, (name, shape)
                for index, message in enumerate(row["messages"]):
                    if message["role"] in ("user", "tool") and shape != "identical_turns":
                        assert "".join(message["content"].split()) not in held, (name, shape, index)
    assert answered > 1000
    assert refused <= answered / 1000


BITS = (
    "", "a", "OK.", " ", "\n", "assistant", "</s>", "[INST]", "[/INST]", "<think>", "</think>", "<|im_end|>",
    "<|user|>", "<|im_start|>assistant\n", "<end_of_turn>", "\U000f0000", "<tool_call>", "<|assistant|>",
)  # fmt: skip


@pytest.mark.parametrize(
    "name", ["axolotl__mistral_v2v3", "axolotl__mistral_v3_tekken", "vllm__template_minicpmv45", "trl__glm4moe"]
)
def test_what_is_said_in_the_frames_own_words_is_learnt_whole_or_told(name):
    made, chance = engine(name, "</s>"), random.Random(5)

    def text():
        return "".join(chance.choice(BITS) for _ in range(chance.randint(0, 5)))

    for _ in range(700):
        talk = [each for _ in range(chance.randint(1, 4)) for each in (user(text()), assistant(text()))]
        if chance.random() < 0.3:
            talk = [system(text()), *talk]
        try:
            found = made.derive(talk)
        except (Refused, RenderError):
            continue
        told = {note.turn for note in found.notes if note.kind == "dropped_content"}
        for span in found.spans:
            said = talk[span.turn]["content"]
            held, whole = ("".join(each.split()) for each in (found.text[span.start : span.end], said))
            begun = whole.removeprefix("<think>").removeprefix("</think>")  # by the prompt
            assert span.turn in told or whole in held or begun in held, (talk, found.text)


EDITS = {
    "captured whole": lambda source: f"{{% set whole %}}{source}{{% endset %}}{{{{ whole }}}}",
    "inside a macro": lambda source: f"{{% macro whole() %}}{source}{{% endmacro %}}{{{{ whole() }}}}",
    "over a copied list": lambda source: "{% set messages = messages | list %}" + source,
    "over copied messages": lambda source: (
        "{% set all = namespace(m=[]) %}{% for m in messages %}{% set all.m = all.m + [dict(m)] %}{% endfor %}"
        "{% set messages = all.m %}" + source
    ),
}


@pytest.mark.parametrize("edit", EDITS)
def test_edits_that_change_nothing_change_no_mask(edit):
    """Where messages are copied no loop tells whose text it is: then a mask may be refused, but never another."""
    compared = 0
    for name, plain in engines(step=10):
        source = plain.surveyor.template.source.removesuffix("\n")
        edited = Engine(Template(EDITS[edit](source), special=SPECIAL, now=datetime(2026, 1, 2)))
        for shape in ("multi3_system", "thinking_in_text", "two_rounds", "opening_assistant"):
            row = shapes()[shape]
            try:
                expected = said(plain, row)[0]
                found = said(edited, row)[0]
            except (Refused, RenderError):
                assert edit == "over copied messages" or refuses(plain, row), (name, shape)
                continue
            assert [text.strip() for text in found] == [text.strip() for text in expected], (name, shape)
            compared += 1
    assert compared > 40


def refuses(engine, row):
    try:
        said(engine, row)
    except (Refused, RenderError):
        return True
    return False


def test_command_r_plus_with_tools_writes_calls_without_a_stop_token_and_its_instructions_are_not_learnt():
    """Behind a call the template writes the next header, and behind the last turn instructions of the system."""
    made = engine("llamacpp__CohereForAI-c4ai-command-r-plus-tool_use", "<|END_OF_TURN_TOKEN|>")

    def call(city):
        arguments = f'{{\n            "city": "{city}"\n        }}'
        listed = f'    {{\n        "tool_name": "get_weather",\n        "parameters": {arguments}\n    }}'
        return f"\nAction:\n```json\n[\n{listed}\n]```"

    spans, notes = said(made, shapes()["two_rounds"])
    assert spans == [call("Łódź"), call("Brno"), "Rain twice.<|END_OF_TURN_TOKEN|>"]
    assert [note for note in notes if note.startswith("no_stop")] == [
        f"no_stop: message {turn} ends without a stop token" for turn in (1, 3)
    ]
    assert all("Write" in note for note in notes if note.startswith("prefill"))  # what the prompt has, the past has not
    spans, _ = said(made, shapes()["tool_call_with_text"])
    assert spans == ["I shall look." + call("Łódź"), "Rain.<|END_OF_TURN_TOKEN|>"]
    spans, _ = said(made, shapes()["tool_call_last"])
    assert spans == [call("Łódź")]
    with pytest.raises(RenderError, match="not iterable"):  # it renders no conversation without tools
        made.derive(shapes()["single"]["messages"])


def test_the_r1_distill_that_writes_an_empty_turn_behind_each_call():
    end = "<｜end▁of▁sentence｜>"
    made = engine("llamacpp__deepseek-ai-DeepSeek-R1-Distill-Qwen-32B", end)

    def call(city):
        head = "<｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather"
        return f'{head}\n```json\n{{"city": "{city}"}}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>{end}'

    row = shapes()["two_rounds"]
    assert f"{end}<｜Assistant｜>{end}" in made.surveyor.template.render(row["messages"], tools=row["tools"])
    spans, notes = said(made, row)
    # Behind results it writes no header for a call, and the token that ends the results is in the prompt only.
    assert spans == ["<｜tool▁calls▁begin｜>" + call("Łódź"), "\n" + call("Brno"), f"Rain twice.{end}"]
    assert notes == [
        "prefill: the prompt of message 1 goes on with '<think>\\n</think>'",
        "prefill: the prompt of message 3 goes on with '<｜tool▁outputs▁end｜>'",
    ]
    with pytest.raises(Refused, match=r"message 1 .* holds another turn's header"):
        said(made, shapes()["tool_call_with_text"])
