"""The endpoints of a `FakeServer`: right answers, as servers of either generation give them."""

from __future__ import annotations

import base64
import inspect
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from trainwright_ors.testing.environment import FakeEnvironment, FakeTool, Output, Task
from trainwright_ors.testing.http import Reply, Request
from trainwright_ors.testing.state import FakeSession, State
from trainwright_ors.testing.streams import event
from trainwright_ors.testing.waiting import Refused, when_ready

_TYPES = ("train", "validation", "test")
_FORMS: dict[str, tuple[frozenset[str], frozenset[str]]] = {  # of bodies: the required keys, and the optional ones
    "tasks": (frozenset({"split"}), frozenset()),
    "num_tasks": (frozenset({"split"}), frozenset()),
    "task": (frozenset({"split", "index"}), frozenset()),
    "task_range": (frozenset({"split"}), frozenset({"start", "stop"})),
    "call": (frozenset({"name", "input"}), frozenset({"task_id"})),
}


class Routes:
    """The right answer to every request.

    Args:
        state: What the server knows.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._roots: dict[str, Callable[[Request], Reply]] = {
            "GET health": lambda request: Reply.json({"status": "ok"}),
            "GET list_environments": lambda request: Reply.json([each.name for each in state.environments]),
            "POST create_session": lambda request: Reply.stream(_new_sid()),
            "POST create": self._create, "POST ping": self._ping, "POST delete": self._delete,
            "POST delete_session": lambda request: Reply.json({"sid": _sid(request)}),
        }  # fmt: skip
        if state.modern:
            self._roots["GET version"] = lambda request: Reply.json({"version": "0.1.167", "build_sha": None})
        self._of_environment: dict[str, Callable[[FakeEnvironment, Request], Reply | Awaitable[Reply]]] = {
            "GET tools": lambda environment, request: Reply.json(self._tools(environment, environment.tools)),
            "GET splits": lambda environment, request: Reply.json(_splits(environment)),
            "POST tasks": self._tasks, "POST num_tasks": self._num_tasks, "POST task": self._task,
            "POST task_range": self._task_range, "GET prompt": self._prompt, "GET task_tools": self._task_tools,
            "POST call": self._call,
        }  # fmt: skip

    async def answer(self, request: Request) -> Reply:
        """Answer a request."""
        try:
            return await self._answer(request)
        except Refused as refused:
            return Reply.error(refused.status, refused.detail, **refused.headers)

    async def _answer(self, request: Request) -> Reply:
        segments = request.segments
        if len(segments) == 1 and (root := self._roots.get(f"{request.method} {segments[0]}")):
            return root(request)
        environment = self._state.environment(segments[0]) if segments else None
        if environment is None:
            roots = {key.partition(" ")[2] for key in self._roots}
            if segments and segments[0] in roots:
                raise Refused(405, "Method Not Allowed")
            return Reply(status=308, headers={"location": f"/{self._state.environments[0].name}{request.path}"})
        route = self._of_environment.get(f"{request.method} {'/'.join(segments[1:])}")
        if route is None:
            raise Refused(404, "Not Found")
        given = route(environment, request)
        return given if isinstance(given, Reply) else await given

    # Sessions

    def _create(self, request: Request) -> Reply:
        sid, body = _sid(request), _object(request)
        environment, task = self._chosen(body)
        if sid in self._state.alive():
            raise Refused(400, "Session already exists")
        self._state.create(sid, FakeSession(environment, task, self._secrets(request, body)))
        return Reply.json({"sid": sid})

    def _chosen(self, body: Mapping[str, Any]) -> tuple[FakeEnvironment, Task]:
        extra = {"toolset_name"} if self._state.modern else {"secrets"}
        _check_keys(body, frozenset(), frozenset({"env_name", "task_spec", "split", "index", *extra}))
        given, indexed = body.get("task_spec"), body.get("split") is not None and body.get("index") is not None
        if (given is not None) == indexed:
            raise Refused(422, [_problem("", "Provide either task_spec or both split and index, not both/neither")])
        environment = self._state.environment(body.get("env_name") or self._state.environments[0].name)
        if environment is None:
            raise Refused(404, f"unknown environment {body['env_name']!r}")
        return environment, (_at(environment, body) if given is None else given)

    def _secrets(self, request: Request, body: Mapping[str, Any]) -> dict[str, str]:
        if not self._state.modern:
            return dict(body.get("secrets") or {})
        try:
            given = json.loads(base64.b64decode(request.headers.get("x-secrets", "") or "e30=", validate=True))
            return {name: entry["value"] for name, entry in given.items()}
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise Refused(500, f"Error: {error}") from None

    def _ping(self, request: Request) -> Reply:
        if self._state.session(_sid(request)) is None:
            raise Refused(404, "Active environment not found")
        return Reply.json({"status": "ok"})

    def _delete(self, request: Request) -> Reply:
        self._state.delete(_sid(request))
        return Reply.json({"sid": request.sid})

    # Environments

    def _tools(self, environment: FakeEnvironment, tools: Sequence[FakeTool]) -> dict[str, Any]:
        listed: dict[str, Any] = {"tools": [tool.spec() for tool in tools]}
        if self._state.modern:
            named = None
            if environment.terminal:
                tool, arg = environment.terminal
                named = {"name": tool.name, "arg": arg, "description": tool.description}
            listed |= {"terminal_tool": named, "supports_score_group": False, "message_block_types": ["text", "image"]}
        return listed

    def _tasks(self, environment: FakeEnvironment, request: Request) -> Reply:
        return Reply.json({"tasks": list(_of_split(environment, _form(request))), "env_name": environment.name})

    def _num_tasks(self, environment: FakeEnvironment, request: Request) -> Reply:
        return Reply.json({"num_tasks": len(_of_split(environment, _form(request)))})

    def _task(self, environment: FakeEnvironment, request: Request) -> Reply:
        return Reply.json({"task": _at(environment, _form(request)), **self._named(environment)})

    def _task_range(self, environment: FakeEnvironment, request: Request) -> Reply:
        body = _form(request)
        tasks = list(_of_split(environment, body))[body.get("start") : body.get("stop")]
        return Reply.json({"tasks": tasks, **self._named(environment)})

    def _named(self, environment: FakeEnvironment) -> dict[str, str]:
        return {"env_name": environment.name} if self._state.modern else {}

    # Episodes

    async def _prompt(self, environment: FakeEnvironment, request: Request) -> Reply:
        session = await when_ready(self._state, _sid(request))
        return Reply.json(session.environment.blocks(session.task))

    async def _task_tools(self, environment: FakeEnvironment, request: Request) -> Reply:
        session = await when_ready(self._state, _sid(request), wait=not self._state.modern)
        own = session.environment
        return Reply.json(self._tools(own, [*own.tools, *own.task_tools(session.task)]))

    async def _call(self, environment: FakeEnvironment, request: Request) -> Reply:
        body = _form(request)
        if not isinstance(body["input"], dict):
            raise Refused(422, [_problem("input", "Input should be a valid dictionary")])
        session, resumed = await when_ready(self._state, _sid(request)), body.get("task_id")
        work = None if resumed else self._execute(session, body["name"], body["input"])
        return Reply.stream(self._state.calls.stream(work, resumed))

    async def _execute(self, session: FakeSession, name: str, given: dict[str, Any]) -> str:
        if not self._state.modern:
            return json.dumps(await self._result(session, name, given), ensure_ascii=False)
        async with session.locks[name]:
            if session.finished:
                return json.dumps(_refused("the episode is finished", "episode_finished"))
            return json.dumps(await self._result(session, name, given), ensure_ascii=False)

    async def _result(self, session: FakeSession, name: str, given: dict[str, Any]) -> dict[str, Any]:
        tool, modern = session.environment.tool(name, session.task), self._state.modern
        if tool is None:
            return _refused(f"{name!r} is not a valid tool", "not_found" if modern else None)
        if missing := tool.missing(given):
            detail = f"Tool input validation error: {[_problem(key, 'Field required') for key in missing]}"
            return _refused(detail, "input_validation" if modern else None)
        self._state.executions.append((name, given))
        returned = tool.run(given)
        output = await returned if inspect.isawaitable(returned) else returned
        output = Output(output) if isinstance(output, str) else output
        session.finished = session.finished or output.finished
        return {"ok": True, "output": output.wire()}


async def _new_sid() -> AsyncIterator[bytes]:
    yield event("task_id", str(uuid.uuid4()))
    yield event("end", "")


def _sid(request: Request) -> str:
    if not request.sid:
        raise Refused(400, "X-Session-ID header is required")
    return request.sid


def _object(request: Request) -> dict[str, Any]:
    body = request.json()
    if not isinstance(body, dict):
        raise Refused(422, [_problem("", "Input should be a valid dictionary")])
    return body


def _form(request: Request) -> dict[str, Any]:
    body = _object(request)
    _check_keys(body, *_FORMS[request.segments[-1]])
    return body


def _check_keys(body: Mapping[str, Any], required: frozenset[str], optional: frozenset[str]) -> None:
    problems = [_problem(key, "Field required") for key in sorted(required - body.keys())]
    problems += [_problem(key, "Extra inputs are not permitted") for key in sorted(body.keys() - required - optional)]
    if problems:
        raise Refused(422, problems)


def _problem(key: str, message: str) -> dict[str, Any]:
    return {"type": "value_error", "loc": ["body", *([key] if key else [])], "msg": message, "input": None}


def _splits(environment: FakeEnvironment) -> list[dict[str, str]]:
    return [{"name": name, "type": name if name in _TYPES else "validation"} for name in environment.tasks]


def _of_split(environment: FakeEnvironment, body: Mapping[str, Any]) -> Sequence[Task]:
    tasks = environment.tasks.get(body["split"]) if isinstance(body["split"], str) else None
    if tasks is None:
        raise Refused(400, "Invalid split")
    return tasks


def _at(environment: FakeEnvironment, body: Mapping[str, Any]) -> Task:
    tasks, index = _of_split(environment, body), body["index"]
    if not isinstance(index, int) or not -len(tasks) <= index < len(tasks):
        raise Refused(400, "Invalid index")
    return tasks[index]


def _refused(error: str, reason: str | None) -> dict[str, Any]:
    return {"ok": False, "error": error, **({"reason": reason} if reason else {})}
