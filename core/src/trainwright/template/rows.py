"""From a row of data to one conversation: messages, tools and template variables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trainwright.errors import DataError
from trainwright.template.render import Message

_REMEDY = (
    "give `messages`, `conversations` (from, value), or `prompt` and `completion` as lists of messages; "
    "or train without `assistant_only_loss`"
)


@dataclass(frozen=True)
class Conversation:
    """What a template renders.

    Attributes:
        messages: The turns; an assistant turn with `weight: 0` carries no loss.
        tools: The tools on offer, as the row gives them.
        variables: Further template variables (the row's `chat_template_kwargs`).
    """

    messages: Sequence[Message]
    tools: Any = None
    variables: Mapping[str, Any] = field(default_factory=dict)


def conversation(row: Mapping[str, Any], *, completion_only: bool = True) -> Conversation:
    """Read a row that TRL would take as conversational.

    Args:
        row: `messages`, `conversations`, or `prompt` and `completion`; optionally `tools`, `chat_template_kwargs`.
        completion_only: Whether assistant turns of a `prompt` carry no loss.

    Raises:
        DataError: Where the row holds no conversation.
    """
    if row.get("messages") is not None or row.get("conversations") is not None:
        key = "messages" if row.get("messages") is not None else "conversations"
        messages = _messages(row[key], key)
    elif row.get("prompt") is not None and row.get("completion") is not None:
        prompt = _messages(row["prompt"], "prompt")
        if completion_only:
            prompt = [{**message, "weight": 0} if message["role"] == "assistant" else message for message in prompt]
        messages = [*prompt, *_messages(row["completion"], "completion")]
    else:
        filled = ", ".join(key for key, value in row.items() if value is not None) or "nothing"
        raise DataError(f"only what the assistant says is to carry loss, but the row has {filled}", remedy=_REMEDY)
    return Conversation(messages, row.get("tools"), row.get("chat_template_kwargs") or {})


def _messages(value: Any, key: str) -> list[dict[str, Any]]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise DataError(f"`{key}` is {type(value).__name__}, not a list of messages", remedy=_REMEDY)
    return [_message(each, f"{key}[{index}]") for index, each in enumerate(value)]


def _message(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise DataError(f"`{place}` is {type(value).__name__}, not a message with `role` and `content`")
    message = dict(value)
    if message.get("role") is None and "from" in message:
        message.update(role=message.pop("from"), content=message.pop("value", None))
    if not isinstance(message.get("role"), str):
        raise DataError(f"`{place}` has no role", remedy="give each message a `role` and a `content`")
    return message
