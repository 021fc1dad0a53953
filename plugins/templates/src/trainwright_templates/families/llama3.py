"""Llama 3.x: headers between tokens of their own, tool calls as bare JSON."""

from __future__ import annotations

from trainwright_templates.families.family import Family

FAMILY = Family(
    name="llama3",
    models="Llama 3, 3.1, 3.2, 3.3",
    marks=("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    absent=("functools", "<function=", ">>>"),
    stops=("<|eot_id|>", "<|eom_id|>"),
    quirks=(
        "Llama 3.1 ends a turn that calls a tool with `<|eom_id|>` where `builtin_tools` are given.",
        "Content beside a tool call is dropped.",
        "Templates with calls in JSON take one call a turn and reject more; those with calls in Python take several.",
        "Llama 3.2 prints today's date unless `date_string` is given.",
        "Llama 3 drops tool calls, which is refused.",
    ),
)
