"""Episodes of a batch side by side: resets begin together, tool calls of a turn run together, tools differ by task.

TRL resets environments one after another and calls sync tools one by one. What an environment offers beyond TRL's
contract is used here; what it does not offer is as TRL does it:

* `factory.begin(rows)` starts what the resets of these rows will wait for;
* `environment._episode_tools()` gives the tools of the episode that was reset last, where they differ by task;
* `tool.begin(**arguments)` starts a call and returns an object with `result()`. Coroutine functions are started too.

Works with TRL's own trainer as well: `class Trainer(Episodes, GRPOTrainer): ...`.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Protocol


class Pending(Protocol):
    """A tool call under way; `concurrent.futures.Future` is one."""

    def result(self) -> Any:
        """Wait for it; raises what the tool raised."""


Starter = Callable[[Mapping[str, Any]], Pending]


class Calls:
    """The tools of each rollout by name; when the first is asked for in a turn, the calls of all rollouts begin.

    Args:
        completions: The messages of each rollout so far; TRL appends to these very lists. (B)
        tools: The tools of each rollout, by name. (B)
        loop: Where coroutine functions run; None where no tool is one.
    """

    def __init__(
        self,
        completions: Sequence[Sequence[Mapping[str, Any]]],
        tools: Sequence[Mapping[str, Any]],
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._completions, self._tools, self._loop = completions, tools, loop
        self._seen: dict[int, Mapping[str, Any]] = {}  # the message begun last, by rollout
        self._begun: defaultdict[tuple[int, str], deque[Pending | None]] = defaultdict(deque)

    def __getitem__(self, rollout: int) -> Mapping[str, Callable[..., Any]]:
        self._begin_turn()
        return {name: partial(self._result, rollout, name) for name in self._tools[rollout]}

    def _begin_turn(self) -> None:
        for rollout, messages in enumerate(self._completions):
            last = messages[-1] if messages else None
            if last is not None and last.get("tool_calls") and self._seen.get(rollout) is not last:
                self._seen[rollout] = last
                self._begin(rollout, last["tool_calls"])

    def _begin(self, rollout: int, calls: Sequence[Mapping[str, Any]]) -> None:
        for name, arguments in _well_formed(calls):
            if name in self._tools[rollout]:
                starter = self._starter(self._tools[rollout][name])
                self._begun[rollout, name].append(starter(arguments) if starter else None)

    def _starter(self, tool: Any) -> Starter | None:
        """What starts a call of this tool; None where it can only be called."""
        if inspect.iscoroutinefunction(tool):
            loop = self._loop
            return lambda arguments: asyncio.run_coroutine_threadsafe(tool(**arguments), loop)  # type: ignore[arg-type]
        begin = getattr(tool, "begin", None)
        return None if begin is None else partial(_start, begin)

    def _result(self, rollout: int, name: str, /, **arguments: Any) -> Any:
        queue = self._begun[rollout, name]
        pending = queue.popleft() if queue else None
        return self._tools[rollout][name](**arguments) if pending is None else pending.result()


class _Failed:
    """A call that could not even begin."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def result(self) -> Any:
        raise self._error


def _start(begin: Callable[..., Pending], arguments: Mapping[str, Any]) -> Pending:
    try:
        return begin(**arguments)
    except Exception as error:  # the tool's own: it belongs to its rollout, not to the others of the batch
        return _Failed(error)


def _well_formed(calls: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Name and arguments of the calls that TRL passes on: it answers the others itself."""
    for call in calls:
        function = call.get("function") if call.get("type") == "function" else None
        arguments = (function or {}).get("arguments")
        if function and isinstance(arguments, Mapping) and all(isinstance(key, str) for key in arguments):
            yield function["name"], arguments


class Episodes:
    """Mixin before a TRL trainer that has environments."""

    def _generate_and_score_completions(self: Any, inputs: Any) -> Any:
        for name, factory in (self.environment_factories or {}).items():
            if begin := getattr(factory, "begin", None):
                begin([row for row in inputs if not self._multi_environment or row.get("environment") == name])
        return super()._generate_and_score_completions(inputs)  # type: ignore[misc]

    def _generate(self: Any, prompts: list[Any]) -> Any:
        """Generate, each prompt shown with the tools of its own episode."""
        for rollout, environment in enumerate(self.environments or ()):
            if of_episode := getattr(environment, "_episode_tools", None):
                own = (rollout, self._batch_environments[rollout])
                self._env_tools[own] = [*self._standalone_tools, *of_episode()]
                self._batch_environments[rollout] = own
        return super()._generate(prompts)  # type: ignore[misc]

    def _tool_call_loop(self: Any, prompts: Any, prompt_ids: Any, completion_ids: Any, completions: Any, *rest: Any,
                        **named: Any) -> Any:  # fmt: skip
        tools = [
            self._tools_of(rollout, synchronous | asynchronous)
            for rollout, (synchronous, asynchronous) in enumerate(
                zip(self._sync_tool_dicts, self._async_tool_dicts, strict=True)
            )
        ]
        self._sync_tool_dicts = Calls(completions, tools, getattr(self, "async_loop", None))
        self._async_tool_dicts: list[dict[str, Any]] = [{} for _ in tools]
        return super()._tool_call_loop(  # type: ignore[misc]
            prompts, prompt_ids, completion_ids, completions, *rest, **named
        )

    def _tools_of(self: Any, rollout: int, otherwise: dict[str, Any]) -> dict[str, Any]:
        environment: Any = self.environments[rollout] if self.environments else None
        if not hasattr(environment, "_episode_tools"):
            return otherwise
        return {tool.__name__: tool for tool in [*self._standalone_tools, *environment._episode_tools()]}
