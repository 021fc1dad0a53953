"""The end of the prompt before each assistant turn, with few renderings.

The prompt of turn i is the rendering of the messages before it with the generation prompt. What matters is its end,
from the last text of the data on. It is the same for all turns that follow the same kind of message, but for templates
which look further back; so it is rendered for the first turn of each kind, and again only where it does not fit a later
one. That keeps long conversations linear.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trainwright_templates.engine.layout import Layout, Surveyor
from trainwright_templates.render import RenderError

ROLE = "assistant"
PROBE = {"role": "user", "content": "x"}


class Prompts:
    """The ends of one conversation's prompts.

    Args:
        surveyor: Of the template.
        messages: The conversation.
        tools: The tools on offer.
        variables: Further variables of the template.
    """

    def __init__(
        self,
        surveyor: Surveyor,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Any] | None,
        variables: Mapping[str, Any],
    ) -> None:
        self._surveyor, self._messages = surveyor, messages
        self._tools, self._variables = tools, variables
        self._known: dict[tuple[Any, ...], str] = {}
        self._exact: dict[int, str] = {}
        self._question: str | None = None
        self._beginnings: dict[tuple[Any, ...], dict[tuple[str, str], str]] = {}

    def role(self, message: int) -> str:
        """The role of a message."""
        return str(self._messages[message].get("role"))

    def probable(self, turn: int) -> str:
        """The end of the prompt before a turn, as it was before the first turn of this kind.

        Raises:
            RenderError: The template rejects the messages before the turn.
        """
        kind = self._kind(turn)
        if kind not in self._known:
            self._known[kind] = self.exact(turn)
        return self._known[kind]

    def exact(self, turn: int) -> str:
        """The end of the prompt before a turn, rendered for it.

        Raises:
            RenderError: The template rejects the messages before the turn.
        """
        if turn not in self._exact:
            self._exact[turn] = self._render(self._messages[:turn])
        return self._exact[turn]

    def known(self, turn: int, beginning: tuple[str, str]) -> str | None:
        """What was noted of a turn of this kind that begins so, with a prompt that was rendered for it; or None."""
        return self._beginnings.get(self._kind(turn), {}).get(beginning)

    def know(self, turn: int, beginning: tuple[str, str], other: str) -> None:
        """Note how a turn begins.

        Args:
            turn: The turn.
            beginning: What the prompt has written of it, and what the prompt goes on with.
            other: The end of the prompt, where something else stands before the turn; else empty.
        """
        self._beginnings.setdefault(self._kind(turn), {})[beginning] = other

    def of_a_question(self) -> str:
        """The end of the prompt behind a user's message.

        Raises:
            RenderError: The template rejects a question.
        """
        if self._question is None:
            self._question = self._render([PROBE])
        return self._question

    def stop_behind(self, text: str, stops: Sequence[str]) -> str:
        """The stop token behind a last turn for which the template writes none: the one before a message that follows.

        Args:
            text: The rendering up to the turn's end.
            stops: The stop tokens of the model's files; the first of them where the template tells none.
        """
        following = {"role": "tool", "content": "x"} if self._messages[-1].get("tool_calls") else PROBE
        template = self._surveyor.template
        try:
            longer = template.render([*self._messages, following], tools=self._tools, variables=self._variables)
        except RenderError:
            return stops[0]
        behind = longer[len(text) :].lstrip() if longer.startswith(text) else ""
        return next((stop for stop in stops if behind.startswith(stop)), stops[0])

    def _render(self, messages: Sequence[Mapping[str, Any]]) -> str:
        if not messages:
            raise RenderError("a conversation without messages has no prompt")
        layout = self._surveyor.layout(messages, self._tools, self._variables, prompt=True)
        return tail(layout)

    def _kind(self, turn: int) -> tuple[Any, ...]:
        before = self._messages[turn - 1] if turn else {}
        return (turn == 0, before.get("role"), bool(before.get("tool_calls")))


def tail(layout: Layout) -> str:
    """What a rendering ends with, behind the last text of the data."""
    return layout.text[max((place.end for place in layout.places), default=0) :]
