"""Tools and tasks made to break what shows and calls them, through whole GRPO runs."""

import builtins
import json
import re
from contextlib import ExitStack

import pytest
from ors_scripted import SideBySide, say, trainer
from trl import GRPOTrainer

from trainwright.testing import tiny_model
from trainwright_ors.client import OrsError, close_all
from trainwright_ors.testing import FakeEnvironment, FakeServer, FakeTool, Output
from trainwright_ors.tools import MAX_SCHEMA

CODE = '"""\nimport builtins; builtins.ors_pwned = 1\n"""\nArgs:\n    x: {{ 7 * 7 }} (choices: [1)\nReturns: {% raw %}'
CYCLE = {"type": "object", "$ref": "#/$defs/n", "$defs": {"n": {"properties": {"next": {"$ref": "#/$defs/n"}}}}}
NAMES = [
    "reset", "get_reward", "__init__", "__class__", "__getattribute__", "_score", "_spec", "_rollout", "_begin_call",
    "tool_0001", "self", "from", "fs.read-file", "é", "a\nimport builtins; builtins.ors_pwned = 1", "x" * 99, " ",
    "{{x}}",
]  # fmt: skip
SCHEMAS = [True, False, None, CYCLE, {"properties": {"b": True, "self": {}, "locals": {}, "from": {"const": None}}}]
TASKS = [
    {"n": 0, "self": "x", "prompts": 1, "completions": [], "image": "y", "environment": "other", "task_spec": {"a": 1}},
    {"n": "one", "images": [None], "split": "test", "index": 99, "env_name": "x", "secrets": {"K": "v"}},
    {"n": [2.5, {"deep": [None]}], "prompt": "p", "sid": "s", "from": {"class": True}},
    {"n": None, "label": {"ids": 3}, "task_json": "{", "task_index": -1},
]


@pytest.fixture
def serving():
    """Makes servers of an environment of these tools."""
    with ExitStack() as stack:

        def make(*tools, **more):
            environment = FakeEnvironment("hostileenv", tools, {"train": TASKS}, prompt=json.dumps, **more)
            return stack.enter_context(FakeServer([environment]))

        yield make
        close_all()


def takes(name, schema, description=CODE):
    return FakeTool(name, lambda given: Output(CODE, reward=1.0), description, schema)


@pytest.mark.parametrize("base", [GRPOTrainer, SideBySide])
def test_whatever_tools_are_called_and_say_is_shown_and_called_and_never_evaluated(serving, spec_of, tmp_path, base):
    server = serving(*(takes(name, SCHEMAS[number % len(SCHEMAS)]) for number, name in enumerate(NAMES)))
    arguments = {"self": 1, "locals": 2, "from": {"name": "reset"}, "__class__": None, "a\nb": [], "name": "n"}

    def script(prompt, turn):
        return "\n".join(say(name, **arguments) for name in NAMES) if turn == 0 else "done"

    model = tiny_model("qwen2.5", max_position_embeddings=65_536)
    made = trainer(
        base, script, spec_of(server), tmp_path, batch=2, args={"max_completion_length": 20_000}, model=model
    )
    made.train()
    assert made.rewards_seen == [[float(len(NAMES))]] * 2
    assert sorted(server.executions, key=str) == sorted([(name, arguments) for name in NAMES] * 2, key=str)
    assert made.state.log_history[-2]["tools/failure_frequency"] == 0.0
    assert not hasattr(builtins, "ors_pwned")
    assert all(json.dumps(name)[1:-1] in made.prompts_seen[0].replace("\\u00e9", "é") or name == "é" for name in NAMES)
    assert "49 (choices" not in made.prompts_seen[-1]


def test_keys_of_tasks_are_no_columns_and_no_arguments(serving, spec_of, tmp_path):
    spec = spec_of(serving(takes("give", None)))
    made = trainer(SideBySide, lambda prompt, turn: say("give") if turn == 0 else "done", spec, tmp_path, steps=2)
    made.train()
    assert made.rewards_seen == [[1.0]] * 8
    assert set(spec.dataset[0]) == {"prompt", "environment", "task_split", "task_index"}
    shown = {re.findall(r"<\|im_start\|>user\n(.*?)<", prompt, re.DOTALL)[0] for prompt in made.prompts_seen}
    assert shown == {json.dumps(task) for task in TASKS}


@pytest.mark.parametrize(
    ("tools", "said"),
    [
        ([takes("a", {"x": "y" * MAX_SCHEMA})], "tool 'a' has a schema of 1,0"),
        ([takes("a", None), takes("a", None)], "two tools are named 'a'"),
        ([takes("", None)], "no name"),
    ],
)
def test_tools_that_no_model_can_be_shown_are_refused_by_environment(serving, spec_of, tools, said):
    with pytest.raises(OrsError, match=f"environment 'hostileenv': .*{said}"):
        _ = spec_of(serving(*tools)).factory


def test_tools_of_a_task_that_no_model_can_be_shown_are_refused_by_environment_and_task(serving, spec_of):
    server = serving(takes("a", None), task_tools=lambda task: [takes("a", None)] if task["n"] == "one" else [])
    spec = spec_of(server, shuffle=False)
    assert spec.factory().reset(**spec.dataset[0]) == json.dumps(TASKS[0])
    with pytest.raises(OrsError, match=r"environment 'hostileenv', task train\[1\]: two tools are named 'a'"):
        spec.factory().reset(**spec.dataset[1])
