"""Rendering conversations to text through the tokenizer's own chat template machinery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from trainwright.errors import DataError

Message: TypeAlias = Mapping[str, Any]
ChatTemplate: TypeAlias = str | Mapping[str, str] | None


def text_tokenizer(processing_class: Any) -> Any:
    """The tokenizer of a processor; a tokenizer itself."""
    return getattr(processing_class, "tokenizer", processing_class)


@dataclass(frozen=True)
class Renderer:
    """Renders messages of one conversation, with its tools and template variables, to text.

    Attributes:
        tokenizer: A transformers tokenizer.
        template: The chat template; several by name where the model publishes several.
        parts: Whether string contents become lists of parts first, as TRL does for processors.
        tools: The tools on offer, as JSON schemas.
        variables: Further template variables of the conversation (`chat_template_kwargs`).
    """

    tokenizer: Any
    template: ChatTemplate
    parts: bool = False
    tools: Sequence[Any] | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)

    @property
    def source(self) -> str:
        """The one template that renders this conversation, where the model has several by name."""
        return str(self.tokenizer.get_chat_template(self.template, self.tools))

    def __call__(self, messages: Sequence[Message], *, prompt: bool = False) -> str:
        """Render messages.

        Args:
            messages: What was said so far; at least one message.
            prompt: Whether to add the generation prompt (`add_generation_prompt`).

        Raises:
            DataError: Where the template rejects the messages.
        """
        try:
            return str(
                self.tokenizer.apply_chat_template(
                    self._prepared(messages),
                    chat_template=self.template,
                    tools=self.tools,
                    tokenize=False,
                    add_generation_prompt=prompt,
                    **self.variables,
                )
            )
        except Exception as error:  # a template is a program: it may fail in any way
            raise _rejected(messages, error) from error

    def marked(self, messages: Sequence[Message]) -> tuple[str, list[tuple[int, int]]]:
        """The text and the character ranges inside `{% generation %}` markers.

        Raises:
            DataError: Where the template rejects the messages.
        """
        from transformers.utils.chat_template_utils import render_jinja_template

        plain = [{key: value for key, value in message.items() if value is not None} for message in messages]
        variables = {**self.tokenizer.special_tokens_map, **self.variables}
        try:
            texts, ranges = render_jinja_template(
                conversations=[self._prepared(plain)],
                tools=self.tools,
                chat_template=self.source,
                return_assistant_tokens_mask=True,
                **variables,
            )
        except Exception as error:  # as above
            raise _rejected(messages, error) from error
        return texts[0], [(start, end) for start, end in ranges[0]]

    def _prepared(self, messages: Sequence[Message]) -> list[Message]:
        if not self.parts:
            return list(messages)
        from trl.data_utils import prepare_multimodal_messages

        return list(prepare_multimodal_messages([dict(message) for message in messages]))


def _rejected(messages: Sequence[Message], error: Exception) -> DataError:
    roles = ", ".join(str(message.get("role")) for message in messages)
    return DataError(
        f"the chat template rejects messages with the roles {roles}: {error or type(error).__name__}",
        remedy="change the conversation to what the template takes, or give another template: "
        "`template: {name: file, path: my_template.jinja}`",
    )
