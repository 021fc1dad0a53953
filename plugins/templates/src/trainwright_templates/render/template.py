"""A compiled chat template, and what it gets to see of a conversation."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from types import MappingProxyType
from typing import Any, TypeAlias

import jinja2
from jinja2 import nodes

from trainwright_templates.render.sandbox import ChatEnvironment, RenderError, TemplateError, count_loops, run

Message: TypeAlias = Mapping[str, Any]

_REASONING = ("reasoning_content", "thinking", "reasoning")
"""Names of a message's reasoning, the standard one first; templates read the first two."""


class Template:
    """A chat template, compiled.

    Args:
        source: Its text.
        special: The special tokens that it may print, by name (`bos_token`), as in `tokenizer.special_tokens_map`.
        now: The time that it may print; default: the time of rendering.

    Raises:
        TemplateError: It does not parse.
    """

    def __init__(self, source: str, *, special: Mapping[str, str] | None = None, now: datetime | None = None) -> None:
        self.source, self.special, self._now = source, dict(special or {}), now
        self.environment = ChatEnvironment(now)
        self._compiled = self.compile(self.tree())

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the text."""
        return hashlib.sha256(self.source.encode()).hexdigest()

    def tree(self) -> nodes.Template:
        """A new syntax tree, its loops counted.

        Raises:
            TemplateError: The text does not parse.
        """
        try:
            tree = self.environment.parse(self.source)
        except jinja2.TemplateError as error:
            line = f", line {error.lineno}" if isinstance(error, jinja2.TemplateSyntaxError) else ""
            raise TemplateError(
                f"the chat template does not parse{line}: {error.message or type(error).__name__}",
                remedy="mend it, or give another: `template: {name: file, path: my_template.jinja}`",
            ) from error
        except RecursionError as error:
            raise TemplateError("the chat template is nested too deeply", remedy="give another one") from error
        count_loops(tree)
        return tree

    def compile(self, tree: nodes.Template) -> jinja2.Template:
        """A syntax tree as a template of this environment.

        Raises:
            TemplateError: What parses, but cannot be compiled (an unknown filter).
        """
        environment = self.environment
        try:
            code = environment.compile(tree, "chat template", "<chat template>")
        except (jinja2.TemplateError, RecursionError) as error:
            raise TemplateError(
                f"the chat template does not compile: {error}",
                remedy="mend it, or give another: `template: {name: file, path: my_template.jinja}`",
            ) from error
        return jinja2.Template.from_code(environment, code, environment.make_globals(None))

    def render(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Any] | None = None,
        prompt: bool = False,
        variables: Mapping[str, Any] = MappingProxyType({}),
    ) -> str:
        """The text of a conversation.

        Args:
            messages: What was said.
            tools: The tools on offer, as JSON schemas.
            prompt: Whether to add the generation prompt (`add_generation_prompt`).
            variables: Further variables of the template (`enable_thinking`, …).

        Raises:
            RenderError: The template rejects the conversation.
        """
        return self.run(self._compiled, prepared(messages), tools=tools, prompt=prompt, variables=variables)

    def run(
        self,
        compiled: jinja2.Template,
        messages: Sequence[Message],
        *,
        tools: Any,
        prompt: bool,
        variables: Mapping[str, Any] = MappingProxyType({}),
    ) -> str:
        """`render` with a version of the template, on messages that are `prepared`.

        Raises:
            RenderError: The template rejects the conversation.
        """
        given = {**self.special, **variables}
        given |= {"messages": list(messages), "tools": tools or None, "documents": variables.get("documents")}
        try:
            return run(compiled, given | {"add_generation_prompt": prompt})
        except Exception as error:  # a template is a program: it may fail in any way
            roles = ", ".join(str(message.get("role")) for message in messages) or "none"
            raise RenderError(
                f"the chat template rejects messages with the roles {roles}: {error or type(error).__name__}",
                remedy="change the conversation to what the template takes, or give another template: "
                "`template: {name: file, path: my_template.jinja}`",
            ) from error


def prepared(messages: Sequence[Message]) -> list[Message]:
    """Messages as transformers shows them to a template: reasoning under all its names."""
    return [_with_reasoning(message) for message in messages]


def _with_reasoning(message: Message) -> Message:
    reasoning = next((message[name] for name in _REASONING if message.get(name) is not None), None)
    if reasoning is None:
        return dict(message)
    return {"thinking": reasoning, **message, "reasoning_content": reasoning}
