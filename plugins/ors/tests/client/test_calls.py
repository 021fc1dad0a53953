"""A tool is executed once at most, and whatever a server does to the stream ends in a result or in the right error."""

import asyncio
import json
import random
from types import SimpleNamespace

import pytest
from ors_raw import event, head, ok, reply, stream
from pydantic import SecretStr

from trainwright_ors.client import (
    Client,
    Deadline,
    Deadlines,
    EnvironmentFailed,
    HttpRefused,
    Limits,
    OutcomeUnknown,
    ProtocolError,
    SessionGone,
    ToolFailed,
    Unreachable,
    ask,
    run,
)

QUICK = Deadlines(connect=0.3, idle=0.3, total=5, setup=5, request=5, resume=0.6, close=5)


def opened(raw, deadlines=QUICK, limits=None, **settings):
    return run(Client(raw.url, deadlines=deadlines, limits=limits, **settings).open("mathenv", split="train", index=3))


def calls(raw):
    return [asked.body for asked in raw.asked if asked.path.endswith("/call")]


def executing(raw, *scripts):
    """Answers of `/call` in turn, the last for ever; each call without a `task_id` counts as an execution."""
    turn = iter(range(10**6))

    def answer(asked):
        if "task_id" not in asked.body:
            raw.ran.append(json.dumps(asked.body["input"]))
        return scripts[min(next(turn), len(scripts) - 1)](asked)

    raw.answers["call"] = answer


def cut(*pieces, pause=0.0):
    """A stream that ends, without an end, after these pieces."""

    def answer(asked):
        async def pieces_of():
            for piece in pieces:
                yield piece
            await asyncio.sleep(pause)

        return pieces_of()

    return answer


DONE = stream(event("task_id", "t1"), event("end", ok("done", reward=1)))


def whole(asked):
    return DONE


@pytest.mark.parametrize(
    "pieces",
    [(), (head(),), (head(), b": ping\r\n\r\n"), (head(), b"event: task_id\r\ndata: t1\r\n"), (b"HTTP/1.1 200 O",)],
    ids=["at once", "after the head", "after a comment", "in the name", "in the head"],
)
def test_lost_before_the_task_has_a_name_it_is_not_called_again(raw, pieces):
    executing(raw, cut(*pieces), whole)
    session = opened(raw)
    with pytest.raises(OutcomeUnknown, match=r"mathenv.*train\[3\].*'add'.*not called again"):
        run(session.call("add", {"a": 1}))
    with pytest.raises(OutcomeUnknown, match="takes no more calls"):
        run(session.call("add", {"a": 1}))
    assert len(raw.ran) == 1


@pytest.mark.parametrize("times", [1, 4])
def test_lost_after_that_its_result_is_fetched_by_the_name(raw, times):
    lost = cut(head(), event("task_id", "t1"), event("chunk", '{"ok": tr'))
    executing(raw, *[lost] * times, whole)
    result = run(opened(raw).call("add", {"a": 1}))
    assert (result.blocks[0].text, result.reward, result.resumed) == ("done", 1.0, times)
    assert [body.get("task_id") for body in calls(raw)] == [None] + ["t1"] * times
    assert len(raw.ran) == 1


def test_a_server_that_answers_is_asked_again_soon_and_one_that_does_not_ever_less_often(raw, monkeypatch):
    waited = []

    async def note(seconds):
        waited.append(seconds)

    lost = cut(head(), event("task_id", "t1"))
    executing(raw, *[lost] * 20, *[lambda asked: reply({}, 502)] * 10, whole)
    session = opened(raw, Deadlines())
    monkeypatch.setattr(ask, "asyncio", SimpleNamespace(sleep=note, timeout=asyncio.timeout))
    assert run(session.call("add", {})).resumed == 20
    assert max(waited[:20]) <= 0.2
    assert max(waited[20:]) > 2


def test_a_stream_that_falls_silent_is_resumed(raw):
    executing(raw, cut(head(), event("task_id", "t1"), pause=5), whole)
    assert run(opened(raw).call("add", {})).resumed == 1
    assert len(raw.ran) == 1


def test_a_body_with_a_length_that_is_cut_short_is_resumed(raw):
    executing(raw, cut(head(content_length=500), event("task_id", "t1")), whole)
    assert run(opened(raw).call("add", {})).resumed == 1


def test_a_gateway_s_error_on_the_way_leaves_open_whether_it_ran(raw):
    for status in (502, 503, 504):
        executing(raw, lambda asked, status=status: reply({"detail": "bad gateway"}, status), whole)
        with pytest.raises(OutcomeUnknown, match=f"HTTP {status}"):
            run(opened(raw).call("add", {}))
    assert len(raw.ran) == 3


def test_while_resuming_a_gateway_s_errors_and_limits_are_waited_out(raw):
    lost = cut(head(), event("task_id", "t1"))
    executing(raw, lost, *[lambda asked, s=s: reply({}, s) for s in (502, 503, 504, 429)], whole)
    session = opened(raw, Deadlines(connect=0.3, idle=0.3, resume=30))
    assert run(session.call("add", {})).reward == 1
    assert len(raw.ran) == 1


def test_a_server_that_is_starting_or_too_busy_is_asked_again(raw):
    starting = reply({"detail": "starting"}, 503, X_Backend_State="starting", Retry_After=0)
    said = iter([starting, reply({}, 429), starting])
    raw.answers["call"] = lambda asked: next(said, None)
    assert run(opened(raw).call("add", {})).blocks[0].text == "done"
    assert len(raw.ran) == 1


def test_a_result_that_the_server_forgot_is_an_unknown_outcome(raw):
    executing(raw, cut(head(), event("task_id", "t1")), lambda asked: stream(event("error", "unknown task_id")))
    with pytest.raises(OutcomeUnknown, match="no longer keeps"):
        run(opened(raw).call("add", {}))


def test_a_tool_that_raises_those_very_words_has_failed(raw):
    said = (event("task_id", "t1"), event("error", "unknown task_id"))
    executing(raw, cut(head(), said[0]), lambda asked: stream(*said))
    with pytest.raises(ToolFailed, match="unknown task_id"):
        run(opened(raw).call("add", {}))


def test_a_result_that_cannot_be_fetched_any_more_is_an_unknown_outcome(raw):
    executing(raw, cut(head(), event("task_id", "t1")), lambda asked: reply({}, 502))
    with pytest.raises(OutcomeUnknown, match="not found again"):
        run(opened(raw).call("add", {}))
    assert len(raw.ran) == 1


def test_a_session_that_went_is_said_to_be_gone(raw):
    executing(raw, lambda asked: reply({"detail": "Active environment not found"}, 404))
    session = opened(raw)
    for _ in range(2):
        with pytest.raises(SessionGone, match=r"mathenv.*train\[3\]"):
            run(session.call("add", {}))
    assert len(raw.ran) == 1


def test_no_connection_means_that_it_did_not_run(raw):
    session = opened(raw)
    raw.__exit__()
    try:
        with pytest.raises(Unreachable, match="not called"):
            run(session.call("add", {}))
    finally:
        raw.__enter__()


def test_a_tool_that_never_returns_meets_the_total_deadline_though_the_server_pings(raw):
    async def pings():
        yield head() + event("task_id", "t1")
        while True:
            await asyncio.sleep(0.02)
            yield b": ping\r\n\r\n"

    raw.answers["call"] = lambda asked: pings()
    session = opened(raw, Deadlines(idle=0.3, total=0.4, setup=0.1))
    with pytest.raises(Deadline, match=r"'add'.*0.5 s"):
        run(session.call("add", {}))
    with pytest.raises(OutcomeUnknown):
        run(session.call("add", {}))


@pytest.mark.parametrize(
    "piece",
    [b"event: chunk\r\ndata: " + b"x" * 4096 + b"\r\n\r\n", b"x" * 4096, b"data: " + b"y" * 4096 + b"\n"],
    ids=["chunks", "one line", "one event"],
)
def test_a_stream_without_end_is_refused_at_the_limit(raw, piece):
    async def flood():
        yield head() + event("task_id", "t1")
        while True:
            yield piece

    raw.answers["call"] = lambda asked: flood()
    with pytest.raises(ProtocolError, match=r"mathenv.*bytes"):
        run(opened(raw, limits=Limits(answer=100_000)).call("add", {}))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (reply(b"<html>", kind="text/html"), "'text/html'"),
        (reply({"ok": True}), "'application/json'"),
        (stream(event("task_id", "t1"), event("end", "{")), "not readable JSON"),
        (stream(event("task_id", "t1"), event("end", "[" * 200_000)), "not readable JSON"),
        (stream(event("task_id", "t1"), event("end", '{"a": ' + "1" * 5000 + "}")), "not readable JSON"),
        (stream(event("task_id", "t1"), event("end", "[]")), "no `ok`"),
        (stream(event("task_id", "t1"), event("end", '{"ok": true}')), "no `output`"),
        (stream(event("task_id", "t1"), event("end", ok("x", finished="yes"))), "`finished`"),
        (stream(event("task_id", "t1"), event("end", ok("x", reward="1"))), "reward"),
        (stream(event("task_id", "t1"), event("end", ok("x", reward=True))), "reward"),
        (stream(event("task_id", ""), event("end", ok("x"))), "name"),
        (stream(b"event: task_id\r\ndata: \xff\r\n\r\n"), "UTF-8"),
        (reply(DONE, kind="text/event-stream", content_encoding="gzip"), "compressed"),
    ],
)
def test_what_is_no_result_is_an_error_that_names_environment_task_and_tool(raw, answer, said):
    executing(raw, lambda asked: answer)
    with pytest.raises(ProtocolError, match=said) as caught:
        run(opened(raw).call("add", {}))
    assert all(word in str(caught.value) for word in ("mathenv", "train[3]", "'add'"))
    assert len(raw.ran) == 1


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"error": "'x' is not a valid tool"}, "not_found"),
        ({"error": "Tool input validation error: [...]"}, "input_validation"),
        ({"error": "over", "reason": "episode_finished"}, "episode_finished"),
        ({"error": "odd"}, ""),
        ({}, ""),
    ],
)
def test_a_refusal_carries_its_reason(raw, said, reason):
    executing(raw, lambda asked: stream(event("task_id", "t1"), event("end", json.dumps({"ok": False, **said}))))
    session = opened(raw)
    with pytest.raises(ToolFailed) as caught:
        run(session.call("add", {}))
    assert caught.value.reason == reason
    assert caught.value.detail == said.get("error", "refused without a reason")


@pytest.mark.parametrize("said", ["tool boom\nsecond line", "", " " * 20])
def test_a_tool_that_raised_leaves_the_session_usable(raw, said):
    executing(raw, lambda asked: stream(event("task_id", "t1"), event("error", said)), whole)
    session = opened(raw)
    with pytest.raises(ToolFailed) as caught:
        run(session.call("add", {}))
    assert caught.value.detail == (said.strip() or "the tool failed without a message")
    assert run(session.call("add", {})).reward == 1


def test_http_errors_before_the_stream_mean_that_nothing_ran(raw):
    kinds = {500: EnvironmentFailed, 422: HttpRefused, 404: HttpRefused, 410: SessionGone}
    for status, kind in kinds.items():
        answer = reply({"detail": [{"loc": ["body", "x"], "msg": "extra", "input": "secret"}]}, status)
        raw.answers["call"] = lambda asked, answer=answer: answer
        with pytest.raises(kind, match=r"body\.x: extra") as caught:
            run(opened(raw).call("add", {}))
        assert "secret" not in str(caught.value)
    assert not raw.ran


@pytest.mark.parametrize("arguments", [{"a": float("nan")}, {"a": {1, 2}}, {"a": b"x"}])
def test_an_input_that_json_has_no_form_for_is_refused_before_it_is_sent(raw, arguments):
    session = opened(raw)
    with pytest.raises(ToolFailed) as caught:
        run(session.call("add", arguments))
    assert caught.value.reason == "input_validation"
    assert not calls(raw)


def test_names_and_inputs_arrive_as_they_are(raw):
    name, arguments = "fs.read-file\n__init__ é", {"from": {"a\u2028": [None, "\ud800", 1e300]}, "class": 10**30}
    run(opened(raw).call(name, arguments))
    body = calls(raw)[0]
    assert (body["name"], body["input"]) == (name, arguments)
    assert set(body) == {"name", "input"}


def test_results_keep_every_character_and_take_only_finite_rewards(raw):
    text = " \u2028\u2029\x85é😀" * 3000
    said = json.dumps(
        {"ok": True, "output": {"blocks": [{"type": "text", "text": text}], "reward": 0}}, ensure_ascii=False
    )
    pieces = [said[at : at + 4096] for at in range(0, len(said), 4096)]
    events = [event("chunk", piece) for piece in pieces[:-1]] + [event("end", pieces[-1])]
    executing(raw, lambda asked: stream(event("task_id", "t1"), *events))
    result = run(opened(raw).call("add", {}))
    assert (result.blocks[0].text, result.reward) == (text, 0.0)
    for number in ("NaN", "Infinity", "-Infinity", "1e999", "1" + "0" * 400):
        said = ok("x").replace('"reward": null', f'"reward": {number}')
        executing(raw, lambda asked, said=said: stream(event("task_id", "t1"), event("end", said)))
        assert run(opened(raw).call("add", {})).reward is None


def test_calls_of_one_session_run_side_by_side(raw):
    waiting = []

    async def together(n):
        waiting.append(n)
        while len(waiting) < 4:
            await asyncio.sleep(0.01)
        yield head() + event("task_id", f"t{n}") + event("end", ok(str(n)))

    raw.answers["call"] = lambda asked: together(asked.body["input"]["n"])
    session = opened(raw)

    async def all_of_them():
        return await asyncio.gather(*(session.call("add", {"n": n}) for n in range(4)))

    assert [result.blocks[0].text for result in run(all_of_them())] == ["0", "1", "2", "3"]


def test_secrets_that_a_tool_prints_are_masked_and_the_session_s_id_is_not_in_its_errors(raw):
    settings = {"api_key": SecretStr("sk-key-123456"), "secrets": {"K": SecretStr("hunter2-hunter2")}}

    def answer(asked):
        said = f"{asked.headers['x-api-key']} hunter2-hunter2 {asked.headers['x-session-id']}"
        if asked.body["name"] == "fails":
            return stream(event("task_id", "t1"), event("error", said))
        return stream(event("task_id", "t1"), event("end", ok(said.rpartition(" ")[0])))

    raw.answers["call"] = answer
    session = opened(raw, **settings)
    assert run(session.call("prints", {})).blocks[0].text == "*** ***"
    with pytest.raises(ToolFailed, match=r"\*\*\* \*\*\* \*\*\*$"):
        run(session.call("fails", {}))


def test_cut_at_any_byte_of_the_answer_it_is_executed_once(raw):
    chance = random.Random(1)
    for at in [*sorted(chance.sample(range(len(DONE)), 40)), len(DONE)]:
        raw.ran.clear()
        executing(raw, cut(DONE[:at]), whole)
        session = opened(raw)
        try:
            assert run(session.call("add", {})).reward == 1
        except OutcomeUnknown:
            assert b"t1\r\n\r\n" not in DONE[:at]
        assert len(raw.ran) == 1
        run(session.close())
