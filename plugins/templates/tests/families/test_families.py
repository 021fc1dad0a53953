"""Families recognise their templates by structure: not by bytes, and no template of another family."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from jinja2 import TemplateError

from trainwright.errors import PluginError
from trainwright_templates.families import Family, families, recognise, registry
from trainwright_templates.parse import response_format
from trainwright_templates.render.sandbox import ChatEnvironment

CHATML = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"


def corpus() -> dict[str, str]:
    beside = Path(__file__).parents[5] / "shared" / "corpus" / "chat_templates.json"
    path = Path(os.environ.get("TRAINWRIGHT_CORPUS", beside))
    if not path.exists():
        return {}
    return {name: row["template"] for name, row in json.loads(path.read_text(encoding="utf-8")).items()}


EXPECTED = {
    "trl__cohere": "cohere", "trl__cohere2": "cohere2", "trl__gemma": "gemma", "trl__gemma3": "gemma3",
    "trl__gemma4": "gemma4", "trl__gemma4_v5": "gemma4", "trl__qwen2_5": "qwen2.5", "trl__qwen3": "qwen3",
    "trl__qwen3_instruct_2507": "qwen3-2507", "trl__qwen3_5_think": "qwen3.5", "trl__qwen3_6": "qwen3.5",
    "trl__llama3": "llama3", "trl__llama3_1": "llama3", "llamacpp__mistralai-Mistral-Nemo-Instruct-2407": "mistral",
    "trl__deepseekv3": "deepseek", "trl__deepseek_r1_distill": "deepseek", "trl__glm4moe": "glm4",
    "trl__gptoss": "gpt-oss", "trl__phi3": "phi", "vllm__template_phi4_mini": "phi", "axolotl__phi_4": "phi4",
    "llamacpp__ibm-granite-granite-4.0": "granite", "mistralrs__smollm3": "smollm", "trl__lfm2": "lfm2",
    "trl__lfm2_2_5": "lfm2", "axolotl__chatml": None, "llamacpp__Kimi-K2-Instruct": None, "vllm__template_alpaca": None,
    "hfjs__HuggingFaceH4_zephyr-7b-beta": None, "llamacpp__MiniMax-M2": None,
}  # fmt: skip


@pytest.mark.parametrize("name", EXPECTED)
def test_published_templates(name):
    templates = corpus()
    if not templates:
        pytest.skip("no corpus of published templates")
    family = recognise(templates[name])
    assert (family and family.name) == EXPECTED[name]


def test_at_most_one_family_fits_any_published_template():
    for name, source in corpus().items():
        try:
            ChatEnvironment().parse(source)
        except TemplateError:
            continue  # a template that is none belongs to none
        fitting = [family.name for family in families().values() if family.recognises(source)]
        assert len(fitting) <= 1, (name, fitting)


EDITS = {
    "a space": lambda text: text + " ",
    "a comment": lambda text: "{# edited by me #}" + text,
    "line ends": lambda text: text.replace("\n", "\r\n"),
    "indentation": lambda text: text.replace("{%- ", "{%-   ").replace("{% ", "{%\t"),
    "another loop variable": lambda text: text.replace("message", "msg").replace("msgs", "messages"),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_edits_that_change_nothing_are_seen_through(edit):
    source = (
        "{%- for message in messages %}\n{%- if loop.first and message.role != 'system' %}\n"
        "{{- '<|im_start|>system\\nYou are a helpful AI assistant named SmolLM<|im_end|>\\n' }}\n{%- endif %}\n"
        "{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}\n{%- endfor %}"
    )
    assert recognise(source).name == "smollm"
    assert recognise(edit(source)).name == "smollm"


def test_a_mark_in_a_comment_or_in_another_place_counts_for_nothing():
    assert recognise(CHATML) is None
    assert recognise("{# SmolLM #}" + CHATML) is None


def test_text_that_is_absent_decides():
    family = Family("a", "A", marks=("<x>",), absent=("<y>",), reads=("tool_calls",))
    assert family.recognises("<x>{{ messages[0].tool_calls }}")
    assert family.recognises("< x >{{ messages[0]['tool_calls'] }}")
    assert not family.recognises("<x>{{ messages[0].content }}")
    assert not family.recognises("<x><y>{{ messages[0].tool_calls }}")


def test_each_has_a_name_of_its_own_stops_and_quirks_and_a_format_that_exists():
    assert len(families()) >= 19
    for name, family in families().items():
        assert family.name == name
        assert family.marks
        assert family.stops
        assert family.quirks
        if family.response is not None:
            assert response_format(family.response) is not None


class Point:
    """An entry point of a third party."""

    dist = None
    name = "house"

    def __init__(self, value, loaded):
        self.value, self._loaded = value, loaded

    def load(self):
        if isinstance(self._loaded, Exception):
            raise self._loaded
        return self._loaded


@pytest.fixture
def points(monkeypatch):
    """Replace what is installed."""

    def install(*given):
        monkeypatch.setattr(registry, "entry_points", lambda group: given)
        registry.families.cache_clear()

    yield install
    registry.families.cache_clear()


HOUSE = Family("house", "ours", marks=("<house>",))


def test_a_third_party_s_family_counts_as_ours(points):
    points(Point("house:HOUSE", HOUSE))
    assert recognise("<house>{{ messages }}") is HOUSE


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((Point("a:X", HOUSE), Point("b:X", HOUSE)), "two families of chat templates are named 'house': a:X and b:X"),
        ((Point("a:X", "no family"),), "is a str, no `Family`"),
        ((Point("a:X", ImportError("gone")),), "raised ImportError: gone"),
    ],
)
def test_what_cannot_be_a_family_is_told_with_its_origin(points, given, message):
    points(*given)
    with pytest.raises(PluginError, match=message):
        families()
