"""The provider `derived`, as a run asks it: masks, prompts, tool results, responses, and refusals."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
from datasets.fingerprint import Hasher

from trainwright.errors import ConfigError, DataError, ModelError, PluginError
from trainwright.hooks import TemplateRequest
from trainwright.testing import tiny_tokenizer
from trainwright_templates import derived

ASK = {"role": "user", "content": "What is a mill?"}
TELL = {"role": "assistant", "content": "A machine that grinds."}
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
HERMES = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.reasoning_content and loop.last %}<think>\n{{ m.reasoning_content }}\n</think>\n\n{% endif %}"
    "{{ m.content }}{% for c in m.tool_calls or [] %}\n<tool_call>\n"
    '{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}\n</tool_call>'
    "{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def test_hook_chat_template_is_the_plugin_s():
    assert derived.chat_template.trainwright_impl


@pytest.fixture
def tokenizer():
    made = tiny_tokenizer("qwen2.5")
    made.chat_template = HERMES
    return made


def ask(tokenizer, *, method="sft", assistant_only=True, stops=("<|im_end|>",), **settings):
    settings = derived.Settings(**({"cache": False, "generate": False} | settings))
    return derived.chat_template(
        TemplateRequest(method, tokenizer, settings, Path(), assistant_only=assistant_only, stops=stops)
    )


def said(tokenizer, tokens):
    pairs = zip(tokens.input_ids, tokens.supervised, strict=True)
    return tokenizer.decode([token for token, flag in pairs if flag])


def test_what_the_assistant_says_carries_loss_in_every_turn(tokenizer):
    tokens = ask(tokenizer).tokenize([ASK, TELL, ASK, {**TELL, "content": "\nIt has stones."}])
    assert said(tokenizer, tokens) == "A machine that grinds.<|im_end|>\nIt has stones.<|im_end|>"
    assert tokens.notes == ()


def test_a_turn_of_weight_0_is_context(tokenizer):
    tokens = ask(tokenizer).tokenize([ASK, {**TELL, "weight": 0}, ASK, {**TELL, "content": "Yes."}])
    assert said(tokenizer, tokens) == "Yes.<|im_end|>"


def test_reasoning_that_history_drops_is_noted_or_refused(tokenizer):
    messages = [ASK, {**TELL, "reasoning_content": "Grain."}, ASK, {**TELL, "reasoning_content": "Stones."}]
    tokens = ask(tokenizer).tokenize(messages)
    assert [note.partition(":")[0] for note in tokens.notes] == ["dropped_reasoning"]
    with pytest.raises(DataError, match=r"`template.reasoning` is `refuse`"):
        ask(tokenizer, reasoning="refuse").tokenize(messages)


def test_content_that_the_template_cuts_or_leaves_out_is_noted_or_refused(tokenizer):
    tokenizer.chat_template = HERMES.replace("{{ m.content }}", "{{ m.content.split('</think>')[-1] }}")
    cut = [ASK, {**TELL, "content": "<think>Hm.</think>Yes."}]
    tokens = ask(tokenizer).tokenize(cut)
    assert [note.partition(":")[0] for note in tokens.notes] == ["dropped_content"]
    with pytest.raises(DataError, match=r"content of message 1 is cut or changed \(`template.content` is `refuse`\)"):
        ask(tokenizer, content="refuse").tokenize(cut)
    tokenizer.chat_template = HERMES.replace("{% for m in messages %}", "{% for m in messages if m.role != 'system' %}")
    aside = [{"role": "system", "content": "Be terse."}, ASK, TELL]
    assert ask(tokenizer).tokenize(aside).notes == ("dropped_context: content of message 0 is left out",)
    with pytest.raises(DataError, match=r"message 0 is left out \(`template.content` is `refuse`\)"):
        ask(tokenizer, content="refuse").tokenize(aside)
    assert ask(tokenizer, content="refuse").tokenize([ASK, TELL]).notes == ()


def test_training_templates_are_kept_where_that_is_set(tokenizer, tmp_path, monkeypatch):
    monkeypatch.setenv("TRAINWRIGHT_CACHE", str(tmp_path))
    kept = ask(tokenizer, generate=True, cache=False)
    assert kept.training_template
    assert not list(tmp_path.rglob("*.json"))
    made = ask(tokenizer, generate=True, cache=True)
    (file,) = tmp_path.rglob("*.json")
    file.write_text(json.dumps({"text": "{% generation %}kept", "reason": "kept"}))
    assert ask(tokenizer, generate=True, cache=True).training_template == "{% generation %}kept"
    assert ask(tokenizer, generate=True, cache=False).training_template == made.training_template
    assert ask(tokenizer, generate=False, cache=True).training_template is None
    assert len(list(tmp_path.rglob("*.json"))) == 1


def test_dropped_tool_calls_are_refused(tokenizer):
    tokenizer.chat_template = CHATML
    call = {"type": "function", "function": {"name": "get_weather", "arguments": {"city": "Oslo"}}}
    with pytest.raises(DataError, match=r"get_weather|tool call"):
        ask(tokenizer).tokenize([ASK, {"role": "assistant", "content": "I look.", "tool_calls": [call]}])


def test_a_stop_token_that_is_not_written_is_added(tokenizer):
    tokenizer.chat_template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}" + (
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )
    tokens = ask(tokenizer, stops=()).tokenize([ASK, TELL])
    assert "no_stop" in tokens.notes[0]
    with pytest.raises(DataError, match=r"`template.unstopped` is `refuse`"):
        ask(tokenizer, stops=(), unstopped="refuse").tokenize([ASK, TELL])
    added = ask(tokenizer, stops=(), stop=("<|im_end|>",)).tokenize([ASK, TELL])
    assert said(tokenizer, added).endswith("<|im_end|>")
    assert "stop_added" in added.notes[0]


def test_the_prompt_is_how_a_conversation_begins(tokenizer):
    answer = ask(tokenizer, method="dpo", assistant_only=False)
    prompt, whole = answer.prompt([ASK, TELL, ASK]), answer.tokenize([ASK, TELL, ASK, TELL])
    assert tokenizer.decode(prompt).endswith("<|im_start|>assistant\n")
    assert whole.input_ids[: len(prompt)] == prompt


def test_tool_results_and_the_next_prompt_follow_a_call(tokenizer):
    suffix = ask(tokenizer, method="grpo").tool_suffix([{"role": "tool", "name": "f", "content": "4"}])
    assert tokenizer.decode(suffix) == "\n<|im_start|>tool\n4<|im_end|>\n<|im_start|>assistant\n"


def test_a_response_is_read_with_the_format_that_the_template_writes(tokenizer):
    parse = ask(tokenizer, method="grpo").parse
    message = parse('<tool_call>\n{"name": "f", "arguments": {"a": "</tool_call>"}}\n</tool_call><|im_end|>')
    assert message["tool_calls"][0]["function"] == {"name": "f", "arguments": {"a": "</tool_call>"}}
    assert parse("") == {"role": "assistant", "content": ""}


def test_the_format_that_reads_the_template_comes_before_its_family_s(tokenizer):
    assert ask(tokenizer, family="glm4").parse.format.name == "hermes"


def test_a_format_and_a_family_may_be_given(tokenizer):
    assert ask(tokenizer, response="kimi").parse.format.name == "kimi"
    assert ask(tokenizer, family="qwen3").report.step == "family qwen3"
    with pytest.raises(ConfigError, match="no family of chat templates 'qwen33'"):
        ask(tokenizer, family="qwen33")
    with pytest.raises(PluginError, match="no response format 'xml'"):
        ask(tokenizer, response="xml")


def test_the_report_says_what_resolved_it(tokenizer):
    assert ask(tokenizer).report.step == "derived"
    made = ask(tokenizer, generate=True)
    assert made.report.step == "generated"
    assert " generation " in made.training_template
    assert made.chat_template is None  # the model keeps its own
    tokenizer.chat_template = tiny_tokenizer("qwen2.5").chat_template
    assert "single" in ask(tokenizer).report.probes()


def test_the_report_says_what_this_run_uses(tokenizer):
    tokenizer.chat_template = CHATML
    reasons = ask(tokenizer, generate=True).report.reasons
    assert "probe conversations with a mask: single, system, multi2, reasoning" in reasons
    refused = {each.split()[0]: each for each in reasons if " has none: " in each}
    assert list(refused) == ["tool_call", "text_parts"]
    assert "drops a tool call" in refused["tool_call"]
    assert "masks: derived from the rendering of each conversation, and verified for each" in reasons
    assert "the training template is for `template export`: this run does not use it" in reasons
    assert "masks: none are asked, so TRL tokenises" in ask(tokenizer, assistant_only=False).report.reasons


def test_a_probe_conversation_whose_mask_cannot_be_verified_ends_the_run_before_it_begins(tokenizer):
    """Five of six have a mask, or are refused for what the template leaves out; data with reasoning would not be."""
    tokenizer.chat_template = CHATML.replace(
        "{{ m.content }}",
        "{% if m.reasoning_content %}{{ messages[loop.index0 - 1].content }}{% endif %}{{ m.content }}",
    )
    with pytest.raises(ModelError) as caught:
        ask(tokenizer)
    message = caught.value.problems[0].message
    assert "of 6 probe conversations 3 have one\n    reasoning: what would be trained on" in message
    assert "⟦Is 91 prime?No.<|im_end|>⟧" in message
    assert "tool_call" not in message


def test_without_a_mask_asked_trl_tokenises(tokenizer):
    assert ask(tokenizer, assistant_only=False).tokenize is None
    assert ask(tokenizer, method="kto", assistant_only=False).tokenize is not None


def test_any_name_may_be_a_variable_of_the_template(tokenizer):
    tokenizer.chat_template = "{{ prompt }}{{ turns }}{{ variables }}" + CHATML
    tokens = ask(tokenizer).tokenize([ASK, TELL], prompt="P", turns="T", variables="V")
    assert tokenizer.decode(tokens.input_ids).startswith("PTV<|im_start|>user")


def test_it_survives_pickling(tokenizer):
    tokenize = ask(tokenizer).tokenize
    fresh = Hasher.hash(tokenize)
    before = tokenize([ASK, TELL])
    assert pickle.loads(pickle.dumps(tokenize))([ASK, TELL]) == before
    assert Hasher.hash(tokenize) == fresh  # or a masked data set would be made again


BAD = {
    "does not parse": "{% for m in messages %}{{ m.content }}",
    "raises": "{{ raise_exception('never') }}",
    "needs a package": "{% import 'os' as os %}{{ os.getcwd() }}",
    "reaches out of the sandbox": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "loops for ever": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "renders nothing": "",
    "writes no content": "{% for m in messages %}<|im_start|>{{ m.role }}{% endfor %}",
}


@pytest.mark.parametrize("source", BAD.values(), ids=BAD)
def test_templates_that_cannot_be_used_are_refused_with_a_reason(tokenizer, source):
    tokenizer.chat_template = source
    with pytest.raises(ModelError) as caught:
        ask(tokenizer)
    assert caught.value.problems[0].remedy


def test_roles_that_the_template_does_not_know_are_refused(tokenizer):
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m.role not in ('user', 'assistant') %}{{ raise_exception('role ' + m.role) }}"
        "{% endif %}{% endfor %}" + CHATML
    )
    with pytest.raises(DataError, match="role narrator"):
        ask(tokenizer).tokenize([{"role": "narrator", "content": "Once."}, ASK, TELL])


def test_tools_without_a_schema_are_shown_as_they_are(tokenizer):
    tokens = ask(tokenizer).tokenize([ASK, TELL], [{"name": "f"}])
    assert said(tokenizer, tokens) == "A machine that grinds.<|im_end|>"
