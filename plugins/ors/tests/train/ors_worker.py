"""A rollout worker's part of AsyncGRPO, in a module that a spawned process finds however pytest was begun."""

from __future__ import annotations

import inspect
import pickle
from concurrent.futures import ThreadPoolExecutor


def play(pickled, results):
    """A rollout worker's part, in the names and the order that it has them in."""
    dataset, factory = pickle.loads(pickled)
    rows = list(dataset)
    environments = [factory() for _ in rows]
    with ThreadPoolExecutor(len(rows)) as pool:
        shown = list(pool.map(lambda pair: pair[0].reset(**pair[1]), zip(environments, rows, strict=True)))
        tools = [found(environment) for environment in environments]
        sums = list(pool.map(lambda own: str(own["add"](a=2, b=3)), tools))
        list(pool.map(lambda own: own["give"](reward=0.5), tools))
        scores = list(pool.map(lambda environment: environment.get_reward(), environments))
    results.put((shown, sums, scores, [environment.get_reward() for environment in environments]))


def found(environment):
    names = [name for name, _ in inspect.getmembers(type(environment), inspect.isfunction)]
    tools = [getattr(environment, name) for name in names if name not in ("reset", "get_reward") and name[0] != "_"]
    return {tool.__name__: tool for tool in tools}


def begin_only(pickled):
    dataset, factory = pickle.loads(pickled)
    assert factory().reset(**dataset[0]).startswith("What is")
