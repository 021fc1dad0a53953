"""`env: ors`: train against any server of the Open Reward Standard. Light to import."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from trainwright.errors import Problem
from trainwright.hooks import Environment, EnvSpec, hookimpl
from trainwright_ors.settings import Settings

if TYPE_CHECKING:
    from trainwright.config import RunConfig

__all__ = ["Settings", "build_env", "validate_config"]

METHODS = ("grpo",)


@hookimpl
def build_env(spec: EnvSpec) -> Environment:
    """The server's tasks, episodes and rewards."""
    from trainwright_ors.spec import OrsSpec

    settings: Settings = spec.settings
    key = settings.api_key_env
    ors = OrsSpec(
        seed=spec.seed,
        vision=spec.vision,
        api_key=os.environ[key] if key else None,
        secrets={name: os.environ[variable] for name, variable in settings.secrets_env.items()},
        **settings.model_dump(exclude_unset=True),
    )
    return Environment(
        dataset=ors.dataset,
        reward_functions=[ors.reward_func],
        environment_factory=ors.factory,
        eval_dataset=ors.eval_dataset,
        calls_tools=ors.calls_tools,
        identity=ors.plan.identity,
        close=ors.close,
    )


@hookimpl
def validate_config(config: RunConfig) -> Iterator[Problem]:
    """What the settings' model cannot know: the method, and the variables that hold keys."""
    if config.env is None or config.env.name != "ors":
        return
    if config.method not in METHODS:
        message = f"environments are for the method `{METHODS[0]}`; TRL's trainer of `{config.method}` takes none"
        yield Problem(message, config.where("env"), f"Write `method: {METHODS[0]}`, or use `rewards:`.")
    given = config.env.settings
    secrets = given.get("secrets_env")
    variables = {"env.api_key_env": given.get("api_key_env")}
    if isinstance(secrets, dict):
        variables |= {f"env.secrets_env.{name}": variable for name, variable in secrets.items()}
    for place, variable in variables.items():
        if isinstance(variable, str) and not os.environ.get(variable):
            message = f"the environment variable `{variable}` is not set"
            yield Problem(message, config.where(place), f"export {variable}=…")
