"""What a hostile or broken server sends is not evaluated, not waited for, and is refused by name."""

import asyncio
import pickle

import pytest
from ors_keyed import client
from ors_raw import head, reply

from trainwright_ors.client import (
    Deadline,
    Deadlines,
    EnvironmentFailed,
    Limits,
    OrsError,
    OutcomeUnknown,
    ProtocolError,
    ToolFailed,
    Toolset,
    ToolSpec,
    Unreachable,
    iterate,
    run,
)
from trainwright_ors.client.errors import Place
from trainwright_ors.client.types import TerminalTool


def tool(name="x", **schema):
    return {"name": name, "description": "d", "input_schema": {"type": "object", **schema}}


@pytest.mark.parametrize("name", ["../../admin", "a/b", "a?b=c", "a#b", "é \u2028", "%2e%2e", "A\nB"])
def test_an_environment_s_name_stays_one_segment_of_the_path(raw, name):
    raw.answers["list_environments"] = lambda asked: reply([name])
    run(client(raw).tools(None))
    path = raw.asked[-1].path
    assert path.endswith("/tools")
    assert path.count("/") == 2
    assert "?" not in path
    assert "#" not in path


@pytest.mark.parametrize("name", [".", ".."])
def test_a_name_that_leads_elsewhere_is_refused(raw, name):
    raw.answers["list_environments"] = lambda asked: reply([name])
    with pytest.raises(OrsError, match="no name"):
        run(client(raw).tools(name))


@pytest.mark.parametrize("answer", [[], {}, [1], [""], "mathenv", None])
def test_what_is_no_list_of_environments_is_refused(raw, answer):
    raw.answers["list_environments"] = lambda asked: reply(answer)
    with pytest.raises(ProtocolError, match="environments"):
        run(client(raw).describe())


def test_which_environment_is_meant_is_never_guessed(raw):
    assert run(client(raw).resolve(None)) == "mathenv"
    raw.answers["list_environments"] = lambda asked: reply(["a", "b"])
    assert run(client(raw).resolve("B")) == "b"
    with pytest.raises(OrsError, match=r"several environments\n.*a, b"):
        run(client(raw).resolve(None))
    with pytest.raises(OrsError, match=r"no environment 'c'\n.*a, b"):
        run(client(raw).resolve("c"))


def test_tools_come_verbatim_whatever_they_are_called_and_say(raw):
    cyclic = {"$defs": {"n": {"properties": {"next": {"$ref": "#/$defs/n"}}}}, "$ref": "#/$defs/n"}
    entries = [
        tool("reset"),
        tool("__init__"),
        tool("ok\n"),
        tool("fs.read-file", properties={"from": {"type": ["string", "null"], "enum": ["a", None]}}),
        {"name": "cyclic", "description": None, "input_schema": cyclic},
        {
            "name": "boolean",
            "description": '"""\nimport os\nArgs:\n    x: (choices: a',
            "input_schema": True,
        },
        {"name": "none", "input_schema": None},
        {"name": "none"},
    ]
    raw.answers["tools"] = lambda asked: reply(
        {"tools": entries, "terminal_tool": {"name": "say", "arg": "text", "description": "d"}}
    )
    found = run(client(raw).tools("mathenv"))
    assert [spec.name for spec in found.tools] == [entry["name"] for entry in entries]
    assert [spec.input_schema for spec in found.tools] == [entry.get("input_schema") for entry in entries]
    assert found.tools[5].description == entries[5]["description"]
    assert found.tools[4].description == ""
    assert found.terminal == TerminalTool("say", "text", "d")
    assert isinstance(found, Toolset)
    assert isinstance(found.tools[0], ToolSpec)


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {},
        {"tools": {}},
        {"tools": [1]},
        {"tools": [{"description": "nameless"}]},
        {"tools": [{"name": ""}]},
        {"tools": [{"name": "x", "input_schema": "object"}]},
        {"tools": [{"name": "x", "description": 3}]},
        {"tools": [], "terminal_tool": "say"},
        {"tools": [], "terminal_tool": {"name": "say", "arg": 3}},
    ],
)
def test_what_are_no_tools_is_refused_by_the_environment_s_name(raw, answer):
    raw.answers["tools"] = lambda asked: reply(answer)
    with pytest.raises(ProtocolError, match="'mathenv'"):
        run(client(raw).tools("mathenv"))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (reply(b"[" * 300_000), "JSON"),
        (reply(b'{"a": ' + b"9" * 5000 + b"}"), "JSON"),
        (reply(b"\xff\xfe"), "JSON"),
        (reply(b"<html>log in</html>", kind="text/html"), "'text/html'.*\n.*URL of an ORS server"),
        (reply(b"x" * 2_000_000), "1,000,000 bytes"),
    ],
)
def test_answers_that_are_huge_deep_or_no_json_are_refused(raw, answer, said):
    raw.answers["tools"] = lambda asked: answer
    raw.answers["version"] = lambda asked: reply({"version": "1"})
    with pytest.raises(ProtocolError, match=said):
        run(client(raw, limits=Limits(answer=1_000_000)).tools("mathenv"))


def test_an_answer_that_never_ends_or_never_begins_meets_the_deadline(raw):
    async def drips():
        yield head(kind="application/json")
        while True:
            yield b" "
            await asyncio.sleep(0.01)

    async def silent():
        await asyncio.sleep(30)
        yield b""

    for answer in (drips, silent):
        raw.answers["splits"] = lambda asked, answer=answer: answer()
        with pytest.raises(Deadline, match=r"'mathenv'.*its splits.*1 s"):
            run(client(raw).splits("mathenv"))


def test_an_answer_that_falls_silent_midway_is_asked_for_again(raw):
    async def half():
        yield head(kind="application/json") + b'[{"name": '
        await asyncio.sleep(30)

    said = iter([half()])
    raw.answers["splits"] = lambda asked: next(said, reply([{"name": "train", "type": "train"}]))
    assert [split.name for split in run(client(raw, deadlines=Deadlines(idle=0.3)).splits("mathenv"))] == ["train"]


def test_tasks_arrive_as_they_come_and_a_broken_list_is_an_error(raw):
    async def slow(*pieces):
        yield head(kind="application/json")
        for piece in pieces:
            yield piece
            await asyncio.sleep(0.05)

    whole = (b'{"tasks": [{"n": 1}, ', b'{"n": 2}', b'], "env_name": "mathenv"}')
    raw.answers["tasks"] = lambda asked: slow(*whole)
    assert list(iterate(client(raw).stream_tasks("mathenv", "train"))) == [[{"n": 1}], [{"n": 2}], []]
    raw.answers["tasks"] = lambda asked: slow(*whole[:2])
    with pytest.raises(ProtocolError, match=r"mathenv.*train\[\*\].*too early"):
        run(client(raw).tasks("mathenv", "train"))

    async def hangs():
        yield head(kind="application/json") + whole[0]
        await asyncio.sleep(30)

    raw.answers["tasks"] = lambda asked: hangs()
    with pytest.raises(Unreachable, match="broke off"):
        run(client(raw).tasks("mathenv", "train"))


@pytest.mark.parametrize("number", [-1, True, "3", None, 1.5])
def test_a_number_of_tasks_is_a_number(raw, number):
    raw.answers["num_tasks"] = lambda asked: reply({"num_tasks": number})
    with pytest.raises(ProtocolError, match="number of tasks"):
        run(client(raw).num_tasks("mathenv", "train"))


def test_a_range_of_tasks_is_no_longer_than_asked_for(raw):
    raw.answers["task_range"] = lambda asked: reply({"tasks": [{}] * 3})
    assert run(client(raw).task_range("mathenv", "train", 5, 8)) == [{}] * 3
    with pytest.raises(ProtocolError, match="3 tasks came where 2"):
        run(client(raw).task_range("mathenv", "train", 5, 7))
    with pytest.raises(ValueError, match="-1"):
        run(client(raw).task("mathenv", "train", -1))


def test_errors_cross_processes_with_all_that_they_say():
    place = Place("mathenv", "train[3]", "add")
    for error in (
        ToolFailed("no", place, reason="not_found", remedy="look"),
        EnvironmentFailed("boom", place, status=500),
        OutcomeUnknown("lost", place),
    ):
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))
