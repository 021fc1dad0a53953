"""How much of a turn's text the prompt has already written: the end of one text against the beginning of another."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

# A tag or control token in one of the usual spellings, a run of white space, or a word: where a prompt may end.
_ATOM = re.compile(r"<[^<>\s]{1,64}>|\[/?[A-Za-z_]{2,40}\]|\]~[a-z!]{1,3}[\[\]]|\[e~\[|\s+|\w+|.", re.DOTALL)
_CONTROL = re.compile(r"<[^<>\s]{1,64}>|\[/?[A-Z_]{2,40}\]|\]~[a-z!]{1,3}[\[\]]|\[e~\[")
_THOUGHT = re.compile(r"<[^<>\s]*think[^<>\s]*>|\[THINK\]|<\|channel>thought", re.IGNORECASE)
_ROLE = re.compile(r"assistant|chatbot|\bmodel\b|\bai\b|\bgpt\b|\bbot\b", re.IGNORECASE)


def shared(first: str, second: str) -> tuple[int, int]:
    """How far two texts are alike, white space aside: characters of each.

    A run of white space may stand against another or against nothing, but only between characters that are alike.
    """
    here = there = 0
    matched = (0, 0)
    while here < len(first) and there < len(second):
        if first[here] == second[there]:
            here, there = here + 1, there + 1
            matched = (here, there)
        elif first[here].isspace():
            here += 1
        elif second[there].isspace():
            there += 1
        else:
            break
    if not first[matched[0] :].strip():  # what is left of the prompt is white space that the past does not have
        return len(first), matched[1]
    return matched


def opened_thought(header: str) -> int:
    """Where in a turn's header a thought is opened (`<think>`), or closed at once; its length where none is."""
    found = _THOUGHT.search(header)
    return found.start() if found else len(header)


def names_role(text: str) -> bool:
    """Whether a text names the assistant."""
    return bool(_ROLE.search(text))


def boundaries(text: str) -> Iterator[int]:
    """Where the atoms of a text begin."""
    for found in _ATOM.finditer(text):
        yield found.start()


def snapped(text: str, end: int) -> int:
    """The last end of an atom of `text` at or before `end`."""
    last = 0
    for found in _ATOM.finditer(text):
        if found.end() > end:
            break
        last = found.end()
    return last


def controls(text: str) -> list[str]:
    """The tags and control tokens of a text, in order."""
    return _CONTROL.findall(text)


def leading_controls(text: str) -> str:
    """The tags and control tokens that a text begins with, adjacent ones."""
    end = 0
    while found := _CONTROL.match(text, end):
        end = found.end()
    return text[:end]


@dataclass(frozen=True)
class Overlap:
    """What a prompt has already written of a turn.

    Attributes:
        length: Characters of the turn's text.
        rest: What the prompt goes on with, where the turn goes on otherwise.
    """

    length: int
    rest: str = ""


def overlap(prompt: str, turn: str, lead: str) -> Overlap:
    """How far the end of a prompt reaches into a turn.

    Args:
        prompt: The end of the prompt, from the last text of the data on.
        turn: The turn's text, from where the message before it ends or earlier.
        lead: What stands between the last text of the data before the turn and the turn.

    Where the prompt begins with the lead, the turn begins with what the prompt goes on with, or with the end of that;
    else with any end of the prompt. A prompt that goes on otherwise than the past (a thought that is begun for the
    model) counts as far as atoms are alike.
    """
    here, there = shared(prompt, lead)
    located = not lead[there:].strip()
    rest = prompt[here:] if located else prompt
    found = begun(rest, turn) if located else Overlap(0, rest)
    if not found.rest:
        return found
    ends = [found.rest[start:] for start in boundaries(found.rest)]
    if found.length:  # of `<think></think>` the past may have the second alone
        closed = max((_whole(end, turn[found.length :]) for end in ends if leading_controls(end)), default=0)
        return Overlap(found.length + closed, found.rest)
    if whole := max((_whole(end, turn) for end in ends), default=0):
        return Overlap(whole)
    if located:
        return found
    return max((begun(end, turn) for end in ends), key=lambda each: each.length, default=found)


def _whole(end: str, turn: str) -> int:
    """How much of a turn the end of a prompt is, to its own end; white space alone is nothing."""
    mine, theirs = shared(end, turn)
    return theirs if end.strip() and mine == len(end) else 0


def begun(rest: str, turn: str) -> Overlap:
    """How far the rest of a prompt is how a turn begins.

    It counts to its end, or up to an atom if it goes on with a control token, or one or the role's name is alike.
    """
    mine, theirs = shared(rest, turn)
    if mine == len(rest):
        return Overlap(theirs)
    mine = snapped(rest, mine)
    alike = rest[:mine]
    if alike.strip() and (controls(alike) or names_role(alike) or leading_controls(rest[mine:])):
        return Overlap(shared(alike, turn)[1], rest[mine:])
    return Overlap(0, rest)


def ends_so(text: str, end: str) -> bool:
    """Whether a text ends so, white space aside."""
    wanted = "".join(end.split())
    # As much of the text as can hold it, and more where there is more white space than in the end itself.
    size = 2 * len(end) + 64
    return "".join(text[-size:].split()).endswith(wanted) or "".join(text.split()).endswith(wanted)


def header_in(prompt: str, frame: str) -> str:
    """The longest stretch of a prompt's end that stands in a frame too and tells a turn's beginning; or nothing.

    It is cut at atoms. It names the role, if the prompt does, and a control token is in it, or it is the prompt's end.
    """
    edges = [*boundaries(prompt), len(prompt)]
    stretches = {prompt[first:last].strip() for first in edges for last in edges if first < last}
    end = prompt.rstrip()

    def tells(stretch: str) -> bool:
        named = names_role(stretch) or not names_role(prompt)
        return named and (bool(controls(stretch)) or end.endswith(stretch))

    fitting = [each for each in stretches if each in frame and tells(each)]
    return max(fitting, key=lambda each: (len(each), each), default="")
