"""One object for TRL's three slots: `dataset`, `factory`, `reward_func`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from trainwright_ors.ahead import Ahead
from trainwright_ors.client import (
    HOSTED,
    Client,
    Deadlines,
    OrsError,
    Place,
    TerminalTool,
    Toolset,
    ToolSpec,
    close_all,
    run,
)
from trainwright_ors.episode import EpisodeFactory
from trainwright_ors.failures import Failures
from trainwright_ors.plan import Plan, Rows, make_plan
from trainwright_ors.rewards import RewardFunction
from trainwright_ors.settings import Settings
from trainwright_ors.tasks import ReadRows, make_dataset

if TYPE_CHECKING:
    from datasets import Dataset

Factory = EpisodeFactory | dict[str, EpisodeFactory]
_MADE = ("dataset", "eval_dataset", "factory", "scoring_factory", "reward_func")


class OrsSpec:
    """An environment on a server of the Open Reward Standard; picklable.

        spec = OrsSpec("http://localhost:8000", environment="mathenv", reward="sum")
        GRPOTrainer(..., train_dataset=spec.dataset, environment_factory=spec.factory, reward_funcs=spec.reward_func)

    The server is asked when a slot is first read.

    Args:
        url: The server; None for the hosted platform, with `target` among the settings.
        seed: Of the tasks' order.
        vision: Whether the model takes images.
        api_key: The server's key.
        secrets: For the environment, by name.
        **settings: The keys of `trainwright_ors.settings.Settings`, but those that name variables of the process's
            environment.

    Raises:
        pydantic.ValidationError: A setting does not exist or has no such value.
        OrsError: The URL cannot be used.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        seed: int = 0,
        vision: bool = False,
        api_key: str | SecretStr | None = None,
        secrets: Mapping[str, str | SecretStr] | None = None,
        **settings: Any,
    ) -> None:
        self.settings = Settings.model_validate({**({} if url is None else {"url": url}), **settings})
        self.seed = seed
        self.images = {"auto": True if vision else None, "show": True, "omit": False}[self.settings.images]
        self.client = Client(
            self.settings.url or HOSTED,
            api_key=None if api_key is None else _secret(api_key),
            secrets={name: _secret(value) for name, value in (secrets or {}).items()},
            deadlines=Deadlines(**self.settings.deadlines),
            deployment=self.settings.target,
            domains=self.settings.allowed_domains,
        )
        self.ahead = Ahead(self.client, self.settings.retries, self.settings.ahead)
        self.failures = Failures(self.settings.failures, self.settings.max_failures)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in _MADE}

    @cached_property
    def plan(self) -> Plan:
        """What the server offers."""
        return run(make_plan(self.client, self.settings, self.seed))

    @cached_property
    def dataset(self) -> Dataset:
        """The tasks to train on: columns `prompt`, `environment`, `task_split`, `task_index`.

        On a server that knows tasks by their specifications alone there is `task_json` too.
        """
        return self._dataset(self.plan.train)

    @cached_property
    def eval_dataset(self) -> Dataset | None:
        """The tasks to evaluate on, in the server's order; None without `eval_split`."""
        return None if self.plan.eval is None else self._dataset(self.plan.eval)

    @cached_property
    def factory(self) -> Factory:
        """Makes episodes, for trainers that give environments to reward functions; by name where there are several."""
        return self._factory(scoring=False)

    @cached_property
    def scoring_factory(self) -> Factory:
        """The same for trainers that do not (AsyncGRPO): episodes have `get_reward`, and `reward_func` is not given.

        Raises:
            OrsError: An environment is answered by a message, which `get_reward` does not see.
        """
        for name, toolset in self.plan.tools.items():
            if self.terminal(toolset, name) is not None:
                remedy = "give `spec.reward_func`, and `spec.factory` if the model calls tools as well"
                raise OrsError("its terminal tool takes the model's answer", Place(name), remedy=remedy)
        return self._factory(scoring=True)

    @cached_property
    def reward_func(self) -> RewardFunction:
        """Scores rollouts."""
        return RewardFunction(self)

    @property
    def calls_tools(self) -> bool:
        """Whether models are shown any tool."""
        return any(self.shown(toolset) for toolset in self.plan.tools.values())

    def terminal(self, toolset: Toolset, environment: str) -> TerminalTool | None:
        """The tool that an answer is handed to: the config's, else the task's, else the environment's."""
        answer = self.settings.answer_tool
        if answer is not None:
            return TerminalTool(answer.name, answer.arg, "")
        return toolset.terminal or self.plan.tools[environment].terminal

    def shown(self, toolset: Toolset) -> list[ToolSpec]:
        """The tools that models are shown."""
        answer = self.settings.answer_tool
        return [tool for tool in toolset.tools if answer is None or tool.name != answer.name]

    def close(self) -> None:
        """End the sessions of this process."""
        self.ahead.clear()
        close_all()

    def _dataset(self, rows: Rows) -> Dataset:
        read = ReadRows(rows.sources, self.settings.system, self.ahead if self.settings.ahead else None)
        return make_dataset(rows.source, rows.index, read)

    def _factory(self, *, scoring: bool) -> Factory:
        made = {
            name: EpisodeFactory(self, name, self.shown(toolset), scoring=scoring)
            for name, toolset in self.plan.tools.items()
        }
        return made if len(made) > 1 else next(iter(made.values()))


def _secret(value: str | SecretStr) -> SecretStr:
    return SecretStr(value) if isinstance(value, str) else value
