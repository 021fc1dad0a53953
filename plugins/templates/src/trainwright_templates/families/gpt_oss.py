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
        "The channel's header behind `<|start|>assistant` is written by the model, so it carries loss.",
        "Models write the recipient before or behind the channel; both are read.",
        "The system turn prints today's date.",
    ),
)
