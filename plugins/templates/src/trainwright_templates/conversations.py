"""Conversations of one model become tokens and masks: what a run calls for each row of data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from trainwright.hooks import Tokens
from trainwright.template.render import text_tokenizer
from trainwright.template.spans import supervised_turns, without_weights
from trainwright_templates.engine import Derived, Engine, Note, Refused
from trainwright_templates.render import Template
from trainwright_templates.tokens import Encoder

_POLICIES = {
    "dropped_reasoning": "reasoning",
    "dropped_content": "content",
    "dropped_context": "content",
    "no_stop": "unstopped",
}
"""Kind of note → the setting that may refuse it."""
_PROBE = {"role": "assistant", "content": "Answer"}


@dataclass
class Conversations:
    """Masks conversations; picklable, and hashed by `datasets`.

    Attributes:
        processing_class: The tokenizer or processor.
        settings: `derived.Settings`.
        stops: Texts of the tokens that end a turn.
        marked: Whether the template in use has generation markers, so that TRL can mask rows with images.
    """

    processing_class: Any
    settings: Any
    stops: tuple[str, ...]
    marked: bool = False

    def __post_init__(self) -> None:
        self._engines: dict[str, Engine] = {}
        self._encoder = Encoder(self.processing_class)

    def __getstate__(self) -> dict[str, Any]:
        """What was given: the rest is made again, and so does not count where `datasets` hashes it."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Begin anew with what was given."""
        self.__dict__.update(state)
        self.__post_init__()

    @property
    def tokenizer(self) -> Any:
        """The tokenizer itself."""
        return text_tokenizer(self.processing_class)

    def __call__(self, messages: Sequence[Mapping[str, Any]], tools: Any = None, **variables: Any) -> Tokens:
        """Tokens and mask of a conversation; an assistant turn with `weight: 0` is context.

        Raises:
            DataError: The template rejects it, no mask can be verified, or a setting refuses what was noted.
        """
        derived = self.derive(messages, tools, **variables)
        self._enforce(derived.notes)
        return replace(self.tokenize(derived), notes=tuple(map(str, derived.notes)))

    def derive(self, messages: Sequence[Mapping[str, Any]], tools: Any = None, **variables: Any) -> Derived:
        """Text and spans of a conversation.

        Raises:
            DataError: See above.
        """
        turns, plain = supervised_turns(messages), self._prepared(without_weights(messages))
        listed = _listed(tools)
        return self._engine(listed).derive(plain, listed, turns=turns, variables=variables)

    def prompt(self, messages: Sequence[Mapping[str, Any]], tools: Any = None, **variables: Any) -> list[int]:
        """Tokens of a prompt with its generation prompt: a conversation's, up to where its answer would begin.

        Raises:
            DataError: See above.
        """
        before = [{**each, "weight": 0} if each.get("role") == "assistant" else each for each in messages]
        tokens = self.tokenize(self.derive([*before, _PROBE], tools, **variables))
        return tokens.input_ids[: tokens.supervised.index(1)]

    def tool_suffix(self, results: Sequence[Mapping[str, Any]], tools: Any = None, **variables: Any) -> list[int]:
        """Tokens between an assistant turn that calls tools, its stop token included, and the next assistant turn.

        Args:
            results: The tools' messages, one a call, each with the `name` of its tool.
            tools: The tools on offer.
            **variables: Further variables of the template.

        Raises:
            DataError: The template does not render tool results, or writes the past otherwise once they are there.
        """
        calls = [
            {"id": f"call{at:05d}", "type": "function", "function": {"name": each["name"], "arguments": {}}}
            for at, each in enumerate(results)
        ]
        answers = [{**each, "tool_call_id": call["id"]} for each, call in zip(results, calls, strict=True)]
        said: list[Mapping[str, Any]] = [
            {"role": "user", "content": "Ask"},
            {"role": "assistant", "content": "", "tool_calls": calls},
            *answers,
        ]
        messages, tools = self._prepared(said), _listed(tools)
        engine = self._engine(tools)
        derived = engine.derive(messages, tools, turns=[1], variables=variables)
        text = engine.surveyor.template.render(messages, tools=tools, prompt=True, variables=variables)
        end = derived.spans[0].end
        if text[:end] != derived.text[:end]:
            raise Refused("the chat template writes a tool call otherwise where a generation prompt follows")
        tokens = self.tokenize(replace(derived, text=text, spans=derived.spans[:1]))
        return tokens.input_ids[len(tokens.supervised) - tokens.supervised[::-1].index(1) :]

    def tokenize(self, derived: Derived) -> Tokens:
        """Tokens and mask of a rendering, cut at the spans' boundaries."""
        return self._encoder(derived)

    def template(self, tools: Any = None) -> Template:
        """The one template that renders a conversation, where the model has several by name."""
        source = str(self.tokenizer.get_chat_template(self.processing_class.chat_template, tools))
        return Template(source, special=self.tokenizer.special_tokens_map)

    def _engine(self, tools: Any) -> Engine:
        source = str(self.tokenizer.get_chat_template(self.processing_class.chat_template, tools))
        if source not in self._engines:
            self._engines[source] = Engine(self.template(tools), stops=self.stops, prefill=self.settings.prefill)
        return self._engines[source]

    def _prepared(self, messages: Sequence[Mapping[str, Any]]) -> list[Any]:
        """For a processor, texts as parts, as TRL gives them to it."""
        if self.processing_class is self.tokenizer:
            return list(messages)
        return [
            {**message, "content": [{"type": "text", "text": message["content"]}]}
            if isinstance(message.get("content"), str)
            else message
            for message in messages
        ]

    def _enforce(self, notes: Sequence[Note]) -> None:
        for note in notes:
            setting = _POLICIES.get(note.kind)
            if setting and getattr(self.settings, setting) == "refuse":
                raise Refused(
                    f"{note.text} (`template.{setting}` is `refuse`)",
                    remedy=f"change the conversation, or set `template: {{name: derived, {setting}: report}}`",
                )


def _listed(tools: Any) -> Any:
    return (json.loads(tools) if isinstance(tools, str) else tools) or None
