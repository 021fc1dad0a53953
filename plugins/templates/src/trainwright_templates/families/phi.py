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
        "An end of text is written once behind the last turn; it is no part of the answer.",
        "Phi-4-mini drops tool calls in the past, which is refused.",
    ),
)
