"""The tokens that end a turn, as the template writes them."""

from __future__ import annotations

from trainwright_templates.engine.align import controls, leading_controls, names_role
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
        found |= dict.fromkeys(_behind_answer(layout, last=len(messages) == 2))
    return tuple(found)


def _behind_answer(layout: Layout, last: bool) -> list[str]:
    """The control tokens behind the first answer, if nothing but white space follows them in its turn."""
    ends = [place.end for place in layout.places if place.leaf.message == 1]
    pieces = layout.of(1)
    if not ends:
        return []
    if not pieces:  # nothing tells a stop token from a next header, but that there is none
        frame = layout.text[ends[-1] :].strip()
        return [] if not last or names_role(frame) or frame != leading_controls(frame) else controls(frame)
    end = max(pieces[-1].end, ends[-1])
    frame = layout.text[ends[-1] : end].strip()
    if frame:
        lead = leading_controls(frame)
        # Of a template that adds an empty turn behind each answer, that turn's header is among them.
        header = layout.text[pieces[0].start : ends[0]]
        return [] if frame[len(lead) :].strip() else [each for each in controls(lead) if each not in header]
    # Some templates leave it to the next message to write it: what is no header of that message's own.
    following = controls(leading_controls(layout.text[end:].lstrip()))[:1]
    before = layout.text[: layout.places[0].start]
    return [token for token in following if token not in before]
