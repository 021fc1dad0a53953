"""Lists of tasks are read while they arrive, and what is no list of tasks is refused."""

import json
import random

import pytest

from trainwright_ors.client.task_list import TaskList, TaskListError

TASKS = [
    {"id": 1, "text": 'a\u2028b ]},{[ \\" é 😀'},
    {},
    {"deep": [[{"x": [1, 2.5e3, -0, True, None]}]], "tasks": [1]},
    {"long": "x" * 5000},
]


def read(text, size, limit=100_000):
    data = text if isinstance(text, bytes) else text.encode()
    reader = TaskList(limit)
    found = [task for at in range(0, len(data), size) for task in reader.feed(data[at : at + size])]
    return found + reader.end()


@pytest.mark.parametrize("size", [1, 2, 5, 1000, 10**6])
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("around", [{}, {"env_name": "a", "n": 12}])
@pytest.mark.parametrize("first", [True, False])
def test_tasks_do_not_depend_on_how_the_answer_is_cut(size, indent, ascii_only, around, first):
    answer = {"tasks": TASKS, **around} if first else {**around, "tasks": TASKS}
    assert read(json.dumps(answer, indent=indent, ensure_ascii=ascii_only), size) == TASKS


def test_tasks_come_before_the_answer_ends():
    whole = json.dumps({"tasks": [{"n": n} for n in range(1000)]}).encode()
    reader = TaskList(100)
    assert len(reader.feed(whole[: len(whole) // 2])) > 400


def test_an_empty_list_is_a_list():
    assert read('{"tasks": []}', 3) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "too early"),
        ("[]", "'{'"),
        ('{"tasks": {}}', r"'\['"),
        ('{"tasks": [1]}', "not an object"),
        ('{"tasks": [{}}', "due"),
        ('{"tasks": [{}], "a"}', "due"),
        ('{"tasks": [{} {}]}', "due"),
        ('{"tasks": [{"a": 1}', "too early"),
        ('{"tasks": [{"a": }]}', "too early"),
        ('{"env_name": "a"}', "no list"),
        ('{"tasks": []} more', "follows"),
        (b'{"tasks": [{"a": "\xff"}]}', "UTF-8"),
        ('{"tasks": [{"a": ' + "1" * 5000 + "}]}", "too long"),
        ('{"tasks": [' + '{"a":' * 30_000, "too deep|too early|longer"),
    ],
)
@pytest.mark.parametrize("size", [1, 10**6])
def test_what_is_no_list_of_tasks_is_refused(text, said, size):
    with pytest.raises(TaskListError, match=said):
        read(text, size)


def test_one_task_beyond_the_limit_is_refused_while_it_arrives():
    reader = TaskList(1000)
    reader.feed(b'{"tasks": [{"a": "' + b"x" * 900)
    with pytest.raises(TaskListError, match="1,000 characters"):
        reader.feed(b"x" * 1500)


def test_random_cuts_lose_nothing():
    chance = random.Random(3)
    data = json.dumps({"tasks": [{"n": n, "t": "é" * chance.randrange(40)} for n in range(300)]}).encode()
    for _ in range(20):
        reader, at, found = TaskList(10_000), 0, []
        while at < len(data):
            size = chance.randrange(1, 200)
            found += reader.feed(data[at : at + size])
            at += size
        assert [task["n"] for task in found + reader.end()] == list(range(300))
