"""Small data sets of ragged rows, one kind for each shape of data that a training method takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from trainwright.testing.sentences import ANSWERS, QUESTIONS, STORIES, SYSTEM_PROMPTS, WRONG_ANSWERS

Row = dict[str, Any]
Message = dict[str, str]


def tiny_dataset(kind: str, rows: int = 8, *, seed: int = 0, system: bool = False) -> list[Row]:
    """Return rows of one kind, the same for the same seed in every process.

    | kind                | columns                                     | method                   |
    |---------------------|---------------------------------------------|--------------------------|
    | `messages`          | `messages`: one to three rounds             | sft, gkd                 |
    | `prompt_completion` | `prompt`, `completion`: plain strings       | sft                      |
    | `text`              | `text`                                      | sft                      |
    | `pairs`             | `prompt`, `chosen`, `rejected`: messages    | dpo, reward              |
    | `unpaired`          | `prompt`, `completion`: messages; `label`   | kto                      |
    | `prompts`           | `prompt`: messages; `answer`: a string      | grpo, rloo, distillation |
    | `vision`            | `images`: one or two; `messages`: one round | sft                      |

    Args:
        kind: The shape of a row.
        rows: How many; fewer rows are a beginning of more.
        seed: Seed of the choices.
        system: Begin every other conversation with a system turn; some families' templates refuse those.

    Raises:
        ValueError: Where there is no such kind; the message lists those there are.
    """
    if kind not in MAKERS:
        raise ValueError(f"no kind {kind!r}; there are {', '.join(MAKERS)}")
    random = Random(f"{kind} {seed}")
    made = [MAKERS[kind](random, index) for index in range(rows)]
    if system:
        for row in made[::2]:
            _add_system_turn(row, random)
    return made


def _say(role: str, content: str) -> Message:
    return {"role": role, "content": content}


def _round(random: Random) -> list[Message]:
    """A question and its answer."""
    chosen = random.randrange(len(QUESTIONS))
    return [_say("user", QUESTIONS[chosen]), _say("assistant", ANSWERS[chosen])]


def _messages(random: Random, index: int) -> Row:
    return {"messages": [turn for _ in range(1 + index % 3) for turn in _round(random)]}


def _prompt_completion(random: Random, index: int) -> Row:
    question, answer = _round(random)
    return {"prompt": question["content"] + "\n", "completion": answer["content"]}


def _text(random: Random, index: int) -> Row:
    return {"text": " ".join(random.sample(STORIES, 1 + index % 3))}


def _pairs(random: Random, index: int) -> Row:
    question, answer = _round(random)
    rejected = _say("assistant", random.choice(WRONG_ANSWERS))
    return {"prompt": [question], "chosen": [answer], "rejected": [rejected]}


def _unpaired(random: Random, index: int) -> Row:
    pair = _pairs(random, index)
    label = index % 2 == 0  # both labels in any batch of two
    return {"prompt": pair["prompt"], "completion": pair["chosen" if label else "rejected"], "label": label}


def _prompts(random: Random, index: int) -> Row:
    question, answer = _round(random)
    return {"prompt": [question], "answer": answer["content"]}


def _vision(random: Random, index: int) -> Row:
    from trainwright.testing.images import tiny_image

    images = [
        tiny_image(random.randrange(1_000), width=random.choice((28, 56)), height=28) for _ in range(1 + index % 2)
    ]
    return {"images": images, "messages": _round(random)}


def _add_system_turn(row: Row, random: Random) -> None:
    """Put a system turn before a row's first turn, if the row has turns."""
    turns = row.get("messages", row.get("prompt"))
    if isinstance(turns, list):
        turns.insert(0, _say("system", random.choice(SYSTEM_PROMPTS)))


MAKERS: Mapping[str, Callable[[Random, int], Row]] = {
    "messages": _messages,
    "prompt_completion": _prompt_completion,
    "text": _text,
    "pairs": _pairs,
    "unpaired": _unpaired,
    "prompts": _prompts,
    "vision": _vision,
}
"""Kind → what makes one row of it."""
