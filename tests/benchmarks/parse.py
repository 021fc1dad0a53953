"""How long hostile text takes to parse: a megabyte of each attack. `python tests/benchmarks/parse.py [FORMAT …]`.

Every format meets every attack: its own call cut anywhere, repeated, nested, never closed, with each filler between,
inside, before and behind, in thinking and out of it. All attacks are timed at 15 and 60 kB, and those that take longest
or grow fastest at a megabyte. The goal is half a second a megabyte; exits 1 where a format misses it. Figures are
seconds of one core.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from operator import itemgetter

from response_calls import CALLS, TOOLS

from trainwright_templates.parse import Parser, format_names

SIZE, SCREEN = 1_000_000, (15_000, 60_000)
KEPT = 8
GOAL = 0.5
FILLERS = (
    "\n", " ", "\t\n", "\u2028", "\0", '"', "'", "`", "\\", '\\"', "\\'", "\\\\", "{", "[", "(", "}", "]", ")", ")]",
    "<", ">", "</", "<|", "<｜", "|>", ",", ":", "=", "0", "1,", "-1.5e9", "a", "é", "東", "🎉", "null", "true,",
    "a=", "a=1,", "a='b', ", '"a": "b", ', '{"a":', '{"a":"', "{'a':", '[{"a":[', '{"a":1},',
    "f(", "f(a=", "f(a='", "[f(a=1),", "to=", " to=f", "f\n", "all\n", "```json\n",
    "<think>", "</think>", "<tool_call", "<tool_call>", "</tool_call>",
)  # fmt: skip
Attack = Callable[[int], str]


def fill(unit: str) -> Attack:
    """`unit` again and again."""
    return lambda size: unit * (size // len(unit))


def around(before: str, unit: str, behind: str) -> Attack:
    """`unit` again and again between two texts."""
    return lambda size: before + fill(unit)(size) + behind


def attacks(call: str) -> Iterator[tuple[str, Attack]]:
    """Texts by their length, with a name each."""
    middle = re.search(r"(?<=[\"'>\n])b(?=[\"'<\]\n])", call)
    assert middle is not None
    opened, shut = call[: middle.start()], call[middle.end() :]
    cuts = sorted({edge.end() for edge in re.finditer(r"[<>\[\](){}:=\n]", call)} - {len(call)})
    for cut in cuts:
        yield f"cut at {cut}, repeated", fill(call[:cut])
        yield f"from {cut} on, repeated", fill(call[cut:])
        yield f"cut at {cut}, then whole calls", around(call[:cut], call, "")
        yield f"cut at {cut}, then it again without its end", around(call[:cut], opened, "")
    yield "whole calls", fill(call)
    yield "end before start", fill(shut + opened)
    yield "closing tags in a value", around(opened, shut + " ", shut)
    yield "calls in a value", around(opened, call, shut)
    yield "nested openings, closed", lambda size: opened * (size // len(call)) + shut * (size // len(call))
    value = re.search(r"""(["']|<\|"\|>)b\1""", call) or middle
    before, behind = call[: value.start()] + "[", "0]" + call[value.end() :]
    for unit in ("0,", "[],", '{"k":1},', "{k:1},", '"s",', "'s',", '<|"|>s<|"|>,', "[" * 9 + "]" * 9 + ","):
        yield f"a list of {unit!r}", around(before, unit, behind)
        yield f"a list of {unit!r} that does not end", around(before, unit, "")
    for tag in ("<think>", "</think>", "<think></think>"):
        yield f"{tag}, whole calls", around(tag, call, "")
        yield f"{tag} before each call", fill(tag + call)
    for filler in FILLERS:
        yield f"{filler!r} in a value", around(opened, filler, shut)
        yield f"{filler!r} in a value that does not end", around(opened, filler, "")
        yield f"{filler!r} before a call", around("", filler, call)
        yield f"{filler!r} in thinking, then a call", around("<think>", filler, "</think>" + call)
        yield f"{filler!r} behind each call", fill(call + filler)
        yield f"{filler!r} in each value that does not end", fill(opened + filler)
        yield f"{filler!r} behind each half opening", fill(call[: middle.start() // 2] + filler)
        yield f"{filler!r} behind each end", fill(shut + filler)
        yield f"{filler!r} long, in few values", fill(opened + filler * 200)


def timed(parser: Parser, text: str) -> float:
    """Seconds of the processor for one text."""
    start = time.process_time()
    parser(text)
    return time.process_time() - start


def slowest(name: str) -> tuple[float, str]:
    """The longest time for a megabyte, and the attack that takes it."""
    parser = Parser(name, TOOLS)
    screened = []
    for label, attack in attacks(CALLS[name]):
        short, long = (timed(parser, attack(size)) for size in SCREEN)
        screened.append((long, long / max(short, 1e-3), label, attack))
    kept = [sorted(screened, key=itemgetter(place), reverse=True)[:KEPT] for place in (0, 1)]
    return max((timed(parser, attack(SIZE)), label) for rows in kept for _, _, label, attack in rows)


def main(names: list[str]) -> int:
    """Time the attacks on each format; 1 where one misses the goal."""
    missed = 0
    for name in names or format_names():
        took, label = slowest(name)
        missed += took > GOAL
        print(f"{name:18s} {took:.3f} s  {label}{'  MISSED' if took > GOAL else ''}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
