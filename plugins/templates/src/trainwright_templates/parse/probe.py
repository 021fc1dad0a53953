"""Messages that a model's own template is asked to render, and the turn that it makes of one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Protocol

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

    def message(self, content: str | None, *, as_json: bool) -> Message:
        """The message with `content`; `as_json` writes arguments as a JSON string, which some templates ask for."""
        calls = [
            {
                "type": "function",
                "id": f"call{i:05d}",
                "function": {"name": name, "arguments": _arguments(args, as_json)},
            }
            for i, (name, args) in enumerate(self.calls)
        ]
        names = ("reasoning_content", "thinking", "reasoning") if self.thinking else ()
        return {
            "role": "assistant",
            "content": content,
            **dict.fromkeys(names, self.thinking),
            **({"tool_calls": calls} if calls else {}),
        }


def _arguments(arguments: Mapping[str, Any], as_json: bool) -> Any:
    return json.dumps(arguments, ensure_ascii=False) if as_json else dict(arguments)


def _tool(name: str, **types: str) -> Message:
    properties: Message = {key: {"type": kind, "description": key} for key, kind in types.items()}
    for schema in properties.values():
        if schema["type"] == "object":  # Command R+ asks what is in it
            schema["additionalProperties"] = {"type": "string"}
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
# A plain answer; no probe begins with its first letter.
ANSWER: Message = {"role": "assistant", "content": "¶ That is all."}


@dataclass(frozen=True)
class Rendered:
    """An assistant's turn as the template writes it.

    Attributes:
        prefix: The text before it, the generation prompt included.
        text: The turn, its stop token included.
    """

    prefix: str
    text: str


def render_turn(render: Render | Callable[..., str], probe: Probe, tools: Sequence[Any]) -> Rendered | None:
    """The probe's turn alone; None where the template does not take it or leaves calls out.

    Empty content beside calls is tried as a text and as None, which some templates ask for; the shorter turn is taken.
    """
    contents = (probe.content,) if probe.content or not probe.calls else ("", None)
    turns = [turn for content in contents if (turn := _written(render, probe, content, tools))]
    return min(turns, key=lambda turn: len(turn.text), default=None)


def _written(
    render: Render | Callable[..., str], probe: Probe, content: str | None, tools: Sequence[Any]
) -> Rendered | None:
    for as_json in (False, True):
        try:
            full = render([USER, probe.message(content, as_json=as_json)], tools=tools, prompt=False)
            prompt = render([USER], tools=tools, prompt=True)
        except Exception:  # what a template raises for a message that it does not take is its own choice
            continue
        turn = _cut(full, prompt, lambda: render([USER, ANSWER], tools=tools, prompt=False))
        if turn and all(_holds(turn.text, name, arguments) for name, arguments in probe.calls):
            return turn
    return None


def _holds(text: str, name: str, arguments: Mapping[str, Any]) -> bool:
    """Whether a call is written; as an escaped JSON string, its arguments were wanted as an object, or reversed."""
    return name in text and not any('{\\"' + key + '\\"' in text for key in list(arguments)[:1])


def _cut(full: str, prompt: str, answered: Callable[[], str]) -> Rendered | None:
    """`full` without its prompt, which lies between the user's message and where the two part.

    Where a template's history has another header than its prompt, the turn is what differs from a plain answer's.
    """
    asked, said = prompt.rfind(USER["content"]), full.rfind(USER["content"])
    if asked < 0 or said < 0:
        return None
    start, whole = _shared(full[said:], prompt[asked:])
    frame = (0, 0) if whole else _frame(full[said:], answered)
    start = said + max(start, frame[0])
    end = len(full) - max(frame[1], _next_header(full[start:], prompt))
    return Rendered(full[:start], full[start:end])


def _frame(full: str, answered: Callable[[], str]) -> tuple[int, int]:
    """How many characters a turn has in common with a plain answer's frame, before and behind."""
    try:
        before, said, behind = answered().rpartition(ANSWER["content"])
    except Exception:  # the template does not take it
        return 0, 0
    asked = before.rfind(USER["content"])
    if not said or asked < 0:
        return 0, 0
    end = len(full) - _alike(full[::-1], behind[::-1])
    tag = full.find("<", end)
    return _before_tag(full, _alike(full, before[asked:])), len(full) - tag if tag >= 0 else 0


def _alike(one: str, other: str) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _shared(full: str, prompt: str) -> tuple[int, bool]:
    """How much of `full` is prompt, white space that only one of them has apart, and whether all of that is there."""
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
    return _before_tag(full, at), asked == len(prompt)


def _before_tag(text: str, at: int) -> int:
    """`at`, or where the tag begins that it is inside of."""
    tag = text.rfind("<", max(0, at - 64), at)
    return tag if tag > text.rfind(">", max(0, at - 64), at) else at


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
    turn = render_turn(render, Probe((), ANSWER["content"]), [])
    end = turn.text.rpartition(ANSWER["content"])[2].strip() if turn else ""
    return (end,) if end else ()
