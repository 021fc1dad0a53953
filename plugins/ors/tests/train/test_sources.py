"""Splits on servers that count no tasks, and what a run remembers of a split."""

import json
import pickle
from contextlib import contextmanager

import psutil
import pytest
from ors_scripted import say, trainer
from trl import GRPOTrainer

from trainwright_ors.client import HttpRefused, OrsError, close_all, run
from trainwright_ors.sources import count_tasks, digest
from trainwright_ors.testing import CuttingProxy, FakeEnvironment, FakeServer, FakeTool, Output, faults

BY_INDEX = ("num_tasks", "task", "task_range")
TASKS = {"train": [{"n": n, "from": {"é": [None]}} for n in range(6)], "test": [{"n": 9}], "none": []}


@contextmanager
def serving(generation="openreward", tasks=TASKS, absent=BY_INDEX, code=404):
    """A server of which some endpoints are absent; its sessions are ended before it is."""
    give = FakeTool("give", lambda given: Output("given", reward=1.0, finished=True))
    environment = FakeEnvironment("oldenv", [give], tasks, prompt=lambda task: f"Task {json.dumps(task)}")
    server = FakeServer([environment], generation=generation)
    for endpoint in absent:
        server.inject(endpoint, faults.status(code))
    with server:
        yield server
        close_all()


@pytest.mark.parametrize("generation", ["ors", "openreward"])
@pytest.mark.parametrize("code", [404, 405, 501])
def test_where_no_tasks_are_counted_they_are_listed_and_begun_by_their_specification(spec_of, generation, code):
    with serving(generation, code=code) as server:
        spec = spec_of(server, shuffle=False)
        rows = list(spec.dataset)
        assert [row["task_index"] for row in rows] == list(range(6))
        for row in rows:
            assert spec.factory().reset(**row) == f"Task {json.dumps(TASKS['train'][row['task_index']])}"
        created = [request.json() for request in server.requests if request.segments == ["create"]]
        assert [body["task_spec"] for body in created[-6:]] == TASKS["train"]
        assert not [body for body in created if "index" in body]
        assert len([request for request in server.requests if request.segments[-1] == "tasks"]) == 1


def test_such_a_split_is_trained_on_chosen_from_and_pickled(spec_of, tmp_path):
    with serving() as server:
        spec = spec_of(server, indices=[5, 2], eval_split="test")
        copy = pickle.loads(pickle.dumps(spec.dataset))
        assert [json.loads(row["task_json"])["n"] for row in copy] == [row["task_index"] for row in spec.dataset]
        assert {row["task_index"] for row in copy} == {5, 2}
        made = trainer(GRPOTrainer, lambda prompt, turn: say("give") if turn == 0 else "done", spec, tmp_path)
        made.train()
        assert made.rewards_seen == [[1.0]] * 4
        spec.close()
        assert not server.sessions


def test_answers_are_scored_by_specification_too(spec_of):
    with serving() as server:
        spec = spec_of(server, answer_tool={"name": "give", "arg": None})
        columns = spec.dataset[:3]
        prompts = columns.pop("prompt")
        assert spec.reward_func(prompts=prompts, completions=["yes"] * 3, **columns) == [1.0] * 3


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"indices": [6]}, "environment 'oldenv'.*'train' has 6 tasks, and no index 6"),
        ({"split": "none"}, "environment 'oldenv'.*'none' has no tasks"),
    ],
)
@pytest.mark.parametrize("absent", [BY_INDEX, ()])
def test_what_a_split_does_not_have_is_told_either_way(spec_of, settings, said, absent):
    with serving(absent=absent) as server, pytest.raises(OrsError, match=said):
        _ = spec_of(server, **settings).dataset


def test_a_server_that_tells_of_no_tasks_at_all_is_refused_by_environment_and_split(spec_of):
    said = r"environment 'oldenv', task train\[\*\].*HTTP 404"
    with serving(absent=(*BY_INDEX, "tasks")) as server, pytest.raises(HttpRefused, match=said):
        _ = spec_of(server).dataset


@pytest.mark.parametrize("code", [400, 401, 500])
def test_a_server_that_fails_to_count_is_not_asked_for_all_tasks(spec_of, code):
    with serving(absent=("num_tasks",), code=code) as server:
        with pytest.raises(HttpRefused, match=r"environment 'oldenv', task train\[\*\]"):
            _ = spec_of(server).dataset
        assert not [request for request in server.requests if request.segments[-1] == "tasks"]


def test_a_digest_is_of_the_first_and_the_last_task(spec_of):
    def of(tasks, absent=()):
        with serving(tasks={"train": tasks}, absent=absent) as server:
            client = spec_of(server).client
            return run(digest(client, run(count_tasks(client, "oldenv", "train"))))

    tasks = TASKS["train"]
    assert of(tasks) == of(list(tasks)) == of(tasks, BY_INDEX)
    assert len({of(tasks), of(tasks[1:]), of([*tasks[:5], {"n": 7}]), of(tasks[:1])}) == 4
    assert of(tasks, ("task",)) == ""


def resident():
    return psutil.Process().memory_info().rss


def test_a_hundred_thousand_tasks_take_a_few_requests_and_little_memory(real, spec_of):
    with CuttingProxy(real.url, lambda chance: None) as proxy:  # cuts nothing, and counts
        spec, before = spec_of(proxy, "bigenv", ahead=0), resident()
        seen = [spec.dataset[index]["task_index"] for index in range(64)]
        assert len(set(seen)) == 64
        assert len(spec.dataset) == 100_000
        assert resident() - before < 150e6
        assert proxy.connections < 12
