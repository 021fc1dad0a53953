"""Splits and tasks."""

from __future__ import annotations

import pytest

from trainwright_ors.conformance.probe import Probe


def test_splits_have_names_and_types(ors: Probe) -> None:
    """`GET /{env}/splits` gives splits with a `name` of their own and a `type`: train, validation or test."""
    splits = ors.get(ors.path("splits")).json()
    assert splits
    assert all(isinstance(split["name"], str) and split["name"] for split in splits)
    assert {split["type"] for split in splits} <= {"train", "validation", "test"}
    assert len({split["name"] for split in splits}) == len(splits)


def test_tasks_are_counted(ors: Probe) -> None:
    """`POST /{env}/num_tasks` gives their number."""
    number = ors.of_tasks("num_tasks").json()["num_tasks"]
    assert isinstance(number, int)
    assert number > 0


def test_all_tasks_are_as_many_as_counted(ors: Probe) -> None:
    """`POST /{env}/tasks` gives all tasks, which are objects, or says with 400 that it does not list them."""
    if ors.number() > 100_000:
        pytest.skip("the split is too large to be listed here")
    response = ors.of_tasks("tasks")
    if response.status_code == 400:
        pytest.skip("the environment does not list its tasks")
    tasks = response.json()["tasks"]
    assert all(isinstance(task, dict) for task in tasks)
    assert len(tasks) == ors.number()


def test_a_task_is_found_by_its_index(ors: Probe) -> None:
    """`POST /{env}/task` gives an object, for the first index and for the last."""
    for index in (0, ors.number() - 1):
        response = ors.of_tasks("task", index=index)
        assert response.status_code == 200
        assert isinstance(response.json()["task"], dict)


def test_a_task_is_the_same_each_time(ors: Probe) -> None:
    """The same index gives the same task."""
    first, second = (ors.of_tasks("task", index=0).json()["task"] for _ in range(2))
    assert first == second


def test_a_range_gives_its_tasks(ors: Probe) -> None:
    """`POST /{env}/task_range` gives the tasks from `start` to `stop`, the latter excluded, as `/task` gives them."""
    stop = min(ors.number(), 2)
    tasks = ors.of_tasks("task_range", start=0, stop=stop).json()["tasks"]
    assert tasks == [ors.of_tasks("task", index=index).json()["task"] for index in range(stop)]


def test_a_range_ends_with_the_split(ors: Probe) -> None:
    """A range that goes on behind the last task ends there; one that is empty gives nothing."""
    last = ors.number() - 1
    assert len(ors.of_tasks("task_range", start=last, stop=last + 9).json()["tasks"]) == 1
    assert ors.of_tasks("task_range", start=1, stop=0).json()["tasks"] == []


def test_an_index_behind_the_last_is_refused(ors: Probe) -> None:
    """An index that no task has is answered with 400."""
    assert ors.of_tasks("task", index=ors.number()).status_code == 400


def test_an_unknown_split_is_refused(ors: Probe) -> None:
    """A split that there is not is answered with 400, by every endpoint of tasks."""
    for last, more in (("num_tasks", {}), ("task", {"index": 0}), ("task_range", {"start": 0, "stop": 1})):
        assert ors.post(ors.path(last), {"split": "no such split", **more}).status_code == 400


def test_unknown_keys_are_refused(ors: Probe) -> None:
    """A body with a key that the endpoint does not know is answered with 422."""
    assert ors.of_tasks("num_tasks", surprise=1).status_code == 422
