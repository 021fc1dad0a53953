"""Sessions: how they begin, what they hold, how they end."""

from __future__ import annotations

import uuid

from trainwright_ors.conformance.probe import Probe, parse
from trainwright_ors.conformance.test_server import check_tools


def test_session_ids_are_given_out(ors: Probe) -> None:
    """`POST /create_session` gives an id, a new one each time: in a stream (`task_id`, `end`), or as JSON's `sid`."""
    given = []
    for _ in range(2):
        response = ors.post("/create_session", {})
        assert response.status_code == 200
        if response.headers["content-type"].startswith("application/json"):
            given.append(response.json()["sid"])
        else:
            given += [event.data for event in parse(response.content) if event.name == "task_id"]
    assert all(given)
    assert len(set(given)) == 2


def test_a_session_begins_by_index(ors: Probe) -> None:
    """`POST /create` with `split` and `index` answers the session's `sid`."""
    sid = ors.new_sid()
    response = ors.create(sid, split=ors.split, index=0)
    assert (response.status_code, response.json().get("sid")) == (200, sid)


def test_a_session_begins_by_specification(ors: Probe) -> None:
    """`POST /create` with a `task_spec` gives the same session as the index of that task."""
    task = ors.of_tasks("task", index=0).json()["task"]
    by_task, by_index = ors.open(task_spec=task), ors.open()
    prompts = [ors.get(ors.path("prompt"), sid).json() for sid in (by_task, by_index)]
    assert prompts[0] == prompts[1]


def test_a_session_has_one_source(ors: Probe) -> None:
    """`POST /create` with both a specification and an index, or with neither, is answered with 422."""
    assert ors.create(str(uuid.uuid4()), task_spec={}, split=ors.split, index=0).status_code == 422
    assert ors.create(str(uuid.uuid4())).status_code == 422


def test_a_session_needs_an_id(ors: Probe) -> None:
    """`POST /create` without `X-Session-ID` is answered with 400."""
    assert ors.post("/create", {"env_name": ors.environment, "split": ors.split, "index": 0}).status_code == 400


def test_a_session_begins_once(ors: Probe, sid: str) -> None:
    """A second `/create` with the same id is answered with 400."""
    assert ors.create(sid, split=ors.split, index=0).status_code == 400


def test_a_session_for_no_task_is_refused(ors: Probe) -> None:
    """`POST /create` for an index or a split that there is not is answered with 400."""
    assert ors.create(str(uuid.uuid4()), split=ors.split, index=ors.number()).status_code == 400
    assert ors.create(str(uuid.uuid4()), split="no such split", index=0).status_code == 400


def test_the_prompt_is_blocks(ors: Probe, sid: str) -> None:
    """`GET /{env}/prompt` gives an array of blocks: text with `text`, images with `data` and `mimeType`."""
    response = ors.get(ors.path("prompt"), sid)
    assert response.status_code == 200
    check_blocks(response.json())
    assert response.json()


def test_the_prompt_can_be_asked_again(ors: Probe, sid: str) -> None:
    """A session's prompt stays the same as long as nothing is called."""
    first, second = (ors.get(ors.path("prompt"), sid).json() for _ in range(2))
    assert first == second


def test_the_task_s_tools_include_the_environment_s(ors: Probe, sid: str) -> None:
    """`GET /{env}/task_tools` gives the environment's tools and those of the task."""
    tools = ors.get(ors.path("task_tools"), sid).json()["tools"]
    check_tools(tools)
    shared = {tool["name"] for tool in ors.get(ors.path("tools")).json()["tools"]}
    assert shared <= {tool["name"] for tool in tools}


def test_a_ping_is_answered(ors: Probe, sid: str) -> None:
    """`POST /ping` keeps a session alive, and is answered with 404 where there is none."""
    assert ors.post("/ping", sid=sid).status_code == 200
    assert ors.post("/ping", sid=str(uuid.uuid4())).status_code == 404


def test_an_unknown_session_is_not_found(ors: Probe) -> None:
    """Prompt, tools and calls of a session that there is not are answered with 404."""
    sid = str(uuid.uuid4())
    assert ors.get(ors.path("prompt"), sid).status_code == 404
    assert ors.get(ors.path("task_tools"), sid).status_code == 404
    assert ors.post(ors.path("call"), {"name": "x", "input": {}}, sid).status_code == 404


def test_a_session_ends(ors: Probe, sid: str) -> None:
    """After `POST /delete` the session is not found any more."""
    assert ors.post("/delete", sid=sid).status_code == 200
    assert ors.get(ors.path("prompt"), sid).status_code == 404


def test_an_end_can_be_asked_for_again(ors: Probe, sid: str) -> None:
    """`POST /delete` of a session that has ended, or never was, is answered with 200."""
    for each in (sid, sid, str(uuid.uuid4())):
        assert ors.post("/delete", sid=each).status_code == 200


def test_sessions_do_not_share_their_end(ors: Probe, sid: str) -> None:
    """Ending a session leaves another of the same task alone."""
    other = ors.open()
    ors.post("/delete", sid=other)
    assert ors.get(ors.path("prompt"), sid).status_code == 200


def check_blocks(blocks: object) -> None:
    """Check what a prompt or a result is made of."""
    assert isinstance(blocks, list)
    for block in blocks:
        match block["type"]:
            case "text":
                assert isinstance(block["text"], str)
            case "image":
                assert isinstance(block["data"], str)
                assert isinstance(block["mimeType"], str)
