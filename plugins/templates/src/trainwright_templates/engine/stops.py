"""The tokens that end a turn, as the template writes them."""

from __future__ import annotations

from trainwright_templates.engine.align import leading_controls, controls
from trainwright_templates.engine.layout import Layout, Surveyor
from trainwright_templates.render import RenderError

_ANSWER = "Answer"


def template_stops(surveyor: Surveyor) -> tuple[str, ...]:
    """What the template writes straight behind an answer: control tokens, as the last turn and before another one."""
    ask, tell = {"role": "user", "content": "Question"}, {"role": "assistant", "content": _ANSWER}
    found: dict[str, None] = {}
    for messages in ([ask, tell], [ask, tell, ask, tell]):
        try:
            layout = surveyor.layout(messages, None, {})
        except RenderError:
            continue
        found |= dict.fromkeys(controls(leading_controls(_behind(layout).lstrip())))
    return tuple(found)


def _behind(layout: Layout) -> str:
    """What the first assistant turn holds behind its answer."""
    ends = [place.end for place in layout.places if place.leaf.message == 1]
    pieces = layout.of(1)
    if not ends or not pieces:
        return layout.text[ends[-1] :] if ends else ""
    return layout.text[ends[-1] : max(pieces[-1].end, ends[-1])]
