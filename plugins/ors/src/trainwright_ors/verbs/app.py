"""`trainwright env show|try`: the verbs and their arguments. Nothing is imported here that a verb needs only later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pydantic import SecretStr

    from trainwright_ors.client import Client

Url = Annotated[
    str, typer.Argument(metavar="URL", help="The server: http://localhost:8000, or `hosted`.", show_default=False)
]
Name = Annotated[
    str | None,
    typer.Option("--environment", metavar="NAME", help="One environment of the server.", show_default=False),
]
Target = Annotated[
    str | None,
    typer.Option("--target", metavar="OWNER/NAME", help="An environment of a hosted platform.", show_default=False),
]
KeyEnv = Annotated[
    str | None,
    typer.Option(
        "--api-key-env", metavar="VARIABLE", help="The variable that holds the server's key.", show_default=False
    ),
]
SecretEnv = Annotated[
    list[str] | None,
    typer.Option(
        "--secret-env",
        metavar="NAME=VARIABLE",
        help="A secret for the environment, and the variable that holds it; may be repeated.",
        show_default=False,
    ),
]

app = typer.Typer(name="env", help="Look at environments of the Open Reward Standard.", no_args_is_help=True)


@app.command()
def show(
    url: Url,
    environment: Name = None,
    tasks: Annotated[int, typer.Option("--tasks", min=0, help="How many tasks of each split.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout, for programs.")] = False,
    target: Target = None,
    api_key_env: KeyEnv = None,
) -> None:
    """List environments, splits, tools and tasks.

    No session is opened: tools that only single tasks have are seen with `try`.
    """
    from trainwright_ors.verbs.show import show as run

    run(_client(url, target, api_key_env, ()), environment, tasks=tasks, as_json=as_json)


@app.command(name="try")
def play(
    url: Url,
    environment: Name = None,
    split: Annotated[str, typer.Option("--split", help="The split.")] = "train",
    index: Annotated[int, typer.Option("--index", min=0, help="The task's number in it.")] = 0,
    target: Target = None,
    api_key_env: KeyEnv = None,
    secret_env: SecretEnv = None,
) -> None:
    """Play one episode by hand.

    Each line of the input is a call, `NAME {"argument": "value"}`; `/say TEXT` is the model's plain message, `/tools`
    shows the schemas, `/quit` leaves.
    """
    from trainwright_ors.verbs.play import play as run

    run(_client(url, target, api_key_env, secret_env or ()), environment, split, index)


def _client(url: str, target: str | None, key: str | None, secrets: list[str] | tuple[()]) -> Client:
    from trainwright_ors.client import HOSTED, Client

    named = dict(_pair(given) for given in secrets)
    return Client(
        HOSTED if url == "hosted" else url,
        api_key=None if key is None else _held(key, "--api-key-env"),
        secrets={name: _held(variable, "--secret-env") for name, variable in named.items()},
        deployment=target,
    )


def _pair(given: str) -> tuple[str, str]:
    from trainwright.errors import UsageError

    name, equals, variable = given.partition("=")
    if not (name and equals and variable):
        raise UsageError(f"{given!r} is not NAME=VARIABLE", where="--secret-env", remedy="write TOKEN=MY_TOKEN")
    return name, variable


def _held(variable: str, option: str) -> SecretStr:
    import os

    from pydantic import SecretStr

    from trainwright.errors import UsageError

    if not (value := os.environ.get(variable)):
        message = f"the environment variable {variable!r} is not set"
        raise UsageError(message, where=option, remedy=f"export {variable}=…")
    return SecretStr(value)
