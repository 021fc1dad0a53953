"""What may stand beside `name: ors`, and what is said of what may not."""

import subprocess
import sys

import pytest
from pydantic import ValidationError

from trainwright_ors.settings import Settings, TaskSource

URL = "http://localhost:8000"


def test_one_environment_is_a_mix_of_one():
    assert Settings(url=URL, environment="a", num_tasks=3).sources == (TaskSource(environment="a", num_tasks=3),)


def test_each_environment_of_a_mix_is_evaluated_once():
    settings = Settings(
        url=URL, mix=[{"environment": "a"}, {"environment": "b"}, {"environment": "a", "split": "x"}], eval_split="test"
    )
    assert [(source.environment, source.split) for source in settings.eval_sources] == [("a", "test"), ("b", "test")]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({}, "give `url`, or `target`"),
        ({"url": URL, "reward": "median"}, "sum"),
        ({"url": URL, "num_tasks": 0}, "greater than or equal to 1"),
        ({"url": URL, "num_tasks": 2, "indices": [1]}, "keep one"),
        ({"url": URL, "indices": [-1]}, "from 0 on"),
        ({"url": URL, "indices": []}, "from 0 on"),
        ({"url": URL, "environment": "a", "mix": [{"environment": "b"}]}, "takes the place of `environment`"),
        ({"url": URL, "mix": [{"weight": 1}, {}]}, "a `weight`, or none"),
        ({"url": URL, "mix": [{"weight": float("inf")}]}, "finite"),
        ({"url": URL, "deadlines": {"totl": 3}}, "unknown deadline 'totl'; known: connect"),
        ({"url": URL, "deadlines": {"total": 0}}, "positive"),
        ({"url": URL, "eval_num_tasks": 3}, "needs `eval_split`"),
        ({"url": URL, "api_key": "sk-1"}, "Extra inputs"),
        ({"url": URL, "no_reward": float("nan")}, "finite"),
    ],
)
def test_what_cannot_be_is_refused(wrong, said):
    with pytest.raises(ValidationError, match=said):
        Settings(**wrong)


def test_validation_imports_nothing_heavy():
    heavy = "('torch', 'trl', 'httpx', 'numpy')"
    check = f"import trainwright_ors.provider, sys; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True).stdout == "[]\n"
