"""`parse(render(message)) == message` for every published template that writes calls, value by value."""

import json
import os
from functools import cache
from pathlib import Path

import pytest
from response_texts import DELIMITERS, HARD

from trainwright_templates.families import recognise
from trainwright_templates.parse import Parser, pick_format
from trainwright_templates.parse.pick import agrees
from trainwright_templates.parse.probe import PROBE_TOOLS, PROBES, Probe, render_turn, turn_end
from trainwright_templates.render import Template

CORPUS = Path(os.environ.get("TRAINWRIGHT_CORPUS", Path(__file__).parents[5] / "shared/corpus/chat_templates.json"))
pytestmark = pytest.mark.skipif(not CORPUS.is_file(), reason="the corpus of templates is not here")
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


def tool(name, **types):
    """A tool without required parameters; what is in its lists and objects has no type."""
    properties = {key: {"type": kind, "description": key} for key, kind in types.items()}
    for schema in properties.values():
        schema |= {"array": {"items": {}}, "object": {"additionalProperties": {}}}.get(str(schema["type"]), {})
    parameters = {"type": "object", "properties": properties, "required": []}
    return {"type": "function", "function": {"name": name, "description": name, "parameters": parameters}}


TOOLS = [*PROBE_TOOLS, tool("any", n="integer", x="number", on="boolean", parts="array", where="object")]
NULLABLE = [*TOOLS, tool("maybe", near=["string", "null"])]
# What is said beside texts in calls.
MESSAGES = {
    "no arguments": Probe((("any", {}),)),
    "no value": Probe((("maybe", {"near": None}),)),
    "the text null": Probe((("maybe", {"near": "null"}),)),
    "numbers": Probe((("any", {"n": 0, "x": -1.5, "on": True}),)),
    "nothing in a list": Probe((("any", {"parts": []}),)),
    "nothing in an object": Probe((("any", {"where": {}}),)),
    "nesting": Probe((("any", {"parts": [1.5, [[2]], {"x": {"y": {"z": [{"w": False}]}}}]}),)),
    "nothing in nesting": Probe((("any", {"parts": [[], {"x": {}}]}),)),
    "no value in nesting": Probe((("any", {"parts": [None, {"x": None}]}),)),
    "keys": Probe((("any", {"where": {"k.a-b": 1, "ключ": {"c_d": 2}}}),)),
    "content beside a call": Probe((("any", {"n": 1}),), "Use `<tool_call>` or [TOOL_CALLS] here."),
    "thinking beside a call": Probe((("any", {"n": 1}),), "", "Shall I <tool_call> now?"),
    "content of tags": Probe((), "Write `<tool_call>` first, <function=x> or <|tool_call> next."),
    "content of brackets": Probe((), 'A [link](x), {"name": 1} and [f(x)] in one.'),
    "thinking before content": Probe((), "Done.", "It is over."),
}


UNTYPED = {"75001", "true", "null", '{"a": 1}', '{"name": "f", "arguments": {}}'}
UNQUOTED = {"vllm__template_llama3.2_pythonic", "vllm__template_toolace"}
NO_NULL = {"glm", "seed", "minimax", "minimax3", "minicpm", "hunyuan3", "muse", "xml_function", *UNQUOTED}
R1_QWEN_32B = "llamacpp__deepseek-ai-DeepSeek-R1-Distill-Qwen-32B"
ANSWERS = {"content beside a call", "content of tags", "content of brackets", "thinking before content"}
# What templates lose by themselves: why, which (by name or by the name of their format), and what.
LOST = [
    ("null and the text null are written alike, and the schema allows both", NO_NULL, {"the text null"}),
    ("null is left out", {"minimax3"}, {"no value", "no value in nesting"}),
    ("an empty list or object is an empty tag, like an empty text", {"minimax3"}, {"nothing in nesting"}),
    ("what has no type in the schema is written without quotes", {"minimax3"}, UNTYPED),
    ("the marker of tags has no escape", {"minimax3"}, {"]<]minimax[>["}),
    ("the quote has no escape", {"gemma4"}, {'<|"|>'}),
    ("strings have no quotes, so that one which begins with a quote reads as quoted", UNQUOTED, {"', b='"}),
    ("null is the quoted text None", {"vllm__template_llama4_pythonic"}, {"no value"}),
    ("its `indent` makes a line break of it", {"command_r"}, {"\u2028"}),
    ("content beside a call is written as reasoning", {"harmony"}, {"content beside a call"}),
    ("content is a second turn, behind the one with the call", {R1_QWEN_32B}, {"content beside a call"}),
    ("the last answer stands behind an opening <think>, and a call in a further turn", {"nemotron2"}, ANSWERS),
]
# Messages that templates refuse or leave calls out of.
UNWRITTEN = {
    "llamacpp__NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use": {"no value", "the text null"},
    "vllm__template_hermes": {"no value", "the text null"},
    "llamacpp__CohereForAI-c4ai-command-r-plus-tool_use": {"no value", "the text null"},
    "llamacpp__deepseek-ai-DeepSeek-R1-Distill-Llama-8B": {"content beside a call"},
    "trl__deepseek_r1_distill": {"content beside a call"},
    "vllm__template_phi4_mini": {"content beside a call"},
}


@cache
def templates():
    """Name → render, format and parser's stops of every template of the corpus that writes calls."""
    found = {}
    for name, entry in json.loads(CORPUS.read_text(encoding="utf-8")).items():
        try:
            render = Template(entry["template"], special=SPECIAL).render
        except Exception:  # a template that does not parse is the engine's matter
            continue
        if any(render_turn(render, probe, PROBE_TOOLS) for probe in PROBES):
            found[name] = render, pick_format(render, stops=["</s>"]), ("</s>", *turn_end(render))
    return found


def test_every_template_that_writes_calls_has_a_format():
    assert len(templates()) >= 120
    assert [name for name, (_, format, _) in templates().items() if format is None] == []


def test_the_format_that_a_family_names_is_the_one_that_its_templates_write():
    for name, (render, format, _) in templates().items():
        family = recognise(render.__self__.source)
        assert family is None or family.response in (None, format.name), name


def lost(name, asked):
    """What of `asked` the template is known to lose."""
    owners = {name, templates()[name][1].name}
    return {value for _, who, values in LOST if owners & who for value in values if value in asked}


def read(name, probe, tools=TOOLS):
    """Whether a message comes back; None where the template does not write it."""
    render, format, stops = templates()[name]
    turn = render_turn(render, probe, tools)
    return turn and agrees(Parser(format, tools, stops=stops)(turn.text, prefix=turn.prefix), probe, turn)


def calls(texts):
    for text in texts:
        yield "find-it.now", {"text": text}
        yield "get_weather", {"city": text, "where": {"a": [text, {"b": text}]}}


def changed(name, texts):
    """Those of `texts` that do not come back, as a call's argument and inside one."""
    if read(name, Probe(tuple(calls(texts)))):
        return set()
    if len(texts) == 1:  # templates may refuse two calls
        return set() if all(read(name, Probe((call,))) for call in calls(texts)) else set(texts)
    half = len(texts) // 2
    return changed(name, texts[:half]) | changed(name, texts[half:])


def test_every_text_comes_back_from_every_template():
    texts = HARD + DELIMITERS
    assert {name: changed(name, texts) for name in templates()} == {name: lost(name, texts) for name in templates()}


def test_every_kind_of_message_comes_back_from_every_template():
    for name in templates():
        unwritten = UNWRITTEN.get(name, set())
        back = {key: read(name, probe, NULLABLE if "maybe" in str(probe) else TOOLS) for key, probe in MESSAGES.items()}
        assert {key for key, same in back.items() if same is None} == unwritten, name
        assert {key for key, same in back.items() if same is False} == lost(name, MESSAGES) - unwritten, name


def test_every_loss_is_one():
    """A template or format that is not here would be named for nothing."""
    known = {*templates(), *(format.name for _, format, _ in templates().values())}
    assert [who - known for _, who, _ in LOST if who - known] == []
