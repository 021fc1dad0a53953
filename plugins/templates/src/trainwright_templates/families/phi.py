"""Phi-3 and Phi-4-mini: `<|role|>` and `<|end|>`."""

from __future__ import annotations

from trainwright_templates.families.family import Family

FAMILY = Family(
    name="phi",
    models="Phi-3, 3.5, 4-mini",
    marks=("<|assistant|>", "<|end|>"),
    absent=("<|begin_assistant|>", "<|content|>"),
    stops=("<|end|>", "<|endoftext|>"),
    quirks=(
        "The end of sequence that some templates write once behind the last turn is no part of the answer.",
        "Phi-3 and 3.5 drop tool calls, or reject them.",
    ),
)
