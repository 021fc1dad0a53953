"""The environment, served by ors-sdk: write a list of words again, without one of them. `python server.py [PORT]`.

The model answers in plain text; the trainer hands the text to the tool `answer`, which grades it and ends the episode.
"""

from __future__ import annotations

import random
import re
import sys
from collections import Counter
from functools import cache
from typing import Any

from ors import Environment, Server, Split, TextBlock, ToolOutput, tool
from pydantic import BaseModel

NOUNS = """
cat dog horse cow pig goat sheep lion tiger bear wolf fox mouse rabbit duck frog apple banana bread cheese rice soup
pasta pizza cake lemon grape peach onion potato carrot egg shirt hat shoe sock coat dress jacket skirt glove scarf boot
belt sweater jeans tie vest hammer saw drill wrench shovel axe rake ladder chisel broom knife rope
"""
SIZES = {"train": 400, "test": 80}


class Answer(BaseModel):
    """What the model wrote."""

    text: str


class LeaveOut(Environment):
    """A graded request of one turn."""

    @classmethod
    def list_splits(cls) -> list[Split]:
        """A split to train on, and one to test on."""
        return [Split(name="train", type="train"), Split(name="test", type="test")]

    @classmethod
    def list_tasks(cls, split: str) -> list[dict[str, Any]]:
        """Always the same tasks; ors-sdk asks for them again at each index."""
        return _tasks(split)

    def get_prompt(self) -> list[TextBlock]:
        """The request."""
        words, leave_out = ", ".join(self.task_spec["words"]), self.task_spec["leave_out"]
        return [TextBlock(text=f"Words: {words}.\nWrite these words again without {leave_out}, separated by commas.")]

    @tool
    def answer(self, args: Answer) -> ToolOutput:
        """Grade the answer, which ends the episode."""
        reward = score(args.text, self.task_spec["words"], self.task_spec["leave_out"])
        return ToolOutput(blocks=[TextBlock(text=f"score {reward:.2f}")], reward=reward, finished=True)


def score(text: str, words: list[str], leave_out: str) -> float:
    """The F1 of an answer's words: 1 where it has those asked for, once each, and no other."""
    written = Counter(re.findall(r"\w+", text.lower()))
    wanted = Counter(word for word in words if word != leave_out)
    return 2 * (written & wanted).total() / (written.total() + wanted.total())


@cache
def _tasks(split: str) -> list[dict[str, Any]]:
    chance = random.Random(split)
    return [_task(chance) for _ in range(SIZES[split])]


def _task(chance: random.Random) -> dict[str, Any]:
    words = chance.sample(NOUNS.split(), 5)
    return {"words": words, "leave_out": chance.choice(words)}


if __name__ == "__main__":
    Server([LeaveOut]).run(host="127.0.0.1", port=int(sys.argv[1]) if len(sys.argv) > 1 else 8000)
