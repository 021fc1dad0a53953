"""Keys, secrets and ids go to one server by one channel, and are seen nowhere else."""

import io
import logging
import pickle
import traceback

import pytest
from ors_keyed import KEY, QUICK, SECRET, client
from ors_raw import Raw, reply
from pydantic import SecretStr

from trainwright_ors.client import (
    Client,
    HttpRefused,
    OrsError,
    ProtocolError,
    run,
)
from trainwright_ors.client.secrets import Hidden


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
