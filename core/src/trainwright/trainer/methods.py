"""The training methods, one row each: which TRL classes train it, and what a batch of it holds.

Classes are named, not imported: this table is read by `trainwright --help` and `validate`, which must not import torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Unit = Literal["token", "chosen_token", "sequence", "pair"]
Batch = Literal["labels", "pairs", "unpaired", "rollouts", "scores"]


@dataclass(frozen=True)
class Method:
    """One training method.

    Attributes:
        name: What `method:` says.
        module: The TRL module that holds both classes.
        trainer: The name of TRL's trainer class.
        config: The name of TRL's config class; `training:` is checked against its fields.
        batch: What a batch holds: `labels` ([B, S], -100 ignored), `pairs` ([2B, S]: chosen, then rejected),
            `unpaired` ([B, S] with a thumb up or down), `rollouts` (prompts and sampled completions),
            `scores` ([2B, S], for a scalar head).
        columns: The alternatives of columns that a row of data has, the first complete one counts.
        units: What a plugin's loss may be normalised by; none where only TRL's own loss serves the method.
        needs: Config sections that the method cannot do without.
        offers: Config sections that the method takes where given.
        takes: Of the models `reference` and `teacher`, those that TRL's trainer is given; others Trainwright keeps.
    """

    name: str
    module: str
    trainer: str
    config: str
    batch: Batch
    columns: tuple[tuple[str, ...], ...]
    units: tuple[Unit, ...] = ()
    needs: tuple[str, ...] = ()
    offers: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(
            "sft",
            "trl.trainer",
            "SFTTrainer",
            "SFTConfig",
            "labels",
            (("messages",), ("conversations",), ("prompt", "completion"), ("text",), ("input_ids",)),
            units=("token", "sequence"),
            offers=("reference", "teacher"),
        ),
        Method(
            "dpo",
            "trl.trainer",
            "DPOTrainer",
            "DPOConfig",
            "pairs",
            (("prompt", "chosen", "rejected"), ("chosen", "rejected")),
            units=("token", "chosen_token", "sequence", "pair"),
            offers=("reference",),
            takes=("reference",),
        ),
        Method(
            "kto",
            "trl.trainer",
            "KTOTrainer",
            "KTOConfig",
            "unpaired",
            (("prompt", "completion", "label"), ("prompt", "chosen", "rejected"), ("chosen", "rejected")),
            units=("token", "sequence"),
            offers=("reference",),
            takes=("reference",),
        ),
        Method(
            "reward",
            "trl.trainer",
            "RewardTrainer",
            "RewardConfig",
            "scores",
            (("prompt", "chosen", "rejected"), ("chosen", "rejected")),
        ),
        Method(
            "grpo",
            "trl.trainer",
            "GRPOTrainer",
            "GRPOConfig",
            "rollouts",
            (("prompt",),),
            units=("token", "sequence"),
            needs=("rewards|env",),
        ),
        Method(
            "rloo",
            "trl.trainer",
            "RLOOTrainer",
            "RLOOConfig",
            "rollouts",
            (("prompt",),),
            units=("token", "sequence"),
            needs=("rewards|env",),
        ),
        Method(
            "gkd",
            "trl.experimental.gkd",
            "GKDTrainer",
            "GKDConfig",
            "labels",
            (("messages",),),
            needs=("teacher",),
            takes=("teacher",),
        ),
        Method(
            "distillation",
            "trl.trainer",
            "DistillationTrainer",
            "DistillationConfig",
            "rollouts",
            (("prompt",), ("messages",)),
            needs=("teacher",),
            takes=("teacher",),
        ),
    )
}
"""Method name → row."""
