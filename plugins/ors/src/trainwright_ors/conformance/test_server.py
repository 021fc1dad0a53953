"""The server and its environments."""

from __future__ import annotations

from typing import Any

import pytest

from trainwright_ors.conformance.probe import Probe


def test_health(ors: Probe) -> None:
    """`GET /health` answers 200 with `{"status": "ok"}`."""
    response = ors.get("/health")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


def test_environments_are_listed(ors: Probe) -> None:
    """`GET /list_environments` answers an array of names, each once, the default first."""
    names = ors.get("/list_environments").json()
    assert isinstance(names, list)
    assert names
    assert all(isinstance(name, str) and name and "/" not in name for name in names)
    assert len({name.lower() for name in names}) == len(names)


def test_environments_are_found_in_any_case(ors: Probe) -> None:
    """An environment's name in a path is read without regard to case."""
    assert ors.get(f"/{ors.environment.upper()}/splits").status_code == 200


def test_an_unknown_environment_is_not_found(ors: Probe) -> None:
    """A path of an environment that there is not ends in 404, if need be behind a redirect on the same host."""
    response = ors.http.get("/no-such-environment/tools")
    if response.is_redirect:
        target = response.next_request
        assert target is not None
        assert target.url.host == ors.http.base_url.host
        response = ors.http.get(target.url)
    assert response.status_code == 404


def test_errors_say_what_is_wrong(ors: Probe) -> None:
    """An error's body is an object whose `detail` is a string, or an array of objects with `loc` and `msg`."""
    wrong = [ors.post(ors.path("task"), {}), ors.post(ors.path("task"), {"split": "no such split", "index": 0})]
    for response in wrong:
        detail = response.json()["detail"]
        assert isinstance(detail, str) or all({"loc", "msg"} <= set(problem) for problem in detail)


def test_tools_are_described(ors: Probe) -> None:
    """`GET /{env}/tools` gives `tools`, each with a name of its own, a description, and a JSON Schema or null."""
    check_tools(ors.get(ors.path("tools")).json()["tools"])


def test_a_terminal_tool_is_hidden(ors: Probe) -> None:
    """`terminal_tool` names the tool for the model's first plain message, and `tools` does not list it."""
    answer = ors.get(ors.path("tools")).json()
    terminal = answer.get("terminal_tool")
    if terminal is None:
        pytest.skip("the environment has no terminal tool")
    assert isinstance(terminal["arg"], str | None)
    assert terminal["name"] not in [tool["name"] for tool in answer["tools"]]


def check_tools(tools: Any) -> None:
    """Check a list of tools."""
    assert isinstance(tools, list)
    for tool in tools:
        assert isinstance(tool["name"], str)
        assert tool["name"]
        assert isinstance(tool["description"], str)
        assert isinstance(tool["input_schema"], dict | bool | None)
    names = [tool["name"] for tool in tools]
    assert len(set(names)) == len(names)
