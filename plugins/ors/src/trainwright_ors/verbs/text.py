"""What a server says, as text for a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from trainwright_ors.client import Block, TextBlock, ToolSpec

_LONGEST = 200  # characters of what stands on one line


def printable(text: str) -> str:
    """Text in which no character moves the cursor, colours or hides anything: those are shown as escapes."""
    return "".join(
        char if char.isprintable() or char in "\n\t" else char.encode("unicode_escape", "surrogatepass").decode()
        for char in text
    )


def line(text: str) -> str:
    """The same on one line, and not endless."""
    flat = printable(" ".join(text.split()))
    return flat if len(flat) <= _LONGEST else f"{flat[:_LONGEST]}…"


def blocks_text(blocks: Sequence[Block]) -> str:
    """A prompt or a result; images as what they are and how large."""
    return "\n".join(map(_block, blocks))


def _block(block: Block) -> str:
    if isinstance(block, TextBlock):
        return printable(block.text)
    return f"[{line(block.mime_type)}, {len(block.data):,} bytes]"


def signature(spec: ToolSpec) -> str:
    """`add(a: integer, b: integer = 1, c?)`: the arguments, what is known of them, and which may be left out."""
    schema: Any = spec.input_schema
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    required = schema.get("required") if isinstance(schema, Mapping) else None
    needed = required if isinstance(required, list) else []
    arguments = properties.items() if isinstance(properties, Mapping) else ()
    return line(f"{spec.name}({', '.join(_argument(name, about, name in needed) for name, about in arguments)})")


def tool_lines(tools: Sequence[ToolSpec], indent: str) -> Iterator[str]:
    """A line for each tool."""
    for spec in tools:
        yield indent + signature(spec) + (f"  {line(spec.description)}" if spec.description else "")


def _argument(name: str, about: Any, needed: bool) -> str:
    about = about if isinstance(about, Mapping) else {}
    kind = f": {about['type']}" if isinstance(about.get("type"), str) else ""
    default = f" = {json.dumps(about['default'], ensure_ascii=False)}" if "default" in about else ""
    return f"{name}{'' if needed or default else '?'}{kind}{default}"
