"""Each hook through the manager: a small plugin is installed, chosen, called with what core passes, and answers."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from trainwright.config import RunConfig
from trainwright.errors import ConfigError, DataError, Problem
from trainwright.hooks import Environment, EnvSpec, LogStep, PluginSettings, TemplateAnswer, TemplateRequest, Tokens


@pytest.fixture
def manager_with(install, discover):
    """A manager that has one plugin, `mine`, whose module has this source."""

    def make(hook, source):
        install(
            "acme", {hook: "mine = acme_mod"}, acme_mod=f"from trainwright import hookimpl, PluginSettings\n{source}"
        )
        return discover()

    return make


def test_hook_compute_loss(manager_with):
    manager = manager_with(
        "compute_loss",
        """
class Settings(PluginSettings):
    scale: float = 2.0

@hookimpl
def compute_loss(ctx):
    return ctx.loss([ctx.settings.scale * value for value in ctx.batch["values"]], per="token")
""",
    )
    record = manager.provider("compute_loss", "mine")
    context = SimpleNamespace(
        batch={"values": [1.0, 2.0]},
        settings=record.settings_model(scale=3),
        loss=lambda values, per: (values, per),
    )
    assert manager.slot("compute_loss", "mine")(ctx=context) == ([3.0, 6.0], "token")


def test_hook_compute_loss_rejects_settings_it_does_not_have(manager_with):
    source = "class Settings(PluginSettings):\n    scale: float = 2.0\n@hookimpl\ndef compute_loss(ctx): return 1\n"
    settings = manager_with("compute_loss", source).provider("compute_loss", "mine").settings_model
    with pytest.raises(ValueError, match="scael"):
        settings(scael=1)
    with pytest.raises(ValueError, match="frozen"):
        settings().scale = 5


def test_hook_build_env(manager_with):
    manager = manager_with(
        "build_env",
        """
from trainwright.hooks import Environment

@hookimpl
def build_env(spec):
    def reward(prompts, completions, **columns):
        return [float(len(completion) + spec.seed) for completion in completions]
    return Environment(reward_functions=[reward])
""",
    )
    spec = EnvSpec(method="grpo", settings=PluginSettings(), folder=Path(), seed=10)
    environment = manager.slot("build_env", "mine")(spec=spec)
    assert isinstance(environment, Environment)
    (reward,) = environment.reward_functions
    assert reward(prompts=["a"], completions=["four"]) == [14.0]
    assert environment.dataset is None


TEMPLATE = """
from trainwright.errors import DataError
from trainwright.hooks import TemplateAnswer, Tokens

@hookimpl
def chat_template(request):
    if request.assistant_only and request.processing_class is None:
        raise DataError("no mask can be derived")
    def tokenize(messages, tools=None, **keywords):
        return Tokens([len(message["content"]) for message in messages], [0, 1])
    return TemplateAnswer(tokenize=tokenize, source="by hand")
"""


def test_hook_chat_template(manager_with):
    slot = manager_with("chat_template", TEMPLATE).slot("chat_template", "mine")
    answer = slot(request=TemplateRequest("sft", object(), None, Path(), assistant_only=True))
    assert isinstance(answer, TemplateAnswer)
    assert answer.tokenize([{"content": "ab"}, {"content": "c"}]) == Tokens([2, 1], [0, 1])


def test_hook_chat_template_refuses_in_its_own_words(manager_with):
    slot = manager_with("chat_template", TEMPLATE).slot("chat_template", "mine")
    with pytest.raises(DataError, match="no mask can be derived"):
        slot(request=TemplateRequest("sft", None, None, Path(), assistant_only=True))


def test_hook_metrics(manager_with):
    source = "@hookimpl\ndef metrics(step):\n    return {'tokens_per_second': step.tokens / step.seconds}\n"
    step = LogStep(step=5, logs={}, tokens=300, seconds=2.0, sequence_length=30.0, world_size=1)
    (answer,) = manager_with("metrics", source).broadcast("metrics", only=["mine"], step=step)
    assert answer.value == {"tokens_per_second": 150.0}
    assert answer.record.name == "mine"


RULE = """
from trainwright import Problem

@hookimpl
def validate_config(config):
    if config.lora is None:
        yield Problem("this loss is for adapters", config.where("lora"), "add lora: {r: 16}")
"""


def test_hook_validate_config(manager_with):
    config = RunConfig(model="m", output="runs/x")
    (answer,) = manager_with("validate_config", RULE).broadcast("validate_config", config=config)
    assert answer.value == (Problem("this loss is for adapters", "lora", "add lora: {r: 16}", origin="mine"),)
    assert "[plugin mine]" in str(ConfigError(answer.value))


def test_hook_validate_config_finds_nothing_where_all_is_well(manager_with):
    config = RunConfig(model="m", output="runs/x", lora={"r": 4})
    (answer,) = manager_with("validate_config", RULE).broadcast("validate_config", config=config)
    assert answer.value == ()
