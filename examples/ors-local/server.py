"""The environment, served by ors-sdk: say in which country a city is, in one word. `python server.py [PORT]`.

The model answers in plain text; the trainer hands the text to the tool `answer`, which grades it and ends the episode.
"""

from __future__ import annotations

import random
import re
import sys
from typing import Any

from ors import Environment, Server, Split, TextBlock, ToolOutput, tool
from pydantic import BaseModel

CITIES = {
    "Australia": "Sydney Melbourne Brisbane Perth Adelaide",
    "Canada": "Toronto Montreal Vancouver Ottawa Calgary",
    "China": "Beijing Shanghai Shenzhen Wuhan Nanjing",
    "Egypt": "Cairo Alexandria Luxor Giza Aswan",
    "France": "Paris Lyon Marseille Bordeaux Toulouse",
    "Germany": "Berlin Munich Hamburg Dresden Leipzig",
    "Greece": "Athens Thessaloniki Heraklion Patras Sparta",
    "India": "Mumbai Delhi Chennai Kolkata Jaipur",
    "Ireland": "Dublin Cork Galway Limerick Waterford",
    "Italy": "Rome Milan Naples Venice Turin",
    "Japan": "Tokyo Osaka Kyoto Nagasaki Hiroshima",
    "Norway": "Oslo Bergen Trondheim Stavanger Narvik",
    "Poland": "Warsaw Krakow Gdansk Poznan Wroclaw",
    "Russia": "Moscow Kazan Omsk Irkutsk Novosibirsk",
    "Spain": "Madrid Barcelona Seville Valencia Granada",
    "Turkey": "Istanbul Ankara Izmir Antalya Bursa",
}


class Answer(BaseModel):
    """What the model wrote."""

    text: str


class WhichCountry(Environment):
    """A graded question of one turn."""

    @classmethod
    def list_splits(cls) -> list[Split]:
        """A split to train on, and one to test on."""
        return [Split(name="train", type="train"), Split(name="test", type="test")]

    @classmethod
    def list_tasks(cls, split: str) -> list[dict[str, Any]]:
        """Always the same tasks; ors-sdk asks for them again at each index."""
        return tasks(split)

    def get_prompt(self) -> list[TextBlock]:
        """The question."""
        return [TextBlock(text=f"Country of {self.task_spec['city']}?")]

    @tool
    def answer(self, args: Answer) -> ToolOutput:
        """Grade the answer, which ends the episode."""
        reward = score(args.text, self.task_spec["country"])
        return ToolOutput(blocks=[TextBlock(text=f"score {reward:.2f}")], reward=reward, finished=True)


def score(text: str, country: str) -> float:
    """The share of the answer's words that the country's name, once, makes up: 1 for the name alone, 0 without it."""
    written = re.findall(r"\w+", text)
    return 1 / len(written) if country in written else 0.0


def tasks(split: str) -> list[dict[str, Any]]:
    """Four cities of each country to train on, the fifth to test on."""
    chosen = {"train": slice(4), "test": slice(4, None)}[split]
    found = [{"city": city, "country": country} for country, all_ in CITIES.items() for city in all_.split()[chosen]]
    random.Random(split).shuffle(found)
    return found


if __name__ == "__main__":
    Server([WhichCountry]).run(host="127.0.0.1", port=int(sys.argv[1]) if len(sys.argv) > 1 else 8000)
