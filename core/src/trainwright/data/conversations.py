"""Whether a value is a conversation as TRL knows it: messages with `role` and `content` (or `from` and `value`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from trainwright.config.words import got, nearest

STYLES = (("role", "content"), ("from", "value"))
"""The two spellings of a message's keys."""

_MISNAMED = {"human": "user", "gpt": "assistant", "chatgpt": "assistant", "bot": "assistant", "ai": "assistant"}


class Fault(NamedTuple):
    """One thing that is wrong with a value: where in it (`messages.1.content`), what, and what to do."""

    path: str
    message: str
    remedy: str = ""


def is_conversation(value: Any) -> bool:
    """Whether a value is meant as a conversation: a list whose first item is a mapping, or an empty list."""
    return isinstance(value, list) and (not value or isinstance(value[0], dict))


def style_of(conversation: Any) -> tuple[str, str]:
    """The spelling of a conversation's first message."""
    first = conversation[0] if conversation else {}
    sharegpt = isinstance(first, dict) and first.get("role") is None and first.get("from") is not None
    return STYLES[1] if sharegpt else STYLES[0]


def conversation_faults(conversation: list[Any], path: str, *, answered: bool) -> Iterator[Fault]:
    """What is wrong with a conversation.

    Args:
        conversation: A list of what should be messages.
        path: Where it stands in the row (`messages`).
        answered: Whether the last turn must be the assistant's.
    """
    if not conversation:
        yield Fault(path, "the conversation is empty", "Remove the row.")
        return
    style = style_of(conversation)
    faults = [
        fault
        for index, message in enumerate(conversation)
        for fault in _message_faults(message, f"{path}.{index}", style)
    ]
    yield from faults
    last = conversation[-1]
    role = last.get(style[0]) if isinstance(last, dict) else None
    if answered and not faults and role != "assistant":
        remedy = "End it with what the assistant should say, or remove the row."
        yield Fault(
            path, f"the conversation ends with the {role}, not the assistant: there is nothing to learn", remedy
        )


def _message_faults(message: Any, path: str, style: tuple[str, str]) -> Iterator[Fault]:
    role_key, content_key = style
    if not isinstance(message, dict):
        yield Fault(
            path, f"expected a message, got {got(message)}", f"A message is {{{role_key}: …, {content_key}: …}}."
        )
        return
    role = message.get(role_key)
    if role is None:
        yield Fault(path, f"the message has no `{role_key}`", _rename(message, role_key))
    elif not isinstance(role, str) or not role:
        yield Fault(f"{path}.{role_key}", f"expected a role such as `user`, got {got(role)}")
    elif role in _MISNAMED:
        yield Fault(f"{path}.{role_key}", f"chat templates know no role `{role}`", f"Call it `{_MISNAMED[role]}`.")
    yield from _content_faults(message, path, content_key)


def _content_faults(message: Mapping[str, Any], path: str, key: str) -> Iterator[Fault]:
    content = message.get(key)
    if isinstance(content, str) or (content is None and message.get("tool_calls")):
        return
    if content is None:
        yield Fault(path, f"the message has no `{key}`", _rename(message, key))
    elif not isinstance(content, list):
        yield Fault(f"{path}.{key}", f"expected text or a list of parts, got {got(content)}")
    elif not content:
        yield Fault(f"{path}.{key}", "the list of parts is empty", "Give text, or parts such as {type: text, text: …}.")
    for index, part in enumerate(content if isinstance(content, list) else ()):
        sound = isinstance(part, dict) and isinstance(part.get("type"), str)
        if not sound or (part["type"] == "text" and not isinstance(part.get("text"), str)):
            yield Fault(
                f"{path}.{key}.{index}", "not a part of a message", "A part is {type: text, text: …}, or {type: image}."
            )


def _rename(message: Mapping[str, Any], key: str) -> str:
    """The key that was probably meant."""
    others = [name for name, value in message.items() if value is not None and name not in ("role", "content")]
    near = nearest(key, others)
    return f"Rename `{near}` to `{key}`." if near else "A message is {role: …, content: …}."
