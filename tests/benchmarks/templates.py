"""Masks of published templates: how many conversations are answered, how fast, and beside TRL's hand-written ones.

    python tests/benchmarks/templates.py [CORPUS.json]

The corpus: see `published`. Every template meets every conversation of `trainwright_templates.shapes`, as it is and,
where the template leaves texts out, with contents as lists of parts. Seconds are the process's own, so other work on
the machine does not count. Exits with 1 where a goal is missed.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from typing import Any

from published import published

from trainwright.testing import tiny_tokenizer
from trainwright_templates.engine import Derived, Engine, Refused
from trainwright_templates.render import RenderError, Template, TemplateError
from trainwright_templates.shapes import WEATHER, assistant, calls, result, shapes, user

SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
LONG = 200  # turns
REQUIRED = {
    "drops": "refused: tool calls that the template drops",
    "leaves out all": "refused: turns that it leaves out",
    "knows texts only": "refused: images that it does not know",
}
"""Words of a refusal without which a mask would be wrong → what it is counted as."""


def as_parts(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages with contents as lists of parts, as processors take them."""
    return [
        message | {"content": [{"type": "text", "text": message["content"]}]}
        if isinstance(message.get("content"), str)
        else message
        for message in messages
    ]


def as_texts(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages with lists of parts of text as one text."""
    return [
        message | {"content": "".join(part["text"] for part in message["content"])}
        if isinstance(message.get("content"), list) and all("text" in part for part in message["content"])
        else message
        for message in messages
    ]


def answer(engine: Engine, row: dict[str, Any]) -> tuple[str, Derived | None, str]:
    """What came of a conversation: its outcome, its mask, and why there is none."""
    why = ""
    for messages in (row["messages"], as_parts(row["messages"]), as_texts(row["messages"])):
        try:
            return "masks", engine.derive(messages, row.get("tools")), ""
        except RenderError as error:
            if not why:
                return "rejected by the template", None, error.problems[0].message
        except Refused as error:
            why = why or error.problems[0].message
    return next((outcome for words, outcome in REQUIRED.items() if words in why), "other refusals"), None, why


def long_conversation(turns: int) -> list[dict[str, Any]]:
    """A trace of questions, calls, results and answers."""
    made = []
    for number in range(turns // 4):
        made += [user(f"q{number} " * 30), calls(("get_weather", {"city": f"c{number}"})), result("9 °C " * 40)]
        made.append(assistant(f"a{number} " * 60))
    return made


def engines(templates: dict[str, str]) -> Iterator[tuple[str, Engine]]:
    """An engine for each template that compiles."""
    for name, source in templates.items():
        try:
            yield name, Engine(Template(source, special=SPECIAL, now=datetime(2026, 1, 2)))
        except TemplateError as error:
            print(f"  {name}: {error.problems[0].message}")


def main() -> int:
    """Print the figures; 1 where a goal is missed."""
    templates = published(*sys.argv[1:2])
    if not templates:
        return 0
    outcomes: Counter[str] = Counter()
    seconds, long_seconds, beside = [], [], Counter[str]()
    for name, engine in engines(templates):
        for shape, row in shapes().items():
            before = time.process_time()
            outcome, made, why = answer(engine, row)
            outcomes[outcome] += 1
            if made is not None:
                seconds.append(time.process_time() - before)
                beside.update(beside_trl(engine.surveyor.template.source, row, made))
            if outcome == "other refusals" or "leaves out" in why:
                print(f"  {name} × {shape}: {why[:150]}")
        long_seconds += timed(engine)
    return report(outcomes, seconds, long_seconds, beside)


def timed(engine: Engine) -> list[float]:
    """Seconds of one long conversation, if the template takes it: the faster of two, which the collector spares."""
    seconds = []
    for _ in range(2):
        before = time.process_time()
        try:
            engine.derive(long_conversation(LONG), [WEATHER])
        except (RenderError, Refused):
            return []
        seconds.append(time.process_time() - before)
    return [min(seconds)]


@cache
def trained_by_trl(source: str) -> str | None:
    """TRL's training template for a template that it knows by its text."""
    from trl.chat_template_utils import get_training_chat_template

    tokenizer = tiny_tokenizer("llama")
    tokenizer.chat_template = source
    try:
        return get_training_chat_template(tokenizer)
    except Exception:  # it knows no such template
        return None


def beside_trl(source: str, row: dict[str, Any], made: Derived) -> Counter[str]:
    """Whether only one of the two masks holds some content, where TRL has a training template for the text.

    Turns whose content the template cuts are left out, and what the prompt has written of a turn: there it is policy.
    """
    from transformers.utils.chat_template_utils import render_jinja_template

    training = trained_by_trl(source)
    if training is None:
        return Counter()
    try:
        texts, ranges = render_jinja_template(
            conversations=[row["messages"]], tools=row.get("tools"), chat_template=training,
            return_assistant_tokens_mask=True, **SPECIAL,
        )  # fmt: skip
    except Exception:  # it does not render the conversation
        return Counter()
    if texts[0] != made.text:
        return Counter()
    theirs, ours = _covered(ranges[0]), _covered([(span.start, span.end) for span in made.spans])
    said = {turn for turn, message in enumerate(row["messages"]) if message["role"] == "assistant"}
    cut = {note.turn for note in made.notes if note.kind == "dropped_content"}
    begun = _covered(
        [(first, span.start) for first, last in made.sources for span in made.spans if first < span.start < last]
    )
    content = _covered(made.sources_of(said - cut)) - begun
    return Counter(pairs=1, disagreements=bool((theirs ^ ours) & content))


def _covered(ranges: Any) -> set[int]:
    return {place for start, end in ranges for place in range(start, end)}


def report(outcomes: Counter[str], seconds: list[float], long_seconds: list[float], beside: Counter[str]) -> int:
    """Print the figures and the goals."""
    rendered = outcomes.total() - outcomes["rejected by the template"]
    required = sum(outcomes[each] for each in REQUIRED.values())
    share = outcomes["masks"] / (rendered - required)
    median = 1e3 * statistics.median(seconds)
    for outcome, count in sorted(outcomes.items()):
        print(f"{outcome:<45}{count:>7,}")
    print(f"{'pairs that render':<45}{rendered:>7,}")
    print(f"a conversation: median {median:.2f} ms, 95 % {1e3 * statistics.quantiles(seconds, n=20)[-1]:.2f} ms")
    within = sum(each <= 0.1 for each in long_seconds)
    print(f"{LONG} turns: median {1e3 * statistics.median(long_seconds):.0f} ms, most {1e3 * max(long_seconds):.0f} ms")
    print(f"beside TRL's training templates: {beside['pairs']:,} pairs, {beside['disagreements']} disagree on content")
    goals = {
        f"masks for {share:.2%} of what renders, required refusals aside (goal 99.9 %)": share >= 0.999,
        f"median of {median:.2f} ms a conversation (goal 1 ms)": median <= 1.0,
        f"{LONG} turns within 100 ms for {within} of {len(long_seconds)} templates (goal all)": within
        == len(long_seconds),
        "no content disagreement with TRL's masks": not beside["disagreements"],
    }
    for goal, reached in goals.items():
        print(f"{'reached' if reached else 'MISSED'}: {goal}")
    return 0 if all(goals.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
