"""gpt-oss (harmony): channels for thoughts, tool calls and answers."""

from __future__ import annotations

from trainwright_templates.families.family import Family

FAMILY = Family(
    name="gpt-oss",
    models="gpt-oss",
    marks=("<|start|>", "<|channel|>", "<|message|>", "<|call|>", "<|return|>"),
    stops=("<|return|>", "<|call|>", "<|end|>"),
    response="harmony",
    quirks=(
        "The last answer ends with `<|return|>`, earlier ones with `<|end|>`, a call with `<|call|>`.",
        "Thoughts before the last answer are dropped.",
        "What stands behind `<|start|>assistant` (channel, recipient) is written by the model, so it carries loss.",
        "The system turn prints today's date.",
    ),
)
