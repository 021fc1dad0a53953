"""GRPO's tool loop with what the chat template's provider knows: how a response is read, what follows a tool call.

TRL does both for templates that it knows by their exact text, and needs the template edited so that it writes the past
as it wrote the present. A provider's `parse` and `tool_suffix` need neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any

from trainwright.template.render import text_tokenizer
from trainwright.trainer.private import replaced, response_template


class ToolLoop:
    """Mixin between `HookedTrainer` and TRL's GRPO trainer; without a provider's `parse` it changes nothing."""

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        with _unasked(self, kwargs):
            super().__init__(*args, **kwargs)

    def _generate(self: Any, prompts: list[Any]) -> Any:
        if self.binding.template.parse is None:
            return super()._generate(prompts)  # type: ignore[misc]
        read = {"parse_response": lambda own: self._read}
        with response_template(self._tokenizer), replaced(self.binding.method, read):
            return super()._generate(prompts)  # type: ignore[misc]

    def _read(
        self: Any,
        tokenizer: Any,
        ids: Sequence[int],
        prefix: Sequence[int] | None = None,
        tools: Sequence[Any] | None = None,
    ) -> Mapping[str, Any]:
        """What the model wrote, as an assistant message; in place of TRL's `parse_response`."""
        text, before = (tokenizer.decode(list(each), skip_special_tokens=False) for each in (ids, prefix or ()))
        message: Mapping[str, Any] = self.binding.template.parse(text, tools=_schemas(tools), prefix=before)
        return message

    def _get_tool_suffix_ids(self: Any, tool_messages: list[dict[str, Any]]) -> list[int]:
        suffix = self.binding.template.tool_suffix
        if suffix is None:
            return list(super()._get_tool_suffix_ids(tool_messages))  # type: ignore[misc]
        return list(suffix(tool_messages, _schemas(self.tools), **self.chat_template_kwargs))


def _unasked(trainer: Any, given: Mapping[str, Any]) -> AbstractContextManager[Any]:
    """While TRL's trainer is made: it neither looks the template up among those that it knows, nor replaces it."""
    answer, stack = trainer.binding.template, ExitStack()
    if answer.parse is None or answer.tool_suffix is None:
        return stack
    stack.enter_context(response_template(text_tokenizer(given["processing_class"])))
    granted = dict.fromkeys(("supports_tool_calling", "is_chat_template_prefix_preserving"), lambda own: _yes)
    stack.enter_context(replaced(trainer.binding.method, granted))
    return stack


def _yes(processing_class: Any) -> bool:
    return True


def _schemas(tools: Sequence[Any] | None) -> list[Any] | None:
    """Tools as JSON schemas, as chat templates get them."""
    if not tools:
        return None
    from transformers.utils import get_json_schema

    return [get_json_schema(tool) if callable(tool) else tool for tool in tools]
