"""Write train.jsonl and heldout.jsonl: spoken café orders, and the ticket that each becomes.

A ticket is checkable to the letter: the table, then each line's count, size (S, M, L) and drink.

    Hi, could we get two large lattes and a small mocha at table fourteen, please?
    #14 2L latte + 1S mocha

One in six combinations of count, size and drink is reserved for the held-out orders, which hold no other; so none of
their lines was seen in training, and repeating what was learnt by heart scores nothing.
"""

from __future__ import annotations

import json
import random
from itertools import product
from pathlib import Path
from typing import NamedTuple

SEED = 7
TRAIN, HELDOUT = 320, 48
FOLDER = Path(__file__).parent

SYSTEM = "Write the ticket."
COUNTS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}
SIZES = {"S": "small", "M": "medium", "L": "large"}
DRINKS = ("latte", "mocha", "espresso", "cappuccino", "americano", "macchiato", "cocoa", "chai", "cortado", "lemonade")
TENS = {20: "twenty", 30: "thirty", 40: "forty"}
UNITS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
PHRASES = (
    "Hi, {lines} for table {table}, please.",
    "Could we get {lines} at table {table}?",
    "Table {table} would like {lines}.",
    "{lines}, and that's for table {table}. Thanks!",
    "We're at table {table} and we'll have {lines}.",
    "Can you bring {lines} over to table {table}?",
)


class Line(NamedTuple):
    """One line of an order."""

    count: int
    size: str
    drink: str

    def spoken(self, rng: random.Random) -> str:
        """As a guest says it: `two large lattes`, or `a small mocha`."""
        number = "a" if self.count == 1 and rng.random() < 0.5 else COUNTS[self.count]
        return f"{number} {SIZES[self.size]} {self.drink}{'s' if self.count > 1 else ''}"

    def ticket(self) -> str:
        """As the kitchen reads it: `2L latte`."""
        return f"{self.count}{self.size} {self.drink}"


def number_word(number: int) -> str:
    """0 to 49 in words."""
    if number < len(UNITS):
        return UNITS[number]
    tens, unit = number // 10 * 10, number % 10
    return TENS[tens] + (f"-{UNITS[unit]}" if unit else "")


def conversation(lines: list[Line], rng: random.Random) -> dict[str, list[dict[str, str]]]:
    """One order and its ticket, as a row of chat messages."""
    table = rng.randrange(1, 50)
    said = " and ".join(line.spoken(rng) for line in lines)
    order = rng.choice(PHRASES).format(lines=said, table=number_word(table))
    turns = {
        "system": SYSTEM,
        "user": order[0].upper() + order[1:],
        "assistant": f"#{table} " + " + ".join(line.ticket() for line in lines),
    }
    return {"messages": [{"role": role, "content": content} for role, content in turns.items()]}


def make(lines: list[Line], rows: int, rng: random.Random) -> list[dict[str, list[dict[str, str]]]]:
    """Orders of two of these lines each, no two alike."""
    found: dict[str, dict[str, list[dict[str, str]]]] = {}
    while len(found) < rows:
        row = conversation(rng.sample(lines, 2), rng)
        found.setdefault(row["messages"][1]["content"], row)
    return list(found.values())


def main() -> None:
    """Write both files beside this script."""
    rng = random.Random(SEED)
    lines = [Line(*parts) for parts in product(COUNTS, SIZES, DRINKS)]
    rng.shuffle(lines)
    reserved = len(lines) // 6
    for name, some, rows in (("train", lines[reserved:], TRAIN), ("heldout", lines[:reserved], HELDOUT)):
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in make(some, rows, rng))
        (FOLDER / f"{name}.jsonl").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
