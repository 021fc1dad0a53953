"""Faults planted into a fake server, each with the cases of the conformance suite that have to find it."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, replace

from trainwright_ors.testing import FakeEnvironment, FakeServer, FakeTool, Output, Reply, faults

END = b"event: end\r\ndata: \r\n\r\n"
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


@dataclass
class Planted:
    """A fault: at an endpoint, a function of server, request and usual handler; and who finds it."""

    name: str
    endpoint: str
    fault: object
    found_by: set[str]


def environments(**of_add):
    add = FakeTool("add", lambda given: Output(str(given["a"] + 1), **of_add), "Adds one.", SCHEMA)
    submit = FakeTool("submit", lambda given: Output("", reward=1.0, finished=True))
    tasks = {"train": [{"n": n} for n in range(4)], "test": [{"n": 9}]}
    return [FakeEnvironment("mathenv", [add], tasks, terminal=(submit, "answer")), FakeEnvironment("other")]


def changing(change):
    return lambda server: faults.changed(change)


def asking(change):
    """The request is changed before it is answered: `change` gets the body, and gives another."""

    async def fault(request, usual):
        body = change(request.json() or {})
        return await usual(replace(request, body=json.dumps(body).encode()))

    return lambda server: fault


def answering(change):
    """The answer is changed: `change` gets the right one, and gives another."""

    def of(server):
        async def fault(request, usual):
            return change(await usual(request))

        return fault

    return of


def when(test, other):
    """Another answer to those requests that meet a test."""

    def of(server):
        async def fault(request, usual):
            return other if test(request, request.json() or {}) else await usual(request)

        return fault

    return of


def said(code, instead):
    """Another answer in place of an error."""

    def of(server):
        async def fault(request, usual):
            reply = await usual(request)
            return instead if reply.status == code else reply

        return fault

    return of


def streaming(change):
    """The events of a call's stream are changed: `change` gets each piece and the request's body."""

    def of(server):
        async def fault(request, usual):
            reply = await usual(request)
            if isinstance(reply.body, bytes):
                return reply

            async def pieces():
                async for piece in reply.body:
                    yield change(piece, request.json())

            return replace(reply, body=pieces())

        return fault

    return of


def forgetful(server):
    """Calls are executed again where their results are asked for."""

    async def fault(request, usual):
        body = {key: value for key, value in request.json().items() if key != "task_id"}
        return await usual(replace(request, body=json.dumps(body).encode()))

    return fault


def deletes_all(server):
    async def fault(request, usual):
        for sid in list(server.sessions):
            await usual(replace(request, headers={"x-session-id": sid}))
        return await usual(request)

    return fault


def dies_of_refusals(server):
    async def fault(request, usual):
        reply = await usual(request)
        if request.json()["name"] != "add":
            await usual(replace(request, method="POST", path="/delete"))
        return reply

    return fault


def not_the_same(server):
    counter = itertools.count()
    return faults.changed(lambda answer: {"task": {**answer["task"], "turn": next(counter)}})


def another_prompt(server):
    counter = itertools.count()
    return faults.changed(lambda blocks: [{"type": "text", "text": str(next(counter))}])


def fine(**answer):
    return Reply.json(answer)


def without(key):
    return lambda body: {name: value for name, value in body.items() if name != key}


def clamped(body):
    return {**body, "index": min(body["index"], 3)} if body.get("index") is not None else body


def first_of(name):
    return lambda piece, body: piece.replace(b"data: ", b"data: same\r\nx: ", 1) if name in piece else piece


def strict_delete(server):
    """Ending what has ended is an error."""

    async def fault(request, usual):
        return await usual(request) if request.sid in server.sessions else Reply.error(404, "no session")

    return fault


def twice(server):
    """A second `/create` of one session is answered as the first was."""

    async def fault(request, usual):
        reply = await usual(request)
        return fine(sid=request.sid) if b"already exists" in bytes(reply.body) else reply

    return fault


PLANTED = [
    Planted("health", "health", changing(lambda _: {"status": "up"}), {"test_health"}),
    Planted("a name twice", "list_environments", changing(lambda n: n * 2), {"test_environments_are_listed"}),
    Planted("case", "splits", when(lambda r, b: r.segments[0].isupper(), Reply.error(404, "no")),
            {"test_environments_are_found_in_any_case"}),
    Planted("any environment", "tools", when(lambda r, b: "no-such-environment" in r.path, fine(tools=[])),
            {"test_an_unknown_environment_is_not_found"}),
    Planted("wordless errors", "task", said(400, Reply.json({"error": "no"}, 400)),
            {"test_errors_say_what_is_wrong"}),
    Planted("a tool without description", "tools",
            changing(lambda a: {**a, "tools": [{**tool, "description": None} for tool in a["tools"]]}),
            {"test_tools_are_described"}),
    Planted("a terminal argument", "tools", changing(lambda a: {**a, "terminal_tool": {"name": "s", "arg": 3}}),
            {"test_a_terminal_tool_is_hidden"}),
    Planted("a split's type", "splits", changing(lambda splits: [{**s, "type": "training"} for s in splits]),
            {"test_splits_have_names_and_types"}),
    Planted("a count in words", "num_tasks", changing(lambda a: {"num_tasks": str(a["num_tasks"])}),
            {"test_tasks_are_counted"}),
    Planted("a list that lacks one", "tasks", changing(lambda a: {"tasks": a["tasks"][1:]}),
            {"test_all_tasks_are_as_many_as_counted"}),
    Planted("no last task", "task", when(lambda r, b: b.get("index") == 3, Reply.error(400, "Invalid index")),
            {"test_a_task_is_found_by_its_index"}),
    Planted("other tasks each time", "task", not_the_same,
            {"test_a_task_is_the_same_each_time", "test_a_range_gives_its_tasks",
             "test_a_session_begins_by_specification"}),
    Planted("a range backwards", "task_range", changing(lambda a: {"tasks": a["tasks"][::-1]}),
            {"test_a_range_gives_its_tasks"}),
    Planted("a strict range", "task_range", when(lambda r, b: (b.get("stop") or 0) > 4, Reply.error(400, "range")),
            {"test_a_range_ends_with_the_split"}),
    Planted("a clamped index", "task", asking(clamped), {"test_an_index_behind_the_last_is_refused"}),
    Planted("any split", "num_tasks", said(400, fine(num_tasks=0)), {"test_an_unknown_split_is_refused"}),
    Planted("any key", "num_tasks", asking(without("surprise")), {"test_unknown_keys_are_refused"}),
    Planted("no id", "create_session", lambda server: faults.replaced({"id": "x"}), {"test_session_ids_are_given_out"}),
    Planted("no sid", "create", changing(lambda a: {}), {"test_a_session_begins_by_index"}),
    Planted("another task", "create", asking(lambda b: {**b, "task_spec": {"n": 7}} if b.get("task_spec") else b),
            {"test_a_session_begins_by_specification"}),
    Planted("both sources", "create", asking(lambda b: without("task_spec")(b) if "split" in b else b),
            {"test_a_session_has_one_source"}),
    Planted("nobody's session", "create", when(lambda r, b: not r.sid, fine(sid="x")),
            {"test_a_session_needs_an_id"}),
    Planted("a session twice", "create", twice, {"test_a_session_begins_once"}),
    Planted("a session for no index", "create", asking(clamped), {"test_a_session_for_no_task_is_refused"}),
    Planted("no text", "prompt", changing(lambda blocks: [{**block, "text": None} for block in blocks]),
            {"test_the_prompt_is_blocks"}),
    Planted("other prompts each time", "prompt", another_prompt,
            {"test_the_prompt_can_be_asked_again", "test_a_session_begins_by_specification"}),
    Planted("no shared tools", "task_tools", changing(lambda a: {"tools": []}),
            {"test_the_task_s_tools_include_the_environment_s"}),
    Planted("pings for all", "ping", said(404, fine(status="ok")), {"test_a_ping_is_answered"}),
    Planted("another status", "task_tools", said(404, Reply.error(400, "no")),
            {"test_an_unknown_session_is_not_found"}),
    Planted("no end", "delete", lambda server: faults.replaced({"sid": "x"}),
            {"test_a_session_ends", "test_a_call_of_an_ended_session_is_not_found"}),
    Planted("an end for all", "delete", deletes_all, {"test_sessions_do_not_share_their_end"}),
    Planted("an end of its own", "delete", strict_delete,
            {"test_an_end_can_be_asked_for_again"}),
    Planted("a plain stream", "call", answering(lambda reply: replace(reply, content_type="text/plain")
                                                if reply.status == 200 else reply),
            {"test_a_stream_is_a_stream_of_events"}),
    Planted("one name for all", "call", streaming(first_of(b"event: task_id")),
            {"test_a_stream_names_its_task_first", "test_a_result_can_be_fetched_again",
             "test_a_call_outlives_its_listener"}),
    Planted("two ends", "call", streaming(lambda p, b: p + END if b"event: end" in p else p),
            {"test_a_stream_has_one_end"}),
    Planted("a refusal without words", "call", streaming(lambda p, b: p.replace(b'"error":', b'"why":')),
            {"test_an_unknown_tool_is_refused"}),
    Planted("any input", "call", asking(lambda b: {**b, "input": {"a": 1}} if b.get("input") == {} and
                                        b["name"] == "add" else b), {"test_an_input_that_lacks_arguments_is_refused"}),
    Planted("refusals that end sessions", "call", dies_of_refusals,
            {"test_a_session_survives_a_refusal", "test_a_stream_names_its_task_first",
             "test_a_result_can_be_fetched_again"}),
    Planted("lists for inputs", "call", asking(lambda b: {**b, "input": {}} if b.get("input") == [1] else b),
            {"test_an_input_has_to_be_an_object"}),
    Planted("another status of calls", "call", said(404, Reply.error(400, "no")),
            {"test_a_call_of_an_ended_session_is_not_found", "test_an_unknown_session_is_not_found"}),
    Planted("executed again", "call", forgetful,
            {"test_a_result_can_be_fetched_again", "test_an_unknown_task_is_an_error",
             "test_a_call_outlives_its_listener"}),
    Planted("another word", "call", streaming(lambda p, b: p.replace(b"unknown task_id", b"gone")),
            {"test_an_unknown_task_is_an_error"}),
    Planted("no number", "call", streaming(lambda p, b: p.replace(b'"reward": null', b'"reward": NaN')),
            {"test_a_tool_gives_a_result"}),
    Planted("cancelled with its listener", "call",
            when(lambda r, b: b.get("name") == "add" and "task_id" in b, Reply.error(500, "cancelled")),
            {"test_a_call_outlives_its_listener"}),
]  # fmt: skip


def serving(planted=None):
    """A fake server with a fault, or with none."""
    server = FakeServer(environments())
    if planted:
        server.inject(planted.endpoint, planted.fault(server))
    return server
