"""Calls of tools, their streams and results."""

from __future__ import annotations

import json
import math

import pytest

from trainwright_ors.conformance.probe import Probe, parse, result
from trainwright_ors.conformance.test_sessions import check_blocks

Tool = tuple[str, dict[str, object]]
_ABSENT = "no such tool"


def test_a_stream_is_a_stream_of_events(ors: Probe, sid: str) -> None:
    """`POST /{env}/call` answers `text/event-stream`."""
    response = ors.post(ors.path("call"), {"name": _ABSENT, "input": {}}, sid)
    assert response.headers["content-type"].partition(";")[0] == "text/event-stream"


def test_a_stream_names_its_task_first(ors: Probe, sid: str) -> None:
    """The first event is `task_id`, with the name by which the call can be found again; no two calls share it."""
    first, second = (ors.call(sid, _ABSENT, {})[0] for _ in range(2))
    assert first.name == second.name == "task_id"
    assert first.data
    assert first.data != second.data


def test_a_stream_has_one_end(ors: Probe, sid: str) -> None:
    """After `task_id` come any number of `chunk`, then one `end` or one `error`, and nothing else."""
    _, *chunks, last = [event.name for event in ors.call(sid, _ABSENT, {})]
    assert set(chunks) <= {"chunk"}
    assert last in ("end", "error")


def test_an_unknown_tool_is_refused(ors: Probe, sid: str) -> None:
    """A tool that there is not gives `{"ok": false, "error": "…"}` within the stream, not an HTTP error."""
    answer = json.loads(result(ors.call(sid, _ABSENT, {})))
    assert answer["ok"] is False
    assert isinstance(answer["error"], str)


def test_an_input_that_lacks_arguments_is_refused(ors: Probe, sid: str) -> None:
    """An input without a required argument gives `{"ok": false, …}`, and the tool does not run."""
    tools = ors.get(ors.path("tools")).json()["tools"]
    strict = [tool["name"] for tool in tools if (tool["input_schema"] or {}).get("required")]
    if not strict:
        pytest.skip("no tool of the environment requires an argument")
    assert json.loads(result(ors.call(sid, strict[0], {})))["ok"] is False


def test_a_session_survives_a_refusal(ors: Probe, sid: str) -> None:
    """A call that was refused leaves the session as it was."""
    ors.call(sid, _ABSENT, {})
    assert ors.get(ors.path("prompt"), sid).status_code == 200


def test_an_input_has_to_be_an_object(ors: Probe, sid: str) -> None:
    """A call without `input`, or with one that is no object, is answered with 422 before any stream."""
    assert ors.post(ors.path("call"), {"name": _ABSENT}, sid).status_code == 422
    assert ors.post(ors.path("call"), {"name": _ABSENT, "input": [1]}, sid).status_code == 422


def test_a_call_of_an_ended_session_is_not_found(ors: Probe, sid: str) -> None:
    """A call of a session that has ended is answered with 404 before any stream."""
    ors.post("/delete", sid=sid)
    assert ors.post(ors.path("call"), {"name": _ABSENT, "input": {}}, sid).status_code == 404


def test_a_result_can_be_fetched_again(ors: Probe, sid: str) -> None:
    """The same call with its `task_id` gives the same name and the same result, as often as it is asked for."""
    first = ors.call(sid, _ABSENT, {})
    for _ in range(2):
        again = ors.call(sid, _ABSENT, {}, task_id=first[0].data)
        assert again[0].data == first[0].data, "it was executed again: the task has another name"
        assert result(again) == result(first)


def test_an_unknown_task_is_an_error(ors: Probe, sid: str) -> None:
    """A `task_id` that there is not gives an `error` event that says so, and nothing is executed."""
    events = ors.call(sid, _ABSENT, {}, task_id="0" * 32)
    assert [(event.name, event.data) for event in events] == [("error", "unknown task_id")]


def test_a_tool_gives_a_result(ors: Probe, sid: str, tool: Tool) -> None:
    """A result has `blocks`, `reward` (a finite number or null), `finished`, and `metadata` (an object or null)."""
    answer = json.loads(result(ors.call(sid, *tool)), parse_constant=_no_constant)
    assert answer["ok"] is True, answer
    output = answer["output"]
    check_blocks(output["blocks"])
    assert output["reward"] is None or math.isfinite(output["reward"])
    assert isinstance(output["finished"], bool)
    assert isinstance(output["metadata"], dict | None)


def test_a_call_outlives_its_listener(ors: Probe, sid: str, tool: Tool) -> None:
    """A call goes on where the client leaves after `task_id`, and its result can be fetched by that name."""
    body = {"name": tool[0], "input": tool[1]}
    ors.get(ors.path("prompt"), sid)  # the setup has ended
    with ors.http.stream("POST", ors.path("call"), json=body, headers={"X-Session-ID": sid}) as response:
        seen = b""
        for piece in response.iter_raw():
            seen += piece
            if events := parse(seen):
                break
    again = ors.call(sid, *tool, task_id=events[0].data)
    assert again[0] == events[0]
    assert json.loads(result(again))["ok"] is True


def _no_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON: a reward that is no finite number is sent as null")
