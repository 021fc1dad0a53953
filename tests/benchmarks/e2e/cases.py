"""What is trained: the models' configs, the cases, and the task that a worker process is given."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

GIB = 2**30
TRAINERS = ("trl", "trainwright")
OWN_LOSS = {"sft": "chunked_nll", "dpo": "sigmoid_norm", "kto": "kto"}
"""Method → the plugin that is measured against TRL's own loss."""

_QWEN3 = {
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 151_936,
    "tie_word_embeddings": True,
    "max_position_embeddings": 40_960,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1_000_000.0},
}
MODELS: dict[str, dict[str, Any]] = {
    "Qwen3-1.7B": {
        **_QWEN3,
        "hidden_size": 2048,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
        "intermediate_size": 6144,
    },
    "Qwen3-4B": {
        **_QWEN3,
        "hidden_size": 2560,
        "num_hidden_layers": 36,
        "num_attention_heads": 32,
        "intermediate_size": 9728,
    },
    "tiny Qwen3": {
        **_QWEN3,
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "intermediate_size": 128,
        "vocab_size": 2048,
    },
}
"""Name → fields of `transformers.Qwen3Config`, as published."""


@dataclass(frozen=True)
class Case:
    """One training run.

    Attributes:
        name: What `--cases` says.
        model: A name in `MODELS`.
        batch: Rows of a step; a row of `dpo` is a pair.
        length: Tokens of a sequence; no row is padded.
        method: The training method.
        lora: Whether LoRA of rank 16 on all linear layers is trained, or all parameters.
        time_goal: Step time over TRL's that is to be reached.
    """

    name: str
    model: str
    batch: int
    length: int
    method: str = "sft"
    lora: bool = False
    time_goal: float = 1.0

    @property
    def title(self) -> str:
        """What the tables call it."""
        kind = " + LoRA" * self.lora
        return f"{self.method.upper()} {self.model}{kind}, {self.batch} × {self.length:,}"

    def small(self) -> Case:
        """The same on a tiny model with short rows: to try the script where there is no GPU."""
        return replace(self, model="tiny Qwen3", length=self.length // 32)


CASES = (
    Case("sft-1.7b-lora", "Qwen3-1.7B", batch=8, length=2048, lora=True),
    Case("sft-4b", "Qwen3-4B", batch=1, length=16_384),
    Case("sft-1.7b", "Qwen3-1.7B", batch=4, length=4096),
    Case("dpo-1.7b-lora", "Qwen3-1.7B", batch=4, length=2048, method="dpo", lora=True, time_goal=0.95),
    Case("dpo-1.7b", "Qwen3-1.7B", batch=4, length=2048, method="dpo"),
    Case("kto-1.7b-lora", "Qwen3-1.7B", batch=8, length=2048, method="kto", lora=True, time_goal=0.95),
    Case("kto-1.7b", "Qwen3-1.7B", batch=8, length=2048, method="kto"),
)
LONGEST = "sft-4b"
PROFILED = "sft-1.7b"


@dataclass(frozen=True)
class Task:
    """What one worker process does: train one case with one trainer, one step for each entry of `lengths`.

    Attributes:
        case: The case.
        trainer: A name in `TRAINERS`.
        loss: The loss of the run through trainwright: a plugin's name, or `trl`.
        device: `cuda` or `cpu`.
        lengths: Tokens of the sequences of each step.
        warm_up: Steps that are not timed, at least one.
        profile: Whether the last step is profiled, and the one before warms the profiler up.
    """

    case: Case
    trainer: str
    loss: str
    device: str
    lengths: tuple[int, ...]
    warm_up: int = 2
    profile: bool = False

    def tokens(self) -> int:
        """Tokens of the last step's sequences: prompts included, KTO's mismatched sequences not."""
        return self.case.batch * self.lengths[-1] * (2 if self.case.method == "dpo" else 1)

    def to_json(self) -> str:
        """As a worker reads it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Task:
        """The inverse of `to_json`."""
        values = json.loads(text)
        return cls(**{**values, "case": Case(**values["case"]), "lengths": tuple(values["lengths"])})
