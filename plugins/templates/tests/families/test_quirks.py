"""Every note on a family's quirks is true of its published templates; where the corpus of them is at hand."""

from __future__ import annotations

import json
import os
from datetime import datetime
from functools import cache
from pathlib import Path

import pytest

from trainwright_templates.engine import Engine
from trainwright_templates.families import families, recognise
from trainwright_templates.render import RenderError, Template, TemplateError
from trainwright_templates.shapes import calls, shapes, system, user

BESIDE = Path(__file__).parents[5] / "shared" / "corpus" / "chat_templates.json"
CORPUS = Path(os.environ.get("TRAINWRIGHT_CORPUS", BESIDE))
pytestmark = pytest.mark.skipif(not CORPUS.is_file(), reason="the corpus of published templates is not at hand")
NOW = datetime(2031, 2, 3)
SPECIAL = {"bos_token": "<BOS>", "eos_token": "<EOS>"}
CALL_X = calls(("f", {"a": "b"})) | {"tool_calls": [{"id": "x", "function": {"name": "f", "arguments": {"a": "b"}}}]}
TALK = [system("Be terse."), *shapes()["multi2"]["messages"]]


@cache
def published() -> dict[str, tuple[str, Template]]:
    """Name → family and template, of all that belong to one and render."""
    found = {}
    for name, entry in json.loads(CORPUS.read_text(encoding="utf-8")).items():
        try:
            template = Template(entry["template"], special=SPECIAL, now=NOW)
        except TemplateError:
            continue
        family = recognise(entry["template"])
        if family and any(renders(template, shapes()[shape]) for shape in ("single", "tool_call")):
            found[name] = family.name, template
    return found


def renders(template, row):
    try:
        return bool(template.render(row["messages"], tools=row.get("tools")))
    except RenderError:
        return False


class One:
    """One published template, and what becomes of conversations under it."""

    def __init__(self, name):
        self.name = name
        family, self.template = published()[name]
        self.engine = Engine(self.template, stops=families()[family].stops)

    def derive(self, shape, variables=None, *, strings=False):
        row = shapes()[shape] if isinstance(shape, str) else {"messages": shape}
        messages = as_strings(row["messages"]) if strings else row["messages"]
        return self.engine.derive(messages, row.get("tools"), variables=variables or {})

    def said(self, shape, variables=None, **how):
        """The texts that carry loss."""
        made = self.derive(shape, variables, **how)
        return [made.text[span.start : span.end] for span in made.spans]

    def kinds(self, shape, variables=None):
        return [note.kind for note in self.derive(shape, variables).notes]

    def refused(self, shape, words=""):
        try:
            self.derive(shape)
        except Exception as error:
            return words in str(error)
        return False

    def prompt(self):
        """The prompt behind a question."""
        return self.text(shapes()["single"]["messages"][:1], prompt=True)

    def text(self, shape, **how):
        row = shapes()[shape] if isinstance(shape, str) else {"messages": shape}
        return self.template.render(row["messages"], tools=row.get("tools"), **how)


def as_strings(messages):
    """Messages whose calls have arguments as JSON strings."""
    for call in [call for each in messages for call in each.get("tool_calls", ())]:
        call["function"]["arguments"] = json.dumps(call["function"]["arguments"])
    return messages


def some(check, count=1):
    return lambda all_of: sum(map(check, all_of)) >= count


def every(check):
    return lambda all_of: all(map(check, all_of))


def those(check, *words):
    """Of the templates whose names, ended by `|`, hold one of these words; there must be one."""

    def checked(all_of):
        found = [one for one in all_of if any(word in f"{one.name}|" for word in words)]
        return bool(found) and all(map(check, found))

    return checked


def kept(one):
    """What a template writes of the last turn's reasoning."""
    return any("No divisor" in text for text in one.said("reasoning_history"))


def forgets(one):
    """Whether reasoning is dropped from the past."""
    return "dropped_reasoning" in one.kinds("reasoning_history") and "7 times" not in "".join(
        one.said("reasoning_history")
    )


CHECKS = {
    "cohere: The template for tool use writes no stop token": those(
        lambda one: "no_stop" in one.kinds("tool_call") and one.refused("single", "not iterable"), "tool_use"
    ),
    "cohere: It writes instructions of the system": those(
        lambda one: "Write 'Action:'" in one.text("tool_call")[-900:] and one.said("tool_call")[-1][:4] == "Rain",
        "tool_use",
    ),
    "cohere: Tool calls stand in a fenced JSON list": those(
        lambda one: (
            one.said("tool_call")[0].startswith("\nAction:\n```json\n[")
            and '"parameters": {' in one.said("tool_call")[0]
        ),
        "tool_use",
    ),
    "cohere2: `<|START_RESPONSE|>` carries loss": every(
        lambda one: (
            one.prompt().endswith("<|START_RESPONSE|>") != one.said("single")[0].startswith("<|START_RESPONSE|>")
            and one.said("single")[0].endswith("<|END_RESPONSE|><|END_OF_TURN_TOKEN|>")
        )
    ),
    "cohere2: Tool results are a system turn": those(
        lambda one: "<|SYSTEM_TOKEN|><|START_TOOL_RESULT|>" in one.text("tool_call"), "rag", "tool_use"
    ),
    "cohere2: Templates without tools drop tool calls": lambda all_of: (
        those(lambda one: "dropped_content" in one.kinds("tool_call_with_text"), "command_a_rag", "command_a_tool_use")(
            all_of
        )
        and those(lambda one: one.refused("tool_call", "drops a tool call"), "axolotl__command_a|")(all_of)
    ),
    "deepseek: Everything before `</think>` is cut": some(
        lambda one: [text.split("<")[0].strip() for text in one.said("thinking_in_text")] == ["Yes.", "No."], 8
    ),
    "deepseek: `reasoning_content` is not read": every(lambda one: "dropped_reasoning" in one.kinds("reasoning")),
    "deepseek: `<｜tool▁outputs▁end｜>` is written": those(
        lambda one: (
            "<｜tool▁outputs▁end｜>" in one.text(as_strings(shapes()["tool_call"]["messages"]))
            and "outputs" not in "".join(one.said("tool_call", strings=True))
        ),
        "DeepSeek-R1|",
        "trl__deepseekv3",
    ),
    "deepseek: Some templates join arguments": some(
        lambda one: one.refused("tool_call", 'not "dict"') and '{"city"' in one.said("tool_call", strings=True)[0]
    ),
    "gemma: A turn ends with `<end_of_turn>`": every(
        lambda one: one.said("single")[0].endswith("grinds.<end_of_turn>")
    ),
    "gemma: A system turn, and two turns": every(
        lambda one: one.refused("system", "System role not supported") and one.refused("consecutive_user", "alternate")
    ),
    "gemma: Contents are trimmed": every(lambda one: one.said("leading_spaces")[0] == "indented<end_of_turn>"),
    "gemma3: The system turn is written at the head": every(
        lambda one: "<start_of_turn>user\nYou are terse.\n\nWhat is a mill?<end" in one.text("system")
    ),
    "gemma3: Images are `<start_of_image>`": those(
        lambda one: "<start_of_image>What is this?" in one.text("image"), "trl__gemma3", "axolotl__gemma3|", "vllm"
    ),
    "gemma3: Contents are trimmed": every(lambda one: one.said("leading_spaces")[0] == "indented<end_of_turn>"),
    "gemma4: Tool results stand inside the turn": those(
        lambda one: one.text("tool_call").count("<|turn>model\n") == 1 and len(one.said("tool_call")) == 2,
        "trl__gemma4_v3",
        "trl__gemma4_v4",
        "google-gemma-4-31B-it|",
    ),
    "gemma4: A turn that calls a tool stops": those(
        lambda one: one.said("tool_call")[0].endswith("<tool_call|><|tool_response>"), "trl__gemma4_v3", "_v4", "_v5"
    ),
    "gemma4: Most templates write a turn's content behind": some(
        lambda one: one.refused("tool_call_with_text", "outside its turn"), 7
    ),
    "gemma4: Reasoning is dropped from the past": lambda all_of: (
        all(map(forgets, all_of))
        and [one.name for one in all_of if kept(one)] == ["trl__diffusion_gemma", "trl__gemma4_v5"]
    ),
    "gemma4: The prompts of some templates close": some(
        lambda one: one.prompt().endswith("<|channel>thought\n<channel|>") and "prefill" in one.kinds("single")
    ),
    "glm4: No stop token is written": every(
        lambda one: (
            one.said("single")[0].endswith("grinds.<|user|>")
            and one.said("tool_call_last")[0].endswith("<|observation|>")
            and "stop_added" in one.kinds("single")
        )
    ),
    "glm4: Reasoning before the last user turn": every(
        lambda one: forgets(one) and kept(one) and "</think>" in one.said("reasoning_history")[0]
    ),
    "gpt-oss: The last answer ends with": every(
        lambda one: (
            [text.split("<|")[-1] for text in one.said("multi2")] == ["end|>", "return|>"]
            and one.said("tool_call")[0].endswith("<|call|>")
        )
    ),
    "gpt-oss: Thoughts before the last answer": every(lambda one: forgets(one) and kept(one)),
    "gpt-oss: What stands behind `<|start|>assistant`": every(
        lambda one: (
            one.said("single")[0].startswith("<|channel|>final<|message|>A machine")
            and one.said("tool_call")[0].startswith(" to=functions.get_weather<|channel|>")
        )
    ),
    "gpt-oss: The system turn prints": every(lambda one: "2031-02-03" in one.text("single")),
    "granite: Granite 3.0 to 3.3 read no": those(
        lambda one: one.refused("tool_call", "drops a tool call"), "3.0", "3.3"
    ),
    "granite: Granite 3.3 writes a system turn": those(
        lambda one: "February 03, 2031" in one.text("single") and "2031" not in one.text("system"), "3.3"
    ),
    "lfm2: LFM2's first template": those(
        lambda one: one.refused("tool_call", "drops a tool call"), "trl__lfm2|", "8B-A1B"
    ),
    "lfm2: LFM2.5 cuts thoughts": those(
        lambda one: one.said("thinking_in_text") == ["Yes.<|im_end|>", "<think>Again.</think>No.<|im_end|>"], "lfm2_2_5"
    ),
    "llama3: Llama 3.1 ends a turn that calls": those(
        lambda one: (
            one.said("tool_call", {"builtin_tools": ["code_interpreter"]})[0].endswith("}}<|eom_id|>")
            and one.said("tool_call")[0].endswith("}}<|eot_id|>")
        ),
        "trl__llama3_1",
    ),
    "llama3: Content beside a tool call": those(
        lambda one: "dropped_content" in one.kinds("tool_call_with_text"), "llama3_1", "llama3_2", "llama3.", "toolace"
    ),
    "llama3: Templates with calls in JSON": lambda all_of: (
        those(lambda one: one.refused("parallel_calls", "only supports single tool-calls"), "trl__llama3_", "_json")(
            all_of
        )
        and those(lambda one: len(one.said("parallel_calls")) == 2, "pythonic", "toolace")(all_of)
    ),
    "llama3: Llama 3.2 prints today's date": those(
        lambda one: (
            "03 Feb 2031" in one.text("single")
            and "1 May 1999" in one.text("single", variables={"date_string": "1 May 1999"})
        ),
        "trl__llama3_2",
    ),
    "llama3: Llama 3 drops tool calls": those(
        lambda one: one.refused("tool_call_last", "drops a tool call"), "llama3|", "llama-3-instruct"
    ),
    "mistral: Older templates write the system prompt": those(
        lambda one: (
            "Be terse." not in one.text(TALK)
            and "Be terse." in one.text(TALK[:-1])
            and "dropped_context" in one.kinds(TALK)
        ),
        "Nemo-Instruct",
        "v3_tekken",
    ),
    "mistral: Some templates reject identifiers": some(lambda one: one.refused([user("Q"), CALL_X], "alphanumeric"), 4),
    "mistral: There is no generation prompt": every(
        lambda one: one.text([user("Q")]) == one.text([user("Q")], prompt=True)
    ),
    "phi: The end of sequence that some templates": those(
        lambda one: one.text("multi2").endswith("<|end|>\n<EOS>") and one.said("multi2")[1] == "A miller does.<|end|>",
        "trl__phi3",
    ),
    "phi: Phi-3 and 3.5 drop tool calls": those(lambda one: one.refused("tool_call"), "phi_3", "phi-3", "phi3"),
    "phi4: `<|im_sep|>` is part of the header": every(
        lambda one: (
            one.said("single") == ["A machine that grinds.<|im_end|>"] and "<|im_sep|>A mach" in one.text("single")
        )
    ),
    "qwen2.5: Where no system turn is given": every(
        lambda one: one.text("single").startswith("<|im_start|>system\nYou")
    ),
    "qwen2.5: Tool results are user turns": every(
        lambda one: one.text("parallel_calls").count("<|im_start|>user\n<tool_response>") == 1
    ),
    "qwen3: Reasoning before the last user turn": every(lambda one: forgets(one) and kept(one)),
    "qwen3: An answer without reasoning": those(
        lambda one: one.said("single") == ["<think>\n\n</think>\n\nA machine that grinds.<|im_end|>"],
        "trl__",
        "llamacpp__",
    ),
    "qwen3: With `enable_thinking: false`": every(
        lambda one: one.said("single", {"enable_thinking": False}) == ["A machine that grinds.<|im_end|>"]
    ),
    "qwen3-2507: `reasoning_content` is not read": every(lambda one: "dropped_reasoning" in one.kinds("reasoning")),
    "qwen3.5: The generation prompt opens": every(
        lambda one: "<think>\n" in one.prompt()[-25:] and not one.said("single")[0].startswith("<think>")
    ),
    "qwen3.5: Qwen3.5 and 3.6 drop reasoning": lambda all_of: (
        those(lambda one: forgets(one) and kept(one), "3_5", "3_6")(all_of)
        and those(lambda one: not forgets(one), "3_8")(all_of)
    ),
    "qwen3.5: Arguments are XML parameters": every(
        lambda one: "<parameter=days>\n2\n</parameter>" in one.said("parallel_calls")[0]
    ),
    "smollm: Where no system turn is given": every(lambda one: one.text("single").startswith("<|im_start|>system\n")),
    "smollm: SmolLM3 reads no": every(lambda one: one.refused("tool_call", "drops a tool call")),
    "smollm: Some of SmolLM3's templates": some(lambda one: "03 February 2031" in one.text("single")),
}
NOTES = [f"{family.name}: {quirk}" for family in families().values() for quirk in family.quirks]


@pytest.mark.parametrize("note", NOTES)
def test_a_note_is_true_of_published_templates(note):
    check = next(check for begin, check in CHECKS.items() if note.startswith(begin))
    family = note.partition(":")[0]
    assert check([One(name) for name, (of, _) in published().items() if of == family])


@pytest.mark.parametrize("name", families())
def test_the_stop_tokens_of_a_family_end_its_answers(name):
    ends = families()[name].stops if name != "mistral" else ("<EOS>",)  # `</s>`, which the templates have as a variable
    if name == "deepseek":
        ends = (*ends, "<EOS>")
    for one in [One(each) for each, (of, _) in published().items() if of == name]:
        shape = "unused_tools" if "tool_use" in one.name else "multi2"
        assert all(text.endswith(ends) for text in one.said(shape)), one.name
