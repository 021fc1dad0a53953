"""`explain`: who takes part in each hook, from where, why; and the fingerprint that ranks and runs compare."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trainwright.config import RunConfig
from trainwright.plugins.explain import choices_of

METRICS = "from trainwright import hookimpl\n@hookimpl\ndef metrics(step): return {}\n"
RULE = "from trainwright import hookimpl\n@hookimpl\ndef validate_config(config): return []\n"
WRAPPER = "from trainwright import hookimpl\n@hookimpl(wrapper=True)\ndef compute_loss(ctx): return (yield)\n"


@pytest.fixture
def crowd(install, install_loss):
    install_loss("acme", "simpo", "cpo", version="1.2")
    install("wrap", {"compute_loss": "tracer = wrap_mod"}, wrap_mod=WRAPPER)
    install("mets", {"metrics": "mfu = mets_mod\nlag = mets_mod"}, mets_mod=METRICS)
    install("rule", {"validate_config": "rules = rule_mod"}, rule_mod=RULE)
    install("sick", {"compute_loss": "sick = sick_mod"}, sick_mod="raise RuntimeError('boom')")


@pytest.fixture
def explained(crowd, discover):
    choices = {"compute_loss": "simpo", "metrics": ["mfu"], "chat_template": "gone"}
    answer = discover(disable={"lag": "--no-plugin"}).explain(choices, {"compute_loss": "run.yaml:4: loss"})
    return {each.hook: each for each in answer.hooks}, answer


def test_a_slot_names_wrappers_then_the_provider_with_its_reason(explained):
    hooks, _ = explained
    rows = [
        (part.record.name, part.record.distribution, part.role, part.why) for part in hooks["compute_loss"].participants
    ]
    assert rows == [
        ("tracer", "wrap", "wrapper", "an active wrapper runs around any provider"),
        ("simpo", "acme", "provider", "chosen by run.yaml:4: loss"),
    ]
    assert hooks["compute_loss"].others == ("cpo",)


def test_the_file_and_version_of_each_are_told(explained):
    _, answer = explained
    provider = answer.as_dict()["hooks"]["compute_loss"]["participants"][-1]
    assert provider["version"] == "1.2"
    assert Path(provider["location"]).name == "acme_losses.py"


def test_a_choice_without_a_place_is_a_default(explained):
    hooks, _ = explained
    assert [part.why for part in hooks["metrics"].participants] == ["the default of metrics"]


def test_a_choice_that_cannot_be_had_is_told_not_raised(explained):
    hooks, _ = explained
    assert "no plugin 'gone' is installed" in hooks["chat_template"].problem
    assert hooks["chat_template"].participants == ()


def test_what_nobody_asked_for_is_empty(explained):
    hooks, _ = explained
    assert (hooks["build_env"].participants, hooks["build_env"].problem) == ((), "")


def test_validate_config_asks_every_active_plugin(explained):
    hooks, _ = explained
    assert [part.record.name for part in hooks["validate_config"].participants] == ["rules"]


def test_what_is_set_aside_is_told_with_its_state_and_reason(explained):
    _, answer = explained
    rows = {row["name"]: (row["state"], row["why"]) for row in answer.as_dict()["set_aside"]}
    assert rows["lag"] == ("disabled", "disabled by --no-plugin")
    assert rows["sick"][0] == "broken"
    assert "boom" in rows["sick"][1]
    assert set(rows) == {"lag", "sick"}


def test_an_explanation_is_json(explained):
    _, answer = explained
    assert json.loads(json.dumps(answer.as_dict())) == answer.as_dict()


def test_choices_are_read_from_a_config():
    raw = {
        "model": "m",
        "output": "runs/x",
        "loss": {"name": "simpo", "beta": 2},
        "metrics": ["mfu", "lag"],
        "env": "maze",
    }
    config = RunConfig(**raw)
    config._places.update({"": "run.yaml:1", "loss": "run.yaml:3", "metrics": "run.yaml:5", "env": "run.yaml:6"})
    choices, places = choices_of(config)
    assert choices == {"compute_loss": "simpo", "chat_template": "auto", "metrics": ["mfu", "lag"], "build_env": "maze"}
    assert places == {
        "compute_loss": "run.yaml:3: loss",
        "metrics": "run.yaml:5: metrics",
        "build_env": "run.yaml:6: env",
    }


def test_losses_that_are_mixed_are_told_with_their_weights(crowd, discover):
    loss = ["simpo", {"name": "cpo", "weight": 0.25}]
    config = RunConfig(model="m", output="runs/x", loss=loss)
    config._places["loss"] = "run.yaml:3"
    explanation = discover().explain(*choices_of(config))
    (hook,) = (each for each in explanation.hooks if each.hook == "compute_loss")
    assert [(part.record.name, part.role, part.why) for part in hook.participants[1:]] == [
        ("simpo", "provider", "chosen by run.yaml:3: loss, with weight 1"),
        ("cpo", "provider", "chosen by run.yaml:3: loss, with weight 0.25"),
    ]
    assert hook.others == ()


def test_equal_plugins_have_equal_fingerprints_and_a_difference_shows(crowd, discover, install_loss):
    first, again, fewer = discover().fingerprint(), discover().fingerprint(), discover(disable=["mfu"]).fingerprint()
    assert first == again
    assert first.sha256 != fewer.sha256
    assert ("simpo", "acme", "1.2") in first.plugins
    assert "sick" not in {name for name, _, _ in first.plugins}
