"""`derived` in real runs of TRL's trainers: what carries loss, what prompts are, and GRPO's tool loop."""

from __future__ import annotations

import json
import logging
from functools import cache
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from trainwright.cli import main
from trainwright.hooks import TemplateRequest
from trainwright.testing import save_tiny, tiny_dataset, tiny_model, tiny_tokenizer
from trainwright_templates.derived import Settings, chat_template

HISTORY = [
    {"role": "user", "content": "Is 91 prime?"},
    {"role": "assistant", "content": "No.", "reasoning_content": "7 times 13."},
    {"role": "user", "content": "And 97?"},
    {"role": "assistant", "content": "Yes.", "reasoning_content": "No divisor."},
]


@cache
def published(family: str) -> str:
    """A published template, with one space more than TRL knows it by."""
    return (files("trl") / "chat_templates" / f"{family}.jinja").read_text() + " "


def tiny(folder: Path, template: str | None = None, family: str = "qwen3") -> Path:
    """A tiny model's folder, with a chat template of choice."""
    save_tiny(family, folder)
    if template:
        tokenizer = tiny_tokenizer(family)
        tokenizer.chat_template = template
        tokenizer.save_pretrained(folder)
    return folder


def write(folder: Path, method: str, rows: list[dict], **sections) -> Path:
    data = folder / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    training = {"max_steps": 2, "per_device_train_batch_size": 2, "logging_steps": 1, "save_strategy": "no"}
    config = {
        "method": method,
        "model": "tiny",
        "data": {"train": data.name},
        "template": "derived",
        "training": {**training, **sections.pop("training", {})},
        "output": str(folder / "run"),
        **sections,
    }
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def previewed(path: Path, capsys: pytest.CaptureFixture[str]) -> dict:
    capsys.readouterr()
    assert main(["preview", str(path), "--rows", "1", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def said(row: dict) -> list[str]:
    """The stretches of a previewed row that carry loss."""
    marked = "".join(text if flag else "\0" for text, flag in zip(row["tokens"], row["supervised"], strict=True))
    return [each for each in marked.split("\0") if each]


def test_sft_on_a_template_that_rewrites_the_past(tmp_path, capsys, caplog):
    tiny(tmp_path / "tiny", published("qwen3"))
    path = write(tmp_path, "sft", [{"messages": HISTORY}] * 4, training={"assistant_only_loss": True})
    shown = previewed(path, capsys)
    assert said(shown["rows"][0]) == ["No.<|im_end|>", "<think>\nNo divisor.\n</think>\n\nYes.<|im_end|>"]
    assert shown["read"][0]["notes"] == {"dropped_reasoning": 4}
    with caplog.at_level(logging.WARNING):
        assert main(["train", str(path)]) == 0
    assert "4 of 4 rows: dropped_reasoning" in caplog.text
    assert json.loads((tmp_path / "run" / "result.json").read_text())["steps"] == 2
    assert "trainwright-templates" in (tmp_path / "run" / "manifest.json").read_text()


def test_a_policy_refuses_what_is_dropped(tmp_path, capsys):
    tiny(tmp_path / "tiny", published("qwen3"))
    template = {"name": "derived", "reasoning": "refuse"}
    path = write(
        tmp_path, "sft", [{"messages": HISTORY}] * 4, training={"assistant_only_loss": True}, template=template
    )
    assert main(["train", str(path)]) == 1
    message = capsys.readouterr().err
    assert "reasoning of message 1 is left out" in message
    assert "rows.jsonl:1" in message
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("method", ["dpo", "kto"])
@pytest.mark.parametrize("family", ["qwen3", "gemma3", "llama"])
def test_prompts_of_preferences_end_where_generation_begins(method, family, tmp_path, capsys):
    tiny(tmp_path / "tiny", family=family)
    kind = "pairs" if method == "dpo" else "unpaired"
    path = write(tmp_path, method, tiny_dataset(kind, 4))
    row = previewed(path, capsys)["rows"][0]
    data = tiny_dataset(kind, 1)[0]
    tokenizer = tiny_tokenizer(family)
    prompt = tokenizer.apply_chat_template(data["prompt"], tokenize=False, add_generation_prompt=True)
    first = row["supervised"].index(1)
    assert "".join(row["tokens"][:first]).removeprefix(tokenizer.bos_token or "\0") == prompt.removeprefix(
        tokenizer.bos_token or "\0"
    )
    answer = data["chosen" if method == "dpo" else "completion"][-1]["content"]
    assert answer.strip() in "".join(said(row))
    assert main(["train", str(path)]) == 0
    assert json.loads((tmp_path / "run" / "result.json").read_text())["steps"] == 2


# ── GRPO's tool loop ─────────────────────────────────────────────────────────────────────────────────────────────────


def get_weather(city: str) -> str:
    """The weather of a city.

    Args:
        city: The city.
    """
    asked.append(city)
    return f"rain in {city}"


asked: list[str] = []
SCRIPTS = {
    "qwen3": "<think>\nI need it.\n</think>\n\n<tool_call>\n"
    '{"name": "get_weather", "arguments": {"city": "a </tool_call> b"}}\n</tool_call><|im_end|>',
    "qwen3_5_think": "I need it.\n</think>\n\n<tool_call>\n<function=get_weather>\n<parameter=city>\na </tool_call> b\n"
    "</parameter>\n</function>\n</tool_call><|im_end|>",
}


ANSWERS = {"qwen3": "Rain.<|im_end|>", "qwen3_5_think": "So.\n</think>\n\nRain.<|im_end|>"}


@pytest.mark.parametrize("family", SCRIPTS)
def test_grpo_calls_tools_under_a_template_that_trl_does_not_know(family, tmp_path):
    from datasets import Dataset
    from trl import GRPOConfig

    from trainwright.loss.native import compute_loss
    from trainwright.run.folder import RunFolder
    from trainwright.trainer.bind import trainer_class
    from trainwright.trainer.hooked import Binding
    from trainwright.trainer.methods import METHODS

    tokenizer = tiny_tokenizer("qwen3")
    tokenizer.chat_template, tokenizer.padding_side = published(family), "left"
    request = TemplateRequest("grpo", tokenizer, Settings(), tmp_path, stops=["<|im_end|>"])
    answer = chat_template(request)
    seen: list[str] = []

    class Scripted(trainer_class(METHODS["grpo"])):
        def _generate_single_turn(self, prompt_ids, *rest, **named):
            texts = [self._tokenizer.decode(ids) for ids in prompt_ids]
            seen.extend(texts)
            words = [ANSWERS[family] if "rain in" in text else SCRIPTS[family] for text in texts]
            return [self._tokenizer(each)["input_ids"] for each in words], None

    asked.clear()
    messages: list = []

    def reward(completions, **columns):
        messages.extend(completions)
        return [float(number) for number in range(len(completions))]

    args = GRPOConfig(
        output_dir=str(tmp_path), use_cpu=True, bf16=False, report_to="none", save_strategy="no", max_steps=1,
        per_device_train_batch_size=2, num_generations=2, max_completion_length=512, gradient_checkpointing=False,
    )  # fmt: skip
    trainer = Scripted(
        binding=Binding(METHODS["grpo"], compute_loss, native=True, template=answer),
        model=tiny_model("qwen3", max_position_embeddings=4096),
        args=args,
        processing_class=tokenizer,
        train_dataset=Dataset.from_list([{"prompt": [{"role": "user", "content": "Weather?"}]}] * 4),
        tools=[get_weather],
        reward_funcs=[reward],
    )
    trainer.run, trainer.stateful = RunFolder(tmp_path), {"sums": trainer.sums["train"]}
    trainer.train()
    assert asked == ["a </tool_call> b"] * 2
    roles = [message["role"] for message in messages[0]]
    assert roles == ["assistant", "tool", "assistant"]
    assert messages[0][0]["tool_calls"][0]["function"] == {"name": "get_weather", "arguments": {"city": asked[0]}}
    assert messages[0][2]["content"] == "Rain."
    after = next(text for text in seen if "rain in" in text)
    assert SCRIPTS[family] in after  # the past is as the model wrote it
    assert after.endswith(seen[0][seen[0].rindex("<|im_start|>") :])  # and it is the model's turn again
