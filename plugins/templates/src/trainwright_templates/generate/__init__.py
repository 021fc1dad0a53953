"""Training templates: the original text with `{% generation %}` placed, verified in transformers' own renderer.

`training_template` tries its ways in order and takes the first that is right on every probe conversation:

1. the template as it is, where it has markers already;
2. the original, captured whole, with a mark before each message, and printed in pieces (`pieces`, `frames`, `write`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from trainwright_templates.generate import cache
from trainwright_templates.generate.frames import UnlearnableError, learn, setting_of, sights
from trainwright_templates.generate.judge import fault
from trainwright_templates.generate.pieces import STRICT, WIDE, cut, mark_of, with_marks
from trainwright_templates.generate.probes import Probe, probes, variables
from trainwright_templates.generate.source import has_markers, without_markers
from trainwright_templates.generate.write import written
from trainwright_templates.render.sandbox import RenderError, count_loops
from trainwright_templates.render.template import Template, prepared


@dataclass(frozen=True)
class Generated:
    """What came of a template.

    Attributes:
        text: The training template, for any tool that takes a chat template; empty where none could be verified.
        reason: How it was made; or why there is none.
    """

    text: str
    reason: str

    def __bool__(self) -> bool:
        """Whether there is a training template."""
        return bool(self.text)


def training_template(
    template: Template, *, stops: Sequence[str], prefill: bool = False, kept: bool = True
) -> Generated:
    """A template's text with generation markers, equal to the original in text and refusals and to `derive` in mask.

    It is so on all probes: conversations of every shape, and some with each variable that the template reads.

    Args:
        template: The original.
        stops: The texts of the model's stop tokens.
        prefill: Whether prefilled thinking tags are supervised.
        kept: Whether results are kept on disk, and taken from there.

    Returns:
        The training template, or the reason why there is none.
    """
    file = cache.entry(template.source, template.special, stops, prefill) if kept else None
    if file and (found := cache.load(file)):
        return Generated(**found)
    template = Template(template.source, special=template.special)  # the judge's renderer knows the present time only
    result = _made(template, list(probes(template, stops, prefill)), stops)
    if file:
        cache.store(file, asdict(result))
    return result


def _made(template: Template, seen: list[Probe], stops: Sequence[str]) -> Generated:
    masked = [probe for probe in seen if probe.spans]
    if not masked:
        why = next((probe.why for probe in seen if probe.why), "the template renders none of them")
        return Generated("", f"no probe conversation has a mask: {why}")
    source = template.source
    if has_markers(source):
        if not fault(source, source, seen, template.special):
            return Generated(source, "the template's own generation markers are right")
        source = without_markers(source)
    reasons = []
    for fields in (STRICT, WIDE):
        try:
            text = _in_pieces(source, template, masked, stops, fields)
        except UnlearnableError as error:
            reasons.append(str(error))
            continue
        wrong = fault(template.source, text, seen, template.special)
        if not wrong:
            return Generated(text, "generation markers placed around each reply")
        reasons.append(wrong)
    return Generated("", "; ".join(dict.fromkeys(reasons)))


def _in_pieces(source: str, template: Template, masked: Sequence[Probe], stops: Sequence[str], fields: str) -> str:
    mark = mark_of(source)
    marked = with_marks(source, mark, fields)
    if marked is None:
        raise UnlearnableError("no loop over messages that prints was found in the template")
    tree = template.environment.parse(marked)
    count_loops(tree)
    compiled = template.compile(tree)
    seen = []
    for probe in masked:
        try:
            marked_text = template.run(
                compiled, prepared(probe.messages), tools=probe.tools, prompt=False, variables=probe.variables
            )
        except RenderError as error:
            raise UnlearnableError(
                f"the marked template fails on probe {probe.name}: {error.problems[0].message}"
            ) from error
        text, pieces = cut(marked_text, mark)
        if text != probe.text:
            raise UnlearnableError(f"the marked template renders another text on probe {probe.name}")
        seen += list(sights(text, pieces, probe.spans or (), probe.own, setting_of(probe.variables)))
    return written(source, mark, fields, learn(seen, stops, variables(template)))
