"""What a hostile or broken server sends is not evaluated, not followed, not waited for, and does not leak."""

import asyncio
import io
import logging
import pickle
import traceback

import pytest
from ors_raw import Raw, head, reply
from pydantic import SecretStr

from trainwright_ors.client import (
    Client,
    Deadline,
    Deadlines,
    EnvironmentFailed,
    HttpRefused,
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
from trainwright_ors.client.secrets import Hidden
from trainwright_ors.client.types import TerminalTool

KEY, SECRET = "sk-0123456789abcdef", "hunter2-hunter2"
QUICK = Deadlines(connect=0.3, idle=0.3, total=1, setup=1, request=1, close=1)


def client(raw, **settings):
    return Client(
        raw.url, **{"deadlines": QUICK, "api_key": SecretStr(KEY), "secrets": {"K": SecretStr(SECRET)}, **settings}
    )


def tool(name="x", **schema):
    return {"name": name, "description": "d", "input_schema": {"type": "object", **schema}}


@pytest.mark.parametrize("path", ["list_environments", "tools", "create_session", "create", "prompt", "call", "tasks"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_never_followed(raw, path, status):
    with Raw() as elsewhere:
        raw.answers[path] = lambda asked: reply({}, status, Location=f"{elsewhere.url}/{path}")

        async def everything():
            here = client(raw)
            await here.tools("mathenv")
            await here.tasks("mathenv", "train")
            session = await here.open("mathenv", split="train", index=0)
            await session.prompt()
            await session.call("add", {})

        raw.answers.setdefault("tasks", lambda asked: reply({"tasks": []}))
        with pytest.raises(ProtocolError, match=f"redirects to 127.0.0.1:{elsewhere.port} .HTTP {status}"):
            run(everything())
        assert not elsewhere.asked


def test_a_redirect_that_hides_a_password_does_not_show_it(raw):
    raw.answers["list_environments"] = lambda asked: reply({}, 302, Location=f"http://u:{SECRET}@evil.example/{KEY}")
    with pytest.raises(ProtocolError, match=r"redirects to evil\.example \(") as caught:
        run(client(raw).describe())
    assert SECRET not in str(caught.value)


def test_cookies_are_neither_kept_nor_sent(raw):
    raw.answers["list_environments"] = lambda asked: reply(["mathenv"], Set_Cookie="a=b; Path=/")
    here = client(raw)
    run(here.describe())
    run(here.tools("mathenv"))
    assert not [asked for asked in raw.asked if "cookie" in asked.headers]


def test_the_key_goes_to_its_server_alone_though_connections_are_shared(raw):
    with Raw() as other:
        run(client(raw).tools("mathenv"))
        run(Client(other.url, deadlines=QUICK).tools("mathenv"))
        run(client(raw).tools("mathenv"))
        assert all(asked.headers["x-api-key"] == KEY for asked in raw.asked)
        assert not [asked for asked in other.asked if "x-api-key" in asked.headers]


def test_keys_of_the_environment_are_not_taken(raw, monkeypatch):
    for name in ("OPENREWARD_API_KEY", "ORS_API_KEY", "API_KEY"):
        monkeypatch.setenv(name, KEY)
    run(Client(raw.url).describe())
    assert not [asked for asked in raw.asked if "x-api-key" in asked.headers]


@pytest.mark.parametrize(
    ("generation", "header", "body"),
    [
        ("ors", None, {"K": SECRET}),
        ("openreward", "eyJLIjogeyJ2YWx1ZSI6ICJodW50ZXIyLWh1bnRlcjIiLCAiYWxsb3dlZF9kb21haW5zIjogWyJhIl19fQ==", None),
    ],
)
def test_secrets_go_by_the_channel_that_the_server_reads_and_by_no_other(raw, generation, header, body):
    if generation == "openreward":
        raw.answers["version"] = lambda asked: reply({"version": "0.1.167"})
    run(client(raw, domains={"K": ["a"]}).open("mathenv", split="train", index=0))
    create = next(asked for asked in raw.asked if asked.path == "/create")
    assert (create.headers.get("x-secrets"), create.body.get("secrets")) == (header, body)
    assert [asked.path for asked in raw.asked if "x-secrets" in asked.headers] == (["/create"] if header else [])


def test_an_openreward_server_is_known_without_its_version_too(raw):
    raw.answers["tools"] = lambda asked: reply({"tools": [], "supports_score_group": False})
    assert run(client(raw).describe()).generation == "openreward"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8000",
        "ftp://a",
        "http://",
        "http://u:p@a",
        "http://a?x=1",
        "http://a#x",
        "http://a:b",
        "http://[::1",
    ],
)
def test_an_address_that_is_none_is_refused_without_being_quoted(url):
    with pytest.raises(OrsError, match="URL"):
        Client(url)


def test_a_key_that_no_header_can_hold_is_refused_without_being_quoted(raw):
    value = "defghijk" * 2
    with pytest.raises(OrsError, match="cannot be sent") as caught:
        run(Client(raw.url, api_key=SecretStr(f"abc\r\nX-Evil: {value}")).describe())
    assert value not in "".join(traceback.format_exception(caught.value))
    assert not raw.asked


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


@pytest.mark.parametrize("status", [401, 403])
def test_a_server_that_asks_for_a_key_says_so(raw, status):
    raw.answers["list_environments"] = lambda asked: reply({"detail": "who are you"}, status)
    with pytest.raises(HttpRefused, match=r"who are you\n.*api_key"):
        run(Client(raw.url, deadlines=QUICK).describe())


def test_neither_secrets_nor_ids_are_in_logs_reprs_errors_or_tracebacks(raw):
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    logger = logging.getLogger()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    raw.answers["call"] = lambda asked: reply({"detail": f"{asked.headers}"}, 418)
    raw.answers["delete"] = lambda asked: reply({"detail": f"{asked.headers}"}, 418)
    try:
        here = client(raw)
        session = run(here.open("mathenv", split="train", index=0))
        with pytest.raises(HttpRefused) as caught:
            run(session.call("add", {}))
        run(session.close())
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
    shown = "".join(traceback.format_exception(caught.value)) + written.getvalue()
    shown += f"{here!r} {here._wire!r} {session!r} {vars(session)['_wire']!r}"
    assert "x-api-key" in shown
    assert not [word for word in (KEY, SECRET, session.sid) if word in shown]


def test_a_long_error_with_control_characters_is_shortened_and_cleaned(raw):
    raw.answers["splits"] = lambda asked: reply({"detail": "a\x1b[31m\x00b" + "x" * 5000}, 400)
    with pytest.raises(HttpRefused) as caught:
        run(client(raw).splits("mathenv"))
    assert "a[31mb" in str(caught.value)
    assert len(str(caught.value)) < 2200


def test_short_values_are_not_looked_for_in_innocent_text():
    assert Hidden([SecretStr("a"), SecretStr("long-enough")]).mask("a cat, long-enough") == "a cat, ***"


def test_errors_cross_processes_with_all_that_they_say():
    place = Place("mathenv", "train[3]", "add")
    for error in (
        ToolFailed("no", place, reason="not_found", remedy="look"),
        EnvironmentFailed("boom", place, status=500),
        OutcomeUnknown("lost", place),
    ):
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_a_client_can_be_pickled_with_all_that_it_was_given(raw):
    here = pickle.loads(pickle.dumps(client(raw, deployment="owner/name", domains={"K": ["a"]})))
    run(here.describe())
    assert raw.asked[-1].headers["x-deployment"] == "owner/name"
    assert (here._wire.deadlines, here._domains) == (QUICK, {"K": ["a"]})
    assert here._secrets["K"].get_secret_value() == SECRET


def test_on_a_hosted_platform_every_request_has_a_session_and_gives_it_back(raw):
    raw.answers["version"] = lambda asked: reply({"version": "1"})
    here = client(raw, deployment="owner/name")
    run(here.tools("mathenv"))
    ids = [asked.headers.get("x-session-id") for asked in raw.asked if asked.path != "/create_session"]
    assert all(ids)
    assert raw.paths().count("POST /delete_session") == raw.paths().count("POST /create_session") == 2
    assert all(asked.headers["x-deployment"] == "owner/name" for asked in raw.asked)


def test_a_key_over_plain_http_to_another_machine_is_warned_of(caplog):
    Client("http://192.0.2.1:8000", api_key=SecretStr(KEY))
    assert "not https" in caplog.text
    caplog.clear()
    for url in ("https://192.0.2.1", "http://localhost:1", "http://127.8.0.1", "http://[::1]:3"):
        Client(url, api_key=SecretStr(KEY))
    assert not caplog.text
