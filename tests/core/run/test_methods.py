"""Each method trains a real step through the command, with TRL's own loss, on a tiny model; and with plugin losses."""

import json
from pathlib import Path

import pytest
import yaml

from trainwright.cli import main
from trainwright.testing import save_tiny, tiny_dataset

KINDS = {
    "sft": "messages",
    "dpo": "pairs",
    "kto": "unpaired",
    "reward": "pairs",
    "grpo": "prompts",
    "rloo": "prompts",
    "gkd": "messages",
    "distillation": "prompts",
}
ROLLOUTS = {"max_completion_length": 6, "num_generations": 2}
TRAINING = {
    "grpo": ROLLOUTS,
    "rloo": ROLLOUTS,
    "gkd": {"max_new_tokens": 6},
    "distillation": {"max_completion_length": 6},
}
SECTIONS = {
    "grpo": {"rewards": ["rewards.py:length"]},
    "rloo": {"rewards": ["rewards.py:length"]},
    "gkd": {"teacher": {"path": "tiny"}},
    "distillation": {"teacher": {"path": "tiny"}},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("methods")
    save_tiny("llama", folder / "tiny")
    source = "def length(completions, **columns):\n    return [len(str(each)) % 5 for each in completions]\n"
    (folder / "rewards.py").write_text(source)
    return folder


def write(folder, method, name, **sections):
    data = folder / f"{KINDS[method]}.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in tiny_dataset(KINDS[method], 8)))
    training = {
        "max_steps": 2,
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 1,
        "logging_steps": 1,
        "save_strategy": "no",
        **TRAINING.get(method, {}),
    }
    config = {
        "method": method,
        "model": "tiny",
        "data": {"train": data.name},
        "training": training,
        "output": str(folder / name),
        **SECTIONS.get(method, {}),
        **sections,
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def train(path):
    assert main(["train", str(path)]) == 0
    output = yaml.safe_load(path.read_text())["output"]
    lines = [json.loads(line) for line in Path(output, "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["split"] == "train"]


@pytest.mark.parametrize("method", KINDS)
def test_every_method_trains_with_trls_own_loss(method, folder):
    lines = train(write(folder, method, method))
    assert [line["step"] for line in lines] == [1, 2]
    assert all(line["loss"] == line["loss"] for line in lines)
    result = json.loads((folder / method / "result.json").read_text())
    assert result["steps"] == 2
    assert list((folder / method / "model").glob("*.safetensors"))


@pytest.mark.parametrize("method", ["sft", "dpo", "grpo"])
def test_lora_saves_an_adapter(method, folder):
    train(write(folder, method, f"{method}-lora", lora={"r": 2}))
    assert (folder / f"{method}-lora" / "model" / "adapter_model.safetensors").exists()
