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
        "A turn that calls a tool may end with `<|eom_id|>` where the system prompt offers a code interpreter.",
        "Content beside a tool call is dropped, and so are all calls of a turn but one: the template refuses more.",
        "Llama 3.1 and later print today's date unless `date_string` is given; Llama 3 drops calls, which is refused.",
    ),
)
