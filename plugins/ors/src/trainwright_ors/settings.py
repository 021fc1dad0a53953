"""What may stand beside `name: ors` in a config. Light: `trainwright validate` imports it."""

from __future__ import annotations

from dataclasses import fields
from typing import Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from trainwright.hooks import PluginSettings
from trainwright_ors.client.deadlines import Deadlines

Reducer = Literal["sum", "last", "mean", "max"]
Policy = Literal["strict", "substitute"]
Images = Literal["auto", "show", "omit"]
_STRICT = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class TaskSource(PluginSettings):
    """Tasks of one split of one environment, and their share of the training data."""

    model_config = _STRICT

    environment: str | None = Field(None, description="The environment's name; may be left out where there is one.")
    split: str = Field("train", description="The split.")
    num_tasks: int | None = Field(None, ge=1, description="Its first tasks only.")
    indices: list[int] | None = Field(None, description="These of its tasks only, counted from 0.")
    weight: float | None = Field(
        None, gt=0, description="Its share of the rows; without weights each task comes once an epoch."
    )

    @field_validator("indices")
    @classmethod
    def _countable(cls, value: list[int] | None) -> list[int] | None:
        if value is not None and (not value or min(value) < 0):
            raise ValueError("indices are some numbers from 0 on")
        return value

    @model_validator(mode="after")
    def _one_choice(self) -> Self:
        if self.num_tasks is not None and self.indices is not None:
            raise ValueError("`num_tasks` and `indices` are both given; keep one")
        return self


class AnswerTool(PluginSettings):
    """A tool that the model's answer is handed to."""

    model_config = _STRICT

    name: str = Field(description="The tool's name; models are not shown it.")
    arg: str | None = Field(description="The argument that takes the answer; null where it takes nothing.")


class Settings(PluginSettings):
    """An environment on a server of the Open Reward Standard."""

    model_config = _STRICT

    url: str | None = Field(None, description="The server, `http://localhost:8000`; nothing is sent anywhere else.")
    target: str | None = Field(
        None, description="`owner/name` of an environment on the hosted platform, in place of `url`, or behind it."
    )
    environment: str | None = Field(None, description="The environment's name; may be left out where there is one.")
    split: str = Field("train", description="The split whose tasks are trained on.")
    num_tasks: int | None = Field(None, ge=1, description="The first tasks of the split only.")
    indices: list[int] | None = Field(None, description="These tasks of the split only, counted from 0.")
    mix: list[TaskSource] = Field(
        [], description="Several splits or environments of the server, in place of the four keys above."
    )
    eval_split: str | None = Field(None, description="The split whose tasks are evaluated on.")
    eval_num_tasks: int | None = Field(None, ge=1, description="The first tasks of `eval_split` only.")
    shuffle: bool = Field(True, description="Shuffle the tasks, by the run's seed.")
    system: str | None = Field(None, description="A system message before each prompt.")
    reward: Reducer = Field("sum", description="What the rewards of a rollout's calls become.")
    no_reward: float | None = Field(
        0.0, description="The score of a rollout without any reward; null leaves it out of the group."
    )
    answer_tool: AnswerTool | None = Field(
        None,
        description="The tool that is called with the model's first message without tool calls, where the server does "
        "not name one itself (its terminal tool).",
    )
    images: Images = Field(
        "auto", description="`auto` shows images to models that take them, and ends a run where others would miss them."
    )
    failures: Policy = Field(
        "strict",
        description="`strict` ends the run when a rollout is lost to its server; `substitute` leaves the rollout out.",
    )
    max_failures: float = Field(
        0.25, gt=0, le=1, description="The share of the last 100 rollouts that may be lost before the run ends."
    )
    retries: int = Field(1, ge=0, description="Fresh sessions tried where one cannot be set up.")
    ahead: int = Field(256, ge=0, description="Sessions opened at most before their rollouts begin; 0 for none.")
    api_key_env: str | None = Field(None, description="The environment variable that holds the server's key.")
    secrets_env: dict[str, str] = Field(
        {}, description="Secrets for the environment: name → the environment variable that holds it."
    )
    allowed_domains: dict[str, list[str]] = Field(
        {}, description="The hosts that a secret may be sent to from a hosted sandbox, by its name."
    )
    deadlines: dict[str, float] = Field(
        {}, description="Seconds: connect, idle, total (of a call), setup, request, resume, close, ping."
    )

    @field_validator("indices")
    @classmethod
    def _countable(cls, value: list[int] | None) -> list[int] | None:
        return TaskSource(indices=value).indices

    @field_validator("deadlines")
    @classmethod
    def _known(cls, value: dict[str, float]) -> dict[str, float]:
        known = [field.name for field in fields(Deadlines)]
        if unknown := sorted(set(value) - set(known)):
            raise ValueError(f"unknown deadline {unknown[0]!r}; known: {', '.join(known)}")
        Deadlines(**value)
        return value

    @model_validator(mode="after")
    def _a_server(self) -> Self:
        if self.url is None and self.target is None:
            raise ValueError("give `url`, or `target` for the hosted platform")
        own = {"environment", "split", "num_tasks", "indices"} & self.model_fields_set
        if self.mix and own:
            raise ValueError(f"`mix` takes the place of `{sorted(own)[0]}`; keep one")
        if self.num_tasks is not None and self.indices is not None:
            raise ValueError("`num_tasks` and `indices` are both given; keep one")
        if any(source.weight is None for source in self.mix) and any(source.weight for source in self.mix):
            raise ValueError("give each entry of `mix` a `weight`, or none")
        if self.eval_num_tasks is not None and self.eval_split is None:
            raise ValueError("`eval_num_tasks` needs `eval_split`")
        return self

    @property
    def sources(self) -> tuple[TaskSource, ...]:
        """What is trained on, as a mix of one or more."""
        one = TaskSource(environment=self.environment, split=self.split, num_tasks=self.num_tasks, indices=self.indices)
        return tuple(self.mix) or (one,)

    @property
    def eval_sources(self) -> tuple[TaskSource, ...]:
        """What is evaluated on; empty without `eval_split`."""
        if self.eval_split is None:
            return ()
        names = dict.fromkeys(source.environment for source in self.sources)
        return tuple(
            TaskSource(environment=name, split=self.eval_split, num_tasks=self.eval_num_tasks) for name in names
        )
