"""From a server's JSON to checked values. Nothing is evaluated, resolved or guessed; what does not fit is an error."""

from __future__ import annotations

import base64
import binascii
import logging
import math
from collections.abc import Callable, Mapping
from typing import Any

from trainwright_ors.client.errors import Place, ProtocolError, ToolFailed
from trainwright_ors.client.types import (
    Block,
    ImageBlock,
    Split,
    TerminalTool,
    TextBlock,
    ToolResult,
    Toolset,
    ToolSpec,
)

_LOG = logging.getLogger("trainwright.ors")
_REASONS = {  # what ors-sdk's texts say that openreward's `reason` says
    "is not a valid tool": "not_found",
    "Tool input validation error": "input_validation",
}


def environments(answer: Any, place: Place) -> tuple[str, ...]:
    """Of `/list_environments`: at least one name."""
    if not isinstance(answer, list) or not answer or not all(isinstance(name, str) and name for name in answer):
        raise ProtocolError("the list of environments is not a list of names", place)
    return tuple(answer)


def splits(answer: Any, place: Place) -> tuple[Split, ...]:
    """Of `/splits`."""
    if not isinstance(answer, list):
        raise ProtocolError("the splits are not a list", place)
    return tuple(_split(entry, place) for entry in answer)


def _split(entry: Any, place: Place) -> Split:
    if isinstance(entry, str):  # as the published page has it
        return Split(entry, entry if entry in ("train", "test") else "validation")
    kind = _text(entry, "type", "a split", place, default="validation")
    return Split(_text(entry, "name", "a split", place), kind)


def toolset(answer: Any, place: Place) -> Toolset:
    """Of `/tools` and `/task_tools`; schemas stay as they are."""
    tools = answer.get("tools") if isinstance(answer, Mapping) else None
    if not isinstance(tools, list):
        raise ProtocolError("the tools are not a list under `tools`", place)
    return Toolset(tuple(_tool(entry, place) for entry in tools), _terminal(answer.get("terminal_tool"), place))


def _tool(entry: Any, place: Place) -> ToolSpec:
    name = _text(entry, "name", "a tool", place)
    schema = entry.get("input_schema")
    if not name or not isinstance(schema, Mapping | bool | None):
        raise ProtocolError(f"the tool {name[:80]!r} has no name, or a schema that is not a JSON Schema", place)
    return ToolSpec(name, _text(entry, "description", "a tool", place, default=""), schema)


def _terminal(entry: Any, place: Place) -> TerminalTool | None:
    if entry is None:
        return None
    name = _text(entry, "name", "the terminal tool", place)
    arg = entry.get("arg")
    if not isinstance(arg, str | None):
        raise ProtocolError("the terminal tool's argument is not a name", place)
    return TerminalTool(name, arg, _text(entry, "description", "the terminal tool", place, default=""))


def blocks(answer: Any, place: Place, mask: Callable[[str], str]) -> tuple[Block, ...]:
    """Of a prompt or a result; blocks of unknown kinds are left out.

    Args:
        answer: The list of blocks.
        place: For messages.
        mask: Rids text of secrets.
    """
    if not isinstance(answer, list):
        raise ProtocolError("its blocks are not a list", place)
    found = (_block(entry, place, mask) for entry in answer)
    return tuple(block for block in found if block is not None)


def _block(entry: Any, place: Place, mask: Callable[[str], str]) -> Block | None:
    kind = _text(entry, "type", "a block", place)
    if kind == "text":
        return TextBlock(mask(_whole(_text(entry, "text", "a text block", place))))
    if kind == "image":
        return ImageBlock(_bytes(entry, place), _text(entry, "mimeType", "an image block", place, default="image/png"))
    _LOG.debug("%s: a block of kind %r is left out", place, kind[:80])
    return None


def _bytes(entry: Mapping[str, Any], place: Place) -> bytes:
    try:
        return base64.b64decode(_text(entry, "data", "an image block", place), validate=True)
    except (binascii.Error, ValueError):
        raise ProtocolError("an image block's data is not base64", place) from None


def result(answer: Any, place: Place, clean: Callable[[str], str], mask: Callable[[str], str]) -> ToolResult:
    """Of a call.

    Args:
        answer: What the stream ended with.
        place: For messages.
        clean: Makes a server's text fit for a message.
        mask: Rids text of secrets.

    Raises:
        ToolFailed: The server refused the call.
        ProtocolError: It is no result.
    """
    if not isinstance(answer, Mapping) or not isinstance(answer.get("ok"), bool):
        raise ProtocolError("the tool's result has no `ok`", place)
    if not answer["ok"]:
        said = _text(answer, "error", "the tool's refusal", place, default="")
        raise ToolFailed(clean(said) or "refused without a reason", place, reason=_reason(answer, said))
    output = answer.get("output")
    if not isinstance(output, Mapping):
        raise ProtocolError("the tool's result has no `output`", place)
    finished, metadata = output.get("finished", False), output.get("metadata")
    if not isinstance(finished, bool | None) or not isinstance(metadata, Mapping | None):
        raise ProtocolError("the tool's result has a `finished` or `metadata` of the wrong type", place)
    shown = blocks(output.get("blocks"), place, mask)
    return ToolResult(shown, _reward(output.get("reward"), place), bool(finished), metadata or {})


def _reason(answer: Mapping[str, Any], said: str) -> str:
    given = answer.get("reason")
    if isinstance(given, str):
        return given
    return next((reason for words, reason in _REASONS.items() if words in said), "")


def _reward(value: Any, place: Place) -> float | None:
    """A finite number, or None; servers write NaN and infinity as null."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ProtocolError(f"the reward is a {type(value).__name__}, not a number", place)
    try:
        reward = float(value)
    except OverflowError:
        reward = math.inf
    if not math.isfinite(reward):
        _LOG.warning("%s: the reward is %s, which counts as none", place, reward)
        return None
    return reward


def _whole(text: str) -> str:
    """Text that can be encoded: halves of surrogate pairs, which JSON can hold, become question marks."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _text(entry: Any, key: str, what: str, place: Place, default: str | None = None) -> str:
    value = entry.get(key) if isinstance(entry, Mapping) else None
    if value is None and default is not None and isinstance(entry, Mapping):
        return default
    if not isinstance(value, str):
        raise ProtocolError(f"{what} has no `{key}` that is text", place)
    return value
