"""Which format a model's template writes, found by rendering messages with it and parsing them again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .calls import Response
from .format import Format
from .parser import Parser
from .probe import PROBE_TOOLS, PROBES, Probe, Render, Rendered, render_turn, turn_end
from .registry import installed_formats


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


def agrees(response: Response, probe: Probe, turn: Rendered) -> bool:
    """Whether a response says what the probe says; what the template left out cannot be asked for."""
    read = [(call.name, _exact(call.arguments)) for call in response.calls if call.usable]
    if len(read) != len(response.calls) or read != [(name, _exact(arguments)) for name, arguments in probe.calls]:
        return False
    content = probe.content.strip() if probe.content and probe.content in turn.text else ""
    thinking = probe.thinking if probe.thinking and probe.thinking in turn.text else ""
    return response.content.strip() == content and response.thinking == thinking


def _exact(arguments: Any) -> str:
    """A spelling that tells 1, 1.0 and true apart."""
    return json.dumps(arguments, sort_keys=True)
