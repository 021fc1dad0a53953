"""Which format a model's template writes, found by rendering messages with it and parsing them again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from .calls import Response
from .format import Format
from .parser import Parser
from .registry import installed_formats

Message = dict[str, Any]


class Render(Protocol):
    """Renders messages, as `Template.render` does."""

    def __call__(self, messages: Sequence[Message], *, tools: Sequence[Any] | None, prompt: bool) -> str:
        """The text; `prompt` adds the generation prompt. It may raise for a conversation that it does not take."""
        ...


@dataclass(frozen=True)
class Probe:
    """One assistant's message, and the tools that it may call.

    Attributes:
        calls: Name and arguments of each call.
        content: Its content.
        thinking: Its reasoning.
    """

    calls: tuple[tuple[str, Mapping[str, Any]], ...]
    content: str = ""
    thinking: str = ""

    def message(self, *, as_json: bool) -> Message:
        """The message; `as_json` writes arguments as a JSON string, which some templates ask for."""
        calls = [
            {
                "type": "function",
                "id": f"call{i:05d}",
                "function": {"name": name, "arguments": _arguments(args, as_json)},
            }
            for i, (name, args) in enumerate(self.calls)
        ]
        extra = {"reasoning_content": self.thinking, "thinking": self.thinking} if self.thinking else {}
        return {"role": "assistant", "content": self.content, **extra, **({"tool_calls": calls} if calls else {})}


def _arguments(arguments: Mapping[str, Any], as_json: bool) -> Any:
    return json.dumps(arguments, ensure_ascii=False) if as_json else dict(arguments)


def _tool(name: str, **types: str) -> Message:
    properties = {key: {"type": kind, "description": key} for key, kind in types.items()}
    parameters = {"type": "object", "properties": properties, "required": list(types)[:1]}
    return {"type": "function", "function": {"name": name, "description": name, "parameters": parameters}}


PROBE_TOOLS = [_tool("get_weather", city="string", days="integer", where="object"), _tool("find-it.now", text="string")]
_PARIS = ("get_weather", {"city": "Paris", "days": 3, "where": {"lat": [48.5, 2], "near": {"sea": False}}})
PROBES = (
    Probe((_PARIS,)),
    Probe((("get_weather", {"city": "a \"b\" 'c' <d> {e}"}),), "Let me look."),
    Probe((_PARIS, ("find-it.now", {"text": "75001"})), "Two things.", "It asks for two."),
    Probe((("find-it.now", {"text": "  two\nlines, 'it's' \\n \\ "}),)),
    Probe((("get_weather", {"city": "Zoë 東京", "days": -1}),), "", "Only one."),
)
USER: Message = {"role": "user", "content": "What is it like there?"}


@dataclass(frozen=True)
class Rendered:
    """An assistant's turn as the template writes it.

    Attributes:
        prefix: The text before it, the generation prompt included.
        text: The turn, its stop token included.
    """

    prefix: str
    text: str


def pick_format(
    render: Render | Callable[..., str], formats: Iterable[Format] | None = None, *, stops: Sequence[str] = ()
) -> Format | None:
    """The format that reads back what `render` writes.

    Args:
        render: The model's own template.
        formats: Those to try; every installed one by default.
        stops: The model's stop tokens.

    Returns:
        The format that reads most of the probes that the template writes, and at least two of them; None where no call
        survives the template or no format reads it.
    """
    turns = [(probe, turn) for probe in PROBES if (turn := render_turn(render, probe, PROBE_TOOLS))]
    stops = (*stops, *turn_end(render))
    best: tuple[int, Format | None] = (0, None)
    for format in installed_formats() if formats is None else formats:
        parser = Parser(format, PROBE_TOOLS, stops=stops)
        score = sum(agrees(parser(turn.text, prefix=turn.prefix), probe, turn) for probe, turn in turns)
        if score > best[0]:
            best = (score, format)
    return best[1] if best[0] >= min(2, len(turns)) else None


def render_turn(render: Render | Callable[..., str], probe: Probe, tools: Sequence[Any]) -> Rendered | None:
    """The probe's turn alone; None where the template does not take it or leaves calls out."""
    for as_json in (False, True):
        try:
            full = render([USER, probe.message(as_json=as_json)], tools=tools, prompt=False)
            prompt = render([USER], tools=tools, prompt=True)
        except Exception:  # what a template raises for a message that it does not take is its own choice
            continue
        turn = _cut(full, prompt)
        # Arguments that are written as an escaped JSON string were wanted as an object, or the other way round.
        if turn and all(name in turn.text for name, _ in probe.calls) and '{\\"' not in turn.text:
            return turn
    return None


def _cut(full: str, prompt: str) -> Rendered | None:
    """`full` without its prompt, which lies between the user's message and where the two part."""
    asked, said = prompt.rfind(USER["content"]), full.rfind(USER["content"])
    if asked < 0 or said < 0:
        return None
    start = said + _shared(full[said:], prompt[asked:])
    return Rendered(full[:start], full[start : len(full) - _next_header(full[start:], prompt)])


def _shared(full: str, prompt: str) -> int:
    """How much of `full` is prompt, white space that only one of them has apart; never to inside a tag."""
    at = asked = 0
    while at < len(full) and asked < len(prompt):
        if full[at] == prompt[asked]:
            at, asked = at + 1, asked + 1
        elif prompt[asked].isspace():
            asked += 1
        elif full[at].isspace() and full[at:].lstrip()[:1] == prompt[asked]:
            at += 1
        else:
            break
    tag = full.rfind("<", max(0, at - 64), at)
    return tag if tag > full.rfind(">", max(0, at - 64), at) else at


def _next_header(turn: str, prompt: str) -> int:
    """The length of a generation prompt that the template writes after the turn, asked for or not."""
    at = turn.rfind("<")
    length = 0
    while at > 0 and prompt.endswith(turn[at:]):
        length = len(turn) - at
        at = turn.rfind("<", 0, at)
    return length


def turn_end(render: Render | Callable[..., str]) -> tuple[str, ...]:
    """What the template writes after an assistant's content: a stop token, or a closing tag of its own."""
    turn = render_turn(render, Probe((), "That is all."), [])
    end = turn.text.rpartition("That is all.")[2].strip() if turn else ""
    return (end,) if end else ()


def agrees(response: Response, probe: Probe, turn: Rendered) -> bool:
    """Whether a response says what the probe says; what the template left out cannot be asked for."""
    calls = tuple((call.name, call.arguments) for call in response.calls)
    if calls != tuple((name, dict(arguments)) for name, arguments in probe.calls):
        return False
    if not all(call.usable for call in response.calls):
        return False
    content = probe.content.strip() if probe.content and probe.content in turn.text else ""
    thinking = probe.thinking if probe.thinking and probe.thinking in turn.text else ""
    return response.content.strip() == content and response.thinking == thinking
