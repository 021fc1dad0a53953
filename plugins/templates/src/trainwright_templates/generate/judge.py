"""Whether a training template does what the original does, in the renderer that users will run it in.

What is compared is transformers' own `apply_chat_template`, not our sandbox: its generation tracker has rules of its
own (a block inside a macro is shifted, a variable set inside a block is lost), and they are what training will see.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from trainwright_templates.generate.frames import Range
from trainwright_templates.generate.probes import Probe

_Rendered = tuple[str, list[Range]]


def fault(original: str, candidate: str, seen: Iterable[Probe], special: Mapping[str, str]) -> str:
    """The first difference in text, mask or refusal on the probes, in words; empty where there is none."""
    for probe in seen:
        wrong = _wrong(original, candidate, probe, special)
        if wrong:
            return f"probe {probe.name}: {wrong}"
    return ""


def _wrong(original: str, candidate: str, probe: Probe, special: Mapping[str, str]) -> str:
    for prompt in (False, True):
        wanted, made = (_attempt(template, probe, special, prompt) for template in (original, candidate))
        if isinstance(made, Exception):
            if not isinstance(wanted, Exception):
                return f"the training template raises {type(made).__name__}: {made}"
        elif isinstance(wanted, Exception):
            return f"the training template accepts what the original refuses ({wanted})"
        elif made[0] != (text := wanted[0] if prompt or probe.text is None else probe.text):
            how = "with a generation prompt " if prompt else ""
            return f"{how}the training template renders {_where(made[0], text)}"
        elif not prompt and probe.spans is not None and joined(made[1]) != joined(probe.spans):
            return f"the training template supervises {_parts(made[0], made[1])}, not {_parts(made[0], probe.spans)}"
    return ""


def _attempt(template: str, probe: Probe, special: Mapping[str, str], prompt: bool) -> _Rendered | Exception:
    try:
        return rendered(template, probe, special, prompt)
    except Exception as error:  # templates are programs, and transformers lets all that they raise through
        return error


def rendered(template: str, probe: Probe, special: Mapping[str, str], prompt: bool = False) -> _Rendered:
    """Text and generation ranges, as transformers' `apply_chat_template` computes them.

    Raises:
        Exception: Whatever the template raises.
    """
    from transformers.utils.chat_template_utils import render_jinja_template

    texts, ranges = render_jinja_template(
        [list(probe.messages)],
        tools=probe.tools,
        chat_template=template,
        return_assistant_tokens_mask=True,
        add_generation_prompt=prompt,
        **special,
        **probe.variables,
    )
    return texts[0], ranges[0]


def joined(ranges: Iterable[Range]) -> list[Range]:
    """Ranges in order, empty ones left out, touching ones as one."""
    found: list[Range] = []
    for start, end in sorted(ranges):
        if start == end:
            continue
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def _where(text: str, wanted: str) -> str:
    same = next((i for i, (a, b) in enumerate(zip(text, wanted, strict=False)) if a != b), min(len(text), len(wanted)))
    return f"{text[same : same + 40]!r} where the original renders {wanted[same : same + 40]!r}"


def _parts(text: str, ranges: Sequence[Any]) -> str:
    return ", ".join(repr(text[start:end]) for start, end in joined(ranges)) or "nothing"
