"""A parsed response as the message that TRL's tool loop and chat templates take."""

from __future__ import annotations

from typing import Any

from .calls import Response


def to_message(response: Response) -> dict[str, Any]:
    """The assistant's message.

    Only calls that may be executed become `tool_calls`. The raw text of the others stays in `content`, so that nothing
    that the model wrote is lost from the conversation.

    Returns:
        `role` and `content`, and where there are any `reasoning_content` and `tool_calls`, each
        `{"type": "function", "function": {"name": str, "arguments": dict}}`.
    """
    refused = [call.raw for call in response.calls if not call.usable]
    content = "\n".join(filter(None, [response.content, *refused]))
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if response.thinking:
        message["reasoning_content"] = response.thinking
    if response.usable_calls:
        message["tool_calls"] = [
            {"type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in response.usable_calls
        ]
    return message
