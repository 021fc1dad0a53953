"""Off-switches, pins, and two distributions that bring one name."""

from __future__ import annotations

import pytest

from trainwright.errors import ConfigError, PluginError


def states(manager):
    return {(record.distribution, record.name): record.state for record in manager.records}


@pytest.fixture
def three(install_loss):
    install_loss("acme", "simpo", "orpo")
    install_loss("beta", "cpo")


@pytest.mark.parametrize(
    ("switch", "arguments", "environ"),
    [
        ("plugins.disable or --no-plugin", {"disable": ["simpo"]}, {}),
        ("--no-plugin", {"disable": {"simpo": "--no-plugin"}}, {}),
        ("TRAINWRIGHT_DISABLE_PLUGINS", {}, {"TRAINWRIGHT_DISABLE_PLUGINS": "simpo"}),
        ("run.yaml:7: plugins.disable", {"disable": {"simpo": "run.yaml:7: plugins.disable"}}, {}),
    ],
)
def test_each_switch_disables_and_is_named(three, discover, switch, arguments, environ):
    manager = discover(environ=environ, **arguments).load()
    assert states(manager) == {("acme", "orpo"): "active", ("acme", "simpo"): "disabled", ("beta", "cpo"): "active"}
    with pytest.raises(PluginError) as caught:
        manager.provider("compute_loss", "simpo")
    assert f"'simpo' (acme 1.0) is disabled: disabled by {switch}" in str(caught.value)
    assert f"take 'simpo' out of {switch}" in str(caught.value)


def test_a_disabled_plugin_is_not_imported(install, discover):
    install("acme", {"compute_loss": "simpo = acme_mod"}, acme_mod="raise SystemExit(3)")
    manager = discover(disable=["simpo"]).load()
    assert states(manager) == {("acme", "simpo"): "disabled"}
    assert manager.warnings() == []


def test_the_variable_takes_several_names(three, discover):
    manager = discover(environ={"TRAINWRIGHT_DISABLE_PLUGINS": " simpo, cpo ,"})
    assert [record.name for record in manager.active] == ["orpo"]


def test_a_star_disables_all_but_core(three, install_loss, discover):
    install_loss("Trainwright", "trl")
    manager = discover(environ={"TRAINWRIGHT_DISABLE_PLUGINS": "*"})
    assert [record.name for record in manager.active] == ["trl"]
    assert "take '*' out of TRAINWRIGHT_DISABLE_PLUGINS" in manager.records[0].remedy


def test_a_built_in_plugin_can_be_disabled_and_the_reason_says_what_it_is(install_loss, discover):
    install_loss("trainwright", "trl")
    (record,) = discover(disable=["trl"]).records
    assert record.built_in
    assert record.state == "disabled"
    assert "part of trainwright itself" in record.reason


def test_unknown_names_are_all_reported_with_the_closest_known(three, discover):
    with pytest.raises(ConfigError) as caught:
        discover(
            disable=["simppo"],
            pin={"opro": "acme", "orpo": "acne"},
            environ={"TRAINWRIGHT_DISABLE_PLUGINS": "nothing_like_it"},
        )
    messages = [str(problem) for problem in caught.value.problems]
    assert len(messages) == 4
    text = "\n".join(messages)
    assert "TRAINWRIGHT_DISABLE_PLUGINS: there is no plugin 'nothing_like_it' to disable\n" in text
    assert "no plugin 'simppo' to disable; did you mean 'simpo'?" in text
    assert "installed plugins: cpo, orpo, simpo" in text
    assert "plugins.pin.opro: there is no plugin 'opro' to pin; did you mean 'orpo'?" in text
    assert "plugins.pin.orpo: acne brings no plugin 'orpo'; did you mean 'acme'?" in text


def test_two_distributions_with_one_name_are_both_set_aside(install_loss, discover):
    install_loss("acme", "simpo")
    install_loss("beta", "simpo", "fine", version="2.0")
    manager = discover().load()
    assert states(manager) == {("acme", "simpo"): "broken", ("beta", "simpo"): "broken", ("beta", "fine"): "active"}
    with pytest.raises(PluginError) as caught:
        manager.provider("compute_loss", "simpo", where="run.yaml:3: loss")
    assert "2 installed distributions bring a plugin 'simpo': acme 1.0, beta 2.0" in str(caught.value)
    assert "plugins: {pin: {simpo: acme}}" in str(caught.value)
    assert str(caught.value).startswith("run.yaml:3: loss: ")


def test_a_pin_chooses_between_them(install_loss, discover):
    install_loss("acme", "simpo")
    install_loss("Beta_Two", "simpo")
    manager = discover(pin={"simpo": "beta-two"})
    assert states(manager) == {("acme", "simpo"): "disabled", ("Beta_Two", "simpo"): "active"}
    assert manager.slot("compute_loss", "simpo")(ctx=None) == "Beta_Two"
    assert "plugins.pin has beta-two provide 'simpo'" in manager.records[0].reason


def test_a_pin_to_a_broken_plugin_reports_that_one(install, install_loss, discover):
    install("acme", {"compute_loss": "simpo = acme_mod"}, acme_mod="import not_there")
    install_loss("beta", "simpo")
    with pytest.raises(PluginError, match=r"'simpo' \(acme 1.0\) is broken: .*not_there"):
        discover(pin={"simpo": "acme"}).provider("compute_loss", "simpo")


def test_an_incompatible_rival_is_no_rival(install, install_loss, discover):
    install("acme", {"trainwright.v0.compute_loss": "simpo = m"})
    install_loss("beta", "simpo")
    assert discover().slot("compute_loss", "simpo")(ctx=None) == "beta"


def test_disabling_a_shared_name_disables_both(install_loss, discover):
    install_loss("acme", "simpo")
    install_loss("beta", "simpo")
    assert set(states(discover(disable=["simpo"])).values()) == {"disabled"}
