"""The composed JSON Schema says the same as the check: what it takes is taken, what it refuses is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from trainwright.config.check import CheckedConfig
from trainwright.config.load import load_dict
from trainwright.config.schema import DIALECT, build_schema
from trainwright.config.training import SET_ELSEWHERE
from trainwright.errors import ConfigError
from trainwright.plugins.manager import PluginManager
from trainwright.trainer.methods import METHODS

MINIMAL: dict[str, Any] = {"model": "acme/tiny", "output": "x"}
GOOD: list[dict[str, Any]] = [
    {},
    {"model": {"path": "acme/tiny", "dtype": "auto"}},
    {"loss": "acme"},
    {"loss": {"name": "acme", "chunk_size": 3}},
    {"loss": ["acme"]},
    {"method": "dpo", "loss": [{"name": "acme", "weight": 2, "chunk_size": 3}, {"name": "sft", "weight": 0.1}]},
    {"loss": {"name": "trl"}, "template": "auto", "metrics": ["acme", {"name": "acme", "mode": "exact"}]},
    {"data": {"train": ["a.jsonl", "b.jsonl"], "eval": {"path": "c/d", "limit": 3}}},
    {"training": {"learning_rate": 1, "optim": "adamw_torch", "report_to": ["wandb"]}},
    {"method": "dpo", "training": {"loss_type": ["sigmoid"], "beta": 0.1}},
]
BAD: list[dict[str, Any]] = [
    {"modle": 1},
    {"loss": "none"},
    {"loss": {"name": "acme", "chunk": 3}},
    {"loss": {"name": "acme", "mode": "slow"}},
    {"loss": {"name": "acme", "weight": 1.0}},
    {"loss": []},
    {"loss": ["trl"]},
    {"loss": [{"name": "acme", "weight": 0}]},
    {"loss": [{"name": "acme", "weight": "1"}]},
    {"loss": [{"name": "acme", "chunk": 3}]},
    {"env": "acme"},
    {"metrics": "acme"},
    {"lora": {"r": 0}},
    {"method": "dop"},
    {"training": {"max_step": 3}},
    {"training": {"output_dir": "x"}},
    {"training": {"beta": 0.1}},
    {"method": "dpo", "training": {"packing": True}},
]


@pytest.fixture
def schema(manager: PluginManager) -> dict[str, Any]:
    return build_schema(manager)


def test_every_reference_leads_somewhere(schema: dict[str, Any]) -> None:
    def references(node: Any) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
            return own + [found for child in node.values() for found in references(child)]
        return [found for child in node for found in references(child)] if isinstance(node, list) else []

    assert schema["$schema"] == DIALECT
    used = {reference.removeprefix("#/$defs/") for reference in references(schema)}
    assert used == set(schema["$defs"])


def test_it_is_a_schema_of_draft_2020_12(schema: dict[str, Any]) -> None:
    pytest.importorskip("jsonschema").Draft202012Validator.check_schema(schema)


def test_editors_see_the_help_of_trl_and_no_field_that_is_set_elsewhere(schema: dict[str, Any]) -> None:
    for method in METHODS:
        properties = schema["$defs"][f"training.{method}"]["properties"]
        assert "AdamW" in properties["learning_rate"]["description"]
        assert not SET_ELSEWHERE.keys() & properties.keys()
    assert schema["$defs"]["training.sft"]["properties"]["pad_token"]["deprecated"] is True


@pytest.mark.parametrize("values", GOOD, ids=str)
def test_it_takes_good_configs(schema: dict[str, Any], values: dict[str, Any]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator(schema).validate({**MINIMAL, **values})
    load_dict({**MINIMAL, **values})


@pytest.mark.parametrize("values", BAD, ids=str)
def test_it_refuses_what_the_check_refuses(
    schema: dict[str, Any], check: Callable[..., CheckedConfig], values: dict[str, Any]
) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    assert not jsonschema.Draft202012Validator(schema).is_valid({**MINIMAL, **values})
    with pytest.raises(ConfigError):
        check(str({**MINIMAL, "data": {"train": "train.jsonl"}, **values}))
