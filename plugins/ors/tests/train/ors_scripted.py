"""TRL's real GRPO trainer on a tiny model whose words are given: what is tested is everything around the words."""

from __future__ import annotations

import json
import time
from functools import cache
from importlib.resources import files

from trl import GRPOTrainer

from trainwright.testing import tiny_model, tiny_processor, tiny_tokenizer
from trainwright.trainer.episodes import Episodes


class SideBySide(Episodes, GRPOTrainer):
    """As a user has it without a config."""


def all_ended(server, environment, within=10.0):
    """Whether no session of an environment is left on a server, by what happened there, at the latest after seconds."""
    end = time.monotonic() + within
    while True:
        begun, ended = (
            {event["id"] for event in server.events(kind) if event["environment"] == environment}
            for kind in ("setup", "teardown")
        )
        if begun == ended or time.monotonic() > end:
            return begun == ended
        time.sleep(0.05)


def say(name, /, **arguments):
    """A tool call as models of Qwen's kind write it."""
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


@cache
def tokenizer():
    """A tiny tokenizer with a chat template that knows tools."""
    made = tiny_tokenizer("qwen2.5")
    made.chat_template = (files("trl") / "chat_templates" / "qwen3.jinja").read_text()
    made.padding_side = "left"
    return made


def vision():
    """The keywords of a trainer whose tiny model takes images, also in what tools return."""
    processor = tiny_processor("qwen2.5-vl")
    processor.chat_template = (files("trl") / "chat_templates" / "qwen3_vl.jinja").read_text()
    processor.tokenizer.padding_side = "left"
    return {"model": tiny_model("qwen2.5-vl"), "processing_class": processor}


def scripted(base, script):
    """A trainer's class that says what `script(prompt, turn)` gives; the prompt is the text so far."""

    class Scripted(base):
        def _generate_single_turn(self, prompt_ids, *args, **keywords):
            texts = [self._tokenizer.decode(ids) for ids in prompt_ids]
            self.prompts_seen = [*getattr(self, "prompts_seen", []), *texts]
            said = [script(text, text.count("<tool_response>")) for text in texts]
            return [self._tokenizer(f"{text}<|im_end|>")["input_ids"] for text in said], None

    return Scripted


def trainer(base, script, spec, folder, *, batch=4, generations=2, steps=1, **keywords):
    """A trainer on a spec, ready to train."""
    from trl import GRPOConfig

    args = GRPOConfig(
        output_dir=str(folder), use_cpu=True, bf16=False, report_to="none", disable_tqdm=True, save_strategy="no",
        per_device_train_batch_size=batch, num_generations=generations, max_steps=steps, logging_steps=1,
        gradient_checkpointing=False, seed=keywords.pop("seed", 0),
        **{"max_completion_length": 512, **keywords.pop("args", {})},
    )  # fmt: skip
    slots = {"train_dataset": spec.dataset, "environment_factory": spec.factory, "reward_funcs": [spec.reward_func]}
    words = {"processing_class": tokenizer()} | keywords
    if "model" not in words:
        words["model"] = tiny_model("qwen2.5", max_position_embeddings=4096)
    made = scripted(base, script)(args=args, **slots | words)
    made.rewards_seen = []
    original = made._calculate_rewards

    def calculate(*given):
        rewards = original(*given)
        made.rewards_seen += rewards.tolist()
        return rewards

    made._calculate_rewards = calculate
    return made
