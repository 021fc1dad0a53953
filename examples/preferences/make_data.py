"""Write the data of both runs: a leisure centre's desk answers questions from a notice, and people judge its answers.

    Notice: Pottery class, Tuesday at 18:30, room 4, 12 euros. When is it?
    In short: Tuesday at 18:30.                                                          preferred
    Great question! The pottery class is on Tuesday at 18:30! Anything else I can do?    chatty
    The pottery class is on Tuesday at 18:30.                                            plain
    In short: room 4.                                                                    beside the point

pairs.jsonl has a preferred answer beside one of the three others; thumbs.jsonl has single answers, up for preferred
ones and down for the others. The courses of the held-out files occur in no row that is trained on.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

SEED = 11
PAIRS, THUMBS, HELDOUT, QUESTIONS = 192, 192, 36, 24
FOLDER = Path(__file__).parent

SYSTEM = "Answer from the notice."
COURSES = (
    "Pottery class", "Chess club", "Swimming lesson", "Book circle", "Yoga group", "Choir practice", "Baking course",
    "Dance evening", "Photo workshop", "Guitar lesson", "Sewing circle", "First aid course", "Spanish class",
    "Film night", "Judo training", "Garden club", "Drawing class", "Climbing course", "Quiz night", "Theatre group",
    "Knitting circle", "Bridge club", "Drum lesson", "Cycling tour", "Poetry evening", "Table tennis", "Piano lesson",
    "Repair workshop",
)  # fmt: skip
STATED = {"when": "is on", "where": "is in", "price": "costs"}
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
ASKED = {
    "when": ("When is it?", "What day and time is that?", "When does it take place?"),
    "where": ("Where is it?", "Which room is that in?", "Where does it take place?"),
    "price": ("How much is it?", "What does it cost?", "What is the price?"),
}
OPENINGS = ("Great question!", "Thanks for asking!", "Hi there!", "Sure thing!", "Of course!")
CLOSINGS = ("Anything else I can do?", "Have a wonderful day!", "Let me know if you need more!", "Hope to see you!")
FLAWS = ("chatty", "plain", "beside the point")


class Enquiry(NamedTuple):
    """A notice, and what somebody asks about it."""

    course: str
    facts: dict[str, str]
    asked: str
    question: str

    def prompt(self) -> list[dict[str, str]]:
        """As chat messages."""
        notice = ", ".join((self.course, *self.facts.values()))
        turns = {"system": SYSTEM, "user": f"Notice: {notice}. {self.question}"}
        return [{"role": role, "content": content} for role, content in turns.items()]

    def preferred(self) -> str:
        """What is asked for, and no more."""
        return f"In short: {self.facts[self.asked]}."

    def flawed(self, flaw: str, rng: random.Random) -> str:
        """An answer that is liked less: one of `FLAWS`."""
        sentence = f"The {self.course[0].lower()}{self.course[1:]} {STATED[self.asked]} {self.facts[self.asked]}"
        if flaw == "chatty":
            return f"{rng.choice(OPENINGS)} {sentence}! {rng.choice(CLOSINGS)}"
        if flaw == "plain":
            return f"{sentence}."
        other = rng.choice([fact for name, fact in self.facts.items() if name != self.asked])
        return f"In short: {other}."


def enquiry(courses: list[str], rng: random.Random) -> Enquiry:
    """A notice about one of these courses, and a question."""
    facts = {
        "when": f"{rng.choice(DAYS)} at {rng.randrange(9, 21)}:{rng.choice(('00', '15', '30', '45'))}",
        "where": f"room {rng.randrange(1, 30)}",
        "price": f"{rng.randrange(2, 60)} euros",
    }
    asked = rng.choice(list(ASKED))
    return Enquiry(rng.choice(courses), facts, asked, rng.choice(ASKED[asked]))


def said(answer: str) -> list[dict[str, str]]:
    """An answer as chat messages."""
    return [{"role": "assistant", "content": answer}]


def pairs(courses: list[str], rows: int, rng: random.Random) -> Iterator[dict[str, Any]]:
    """A preferred answer beside a flawed one; the flaws in turn."""
    for number in range(rows):
        asked = enquiry(courses, rng)
        rejected = asked.flawed(FLAWS[number % len(FLAWS)], rng)
        yield {"prompt": asked.prompt(), "chosen": said(asked.preferred()), "rejected": said(rejected)}


def thumbs(courses: list[str], rows: int, rng: random.Random) -> Iterator[dict[str, Any]]:
    """Single answers, every other one preferred."""
    for number in range(rows):
        asked, liked = enquiry(courses, rng), number % 2 == 0
        answer = asked.preferred() if liked else asked.flawed(FLAWS[number // 2 % len(FLAWS)], rng)
        yield {"prompt": asked.prompt(), "completion": said(answer), "label": liked}


def questions(courses: list[str], rows: int, rng: random.Random) -> Iterator[dict[str, Any]]:
    """What is asked before and after training, with the preferred answer."""
    for _ in range(rows):
        asked = enquiry(courses, rng)
        yield {"messages": asked.prompt() + said(asked.preferred())}


def main() -> None:
    """Write all files beside this script."""
    rng = random.Random(SEED)
    courses = rng.sample(COURSES, len(COURSES))
    known, unseen = courses[7:], courses[:7]
    files = {
        "pairs": pairs(known, PAIRS, rng),
        "thumbs": thumbs(known, THUMBS, rng),
        "heldout-pairs": pairs(unseen, HELDOUT, rng),
        "heldout-thumbs": thumbs(unseen, HELDOUT, rng),
        "questions": questions(unseen, QUESTIONS, rng),
    }
    for name, rows in files.items():
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (FOLDER / f"{name}.jsonl").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
