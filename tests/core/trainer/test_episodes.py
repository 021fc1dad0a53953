"""Episodes side by side: calls of a turn begin together, each rollout has its own tools, resets begin together."""

import threading
from concurrent.futures import Future

import pytest

from trainwright.trainer.episodes import Calls, Episodes


def message(*calls):
    functions = [{"type": "function", "function": {"name": name, "arguments": given}} for name, given in calls]
    return {"role": "assistant", "tool_calls": functions}


class Started:
    """A tool whose calls end only once `wanted` of them have begun: called one by one it would wait for ever."""

    def __init__(self, wanted):
        self.wanted, self.begun, self.all = wanted, [], Future()

    def begin(self, **arguments):
        self.begun.append(arguments)
        if len(self.begun) == self.wanted:
            self.all.set_result(None)
        answer = Future()
        self.all.add_done_callback(lambda _: answer.set_result(arguments))
        return answer


def as_trl(calls, rollout, name, **arguments):
    return calls[rollout][name](**arguments)


def test_the_calls_of_all_rollouts_begin_before_the_first_is_waited_for():
    tool = Started(3)
    completions = [[message(("add", {"a": rollout}))] for rollout in range(3)]
    calls = Calls(completions, [{"add": tool}] * 3)
    assert [as_trl(calls, rollout, "add", a=rollout) for rollout in range(3)] == [{"a": 0}, {"a": 1}, {"a": 2}]


def test_the_next_turn_begins_the_calls_of_those_that_go_on():
    tool = Started(2)
    completions = [[message(("add", {"a": 0}))], [message(("add", {"a": 1}))]]
    calls = Calls(completions, [{"add": tool}] * 2)
    for rollout in range(2):
        as_trl(calls, rollout, "add", a=rollout)
    completions[1] += [{"role": "tool", "content": ""}, message(("add", {"a": 2}))]
    completions[0] += [{"role": "tool", "content": ""}, {"role": "assistant", "content": "done"}]
    assert as_trl(calls, 1, "add", a=2) == {"a": 2}
    assert tool.begun == [{"a": 0}, {"a": 1}, {"a": 2}]


def test_a_turn_that_trl_rolled_back_is_not_begun_again():
    tool = Started(2)
    completions = [[message(("add", {"a": 0}))], [message(("add", {"a": 1}))]]
    calls = Calls(completions, [{"add": tool}] * 2)
    for rollout in range(2):
        as_trl(calls, rollout, "add", a=rollout)
    completions[1] += [{"role": "tool", "content": ""}, message(("add", {"a": 2}))]  # the first was too long
    as_trl(calls, 1, "add", a=2)
    assert len(tool.begun) == 3


def test_several_calls_of_one_turn_are_answered_in_their_order():
    tool = Started(2)
    calls = Calls([[message(("add", {"a": 1}), ("add", {"a": 2}))]], [{"add": tool}])
    assert [as_trl(calls, 0, "add", a=given) for given in (1, 2)] == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize("arguments", [None, "text", [1], {1: 2}])
def test_a_call_that_trl_refuses_shifts_no_other(arguments):
    tool = Started(1)
    calls = Calls([[message(("add", arguments), ("add", {"a": 2}))]], [{"add": tool}])
    with pytest.raises(TypeError):
        calls[0]["add"](**arguments)
    assert as_trl(calls, 0, "add", a=2) == {"a": 2}


def test_what_a_tool_raises_reaches_its_own_rollout_only():
    class Refuses:
        def begin(self, **arguments):
            raise LookupError("no")

    fine = Started(1)
    calls = Calls([[message(("t", {}))], [message(("t", {}))]], [{"t": Refuses()}, {"t": fine}])
    with pytest.raises(LookupError, match="no"):
        as_trl(calls, 0, "t")
    assert as_trl(calls, 1, "t") == {}


def test_coroutine_functions_run_side_by_side_and_plain_functions_one_by_one():
    import asyncio

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    met = []

    async def meet(a):
        met.append(a)
        while len(met) < 2:
            await asyncio.sleep(0.001)
        return a

    plain = []
    tools = {"meet": meet, "plain": plain.append}
    completions = [[message(("meet", {"a": 0}), ("plain", {}))], [message(("meet", {"a": 1}))]]
    calls = Calls(completions, [tools, tools], loop)
    assert [as_trl(calls, rollout, "meet", a=rollout) for rollout in range(2)] == [0, 1]
    assert plain == []
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


class Trl:
    """What the mixin stands before: the attributes and the methods that TRL's trainer has."""

    def __init__(self, factories, environments, multi=False):
        self.environment_factories, self.environments, self._multi_environment = factories, environments, multi
        self._standalone_tools, self._env_tools = [], {None: []}
        self._batch_environments = [None] * len(environments)
        self._sync_tool_dicts = [{} for _ in environments]
        self._async_tool_dicts = [{} for _ in environments]

    def _generate_and_score_completions(self, inputs):
        return inputs

    def _generate(self, prompts):
        return [self._env_tools[name] for name in self._batch_environments]

    def _tool_call_loop(self, prompts, prompt_ids, completion_ids, completions):
        return [sorted(self._sync_tool_dicts[rollout]) for rollout in range(len(prompts))]


class Trainer(Episodes, Trl):
    pass


class Task:
    def __init__(self, *tools):
        self.tools = tools

    def _episode_tools(self):
        return self.tools


def named(name):
    def tool():
        return name

    tool.__name__ = name
    return tool


def test_each_prompt_is_shown_and_each_rollout_given_the_tools_of_its_own_episode():
    one, two = named("one"), named("two")
    trainer = Trainer({None: None}, [Task(one), Task(one, two)])
    assert trainer._generate([]) == [[one], [one, two]]
    assert trainer._tool_call_loop([0, 1], [], [], [[], []]) == [["one"], ["one", "two"]]


def test_environments_without_tools_of_their_own_are_as_trl_has_them():
    trainer = Trainer({None: None}, [object()])
    trainer._sync_tool_dicts = [{"plain": named("plain")}]
    assert trainer._generate([]) == [[]]
    assert trainer._tool_call_loop([0], [], [], [[]]) == [["plain"]]


@pytest.mark.parametrize("multi", [False, True])
def test_a_factory_hears_of_its_rows_before_any_reset(multi):
    class Factory:
        def begin(self, rows):
            self.rows = rows

    first, second = Factory(), Factory()
    factories = {"a": first, "b": second} if multi else {None: first}
    rows = [{"environment": "a", "n": 1}, {"environment": "b", "n": 2}]
    Trainer(factories, [], multi)._generate_and_score_completions(rows)
    assert first.rows == (rows[:1] if multi else rows)
    assert not multi or second.rows == rows[1:]
