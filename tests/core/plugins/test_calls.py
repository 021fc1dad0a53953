"""Calling: slots by name inside every active wrapper, broadcasts in their order with each answer's origin."""

from __future__ import annotations

import pytest

from trainwright.errors import PluginError, Problem

WRAPPER = """
from trainwright import hookimpl

@hookimpl(wrapper=True{options})
def compute_loss(ctx):
    ctx.append("{tag} in")
    answer = yield
    ctx.append("{tag} out")
    return f"{tag}({{answer}})"
"""
BOTH = """
from trainwright import hookimpl

@hookimpl
def compute_loss(ctx):
    return "own"

@hookimpl(wrapper=True, specname="compute_loss")
def around(ctx):
    return "around " + (yield)
"""
METRICS = "from trainwright import hookimpl\n@hookimpl\ndef metrics(step):\n    {body}\n"
RULES = "from trainwright import hookimpl, Problem\n@hookimpl\ndef validate_config(config):\n    {body}\n"


@pytest.fixture
def wrap(install):
    """Install a wrapper around `compute_loss` that tags what passes through it."""

    def make(tag, options=""):
        install(tag, {"compute_loss": f"{tag} = {tag}_mod"}, **{f"{tag}_mod": WRAPPER.format(tag=tag, options=options)})

    return make


@pytest.fixture
def install_metrics(install):
    def make(distribution, body):
        module = f"{distribution}_mod"
        install(distribution, {"metrics": f"{distribution} = {module}"}, **{module: METRICS.format(body=body)})

    return make


@pytest.fixture
def install_rule(install):
    def make(distribution, body):
        module = f"{distribution}_mod"
        install(distribution, {"validate_config": f"{distribution} = {module}"}, **{module: RULES.format(body=body)})

    return make


def test_a_slot_calls_the_named_provider_alone(install_loss, discover):
    install_loss("acme", "simpo")
    install_loss("beta", "cpo")
    manager = discover()
    assert manager.slot("compute_loss", "cpo")(ctx=None) == "beta"
    assert manager.slot("compute_loss", "simpo")(ctx=None) == "acme"


def test_wrappers_run_around_the_provider_first_distribution_outermost(install_loss, wrap, discover):
    install_loss("acme", "simpo")
    wrap("zeta")
    wrap("alpha")
    calls = []
    manager = discover()
    assert manager.slot("compute_loss", "simpo")(ctx=calls) == "alpha(zeta(acme))"
    assert calls == ["alpha in", "zeta in", "zeta out", "alpha out"]
    assert [record.name for record in manager.wrappers("compute_loss")] == ["alpha", "zeta"]


def test_a_wrapper_may_ask_to_be_outermost(install_loss, wrap, discover):
    install_loss("acme", "simpo")
    wrap("alpha")
    wrap("zeta", ", tryfirst=True")
    manager = discover()
    assert manager.slot("compute_loss", "simpo")(ctx=[]) == "zeta(alpha(acme))"
    assert [record.name for record in manager.wrappers("compute_loss")] == ["zeta", "alpha"]


def test_a_disabled_wrapper_does_not_run(install_loss, wrap, discover):
    install_loss("acme", "simpo")
    wrap("alpha")
    assert discover(disable=["alpha"]).slot("compute_loss", "simpo")(ctx=[]) == "acme"


def test_the_wrapper_of_a_provider_that_was_not_chosen_runs_too(install, install_loss, discover):
    install("acme", {"compute_loss": "both = acme_mod"}, acme_mod=BOTH)
    install_loss("beta", "cpo")
    manager = discover()
    assert manager.slot("compute_loss", "cpo")(ctx=None) == "around beta"
    assert manager.slot("compute_loss", "both")(ctx=None) == "around own"


def test_a_plugin_that_only_wraps_is_no_provider(install_loss, wrap, discover):
    install_loss("acme", "simpo")
    wrap("alpha")
    with pytest.raises(PluginError) as caught:
        discover().slot("compute_loss", "alpha")
    assert "plugin 'alpha' (alpha 1.0) only wraps compute_loss" in str(caught.value)
    assert "plugins that implement compute_loss: simpo" in str(caught.value)


def test_an_unknown_name_is_told_with_the_closest_the_installed_and_how_to_install(install_loss, discover):
    install_loss("acme", "simpo", "cpo")
    with pytest.raises(PluginError) as caught:
        discover().provider("compute_loss", "sinpo_x", where="run.yaml:4: loss")
    assert str(caught.value) == (
        "run.yaml:4: loss: no plugin 'sinpo_x' is installed; did you mean 'simpo'?\n"
        "  → plugins that implement compute_loss: cpo, simpo; "
        "or install the package that brings it (pip install trainwright-sinpo-x?)"
    )


def test_the_closest_name_may_be_that_of_a_broken_plugin(install, discover):
    install("acme", {"compute_loss": "simpo = acme_mod"}, acme_mod="raise RuntimeError")
    with pytest.raises(PluginError, match="did you mean 'simpo'"):
        discover().provider("compute_loss", "simpoo")


def test_a_plugin_of_another_hook_is_told_apart_from_an_unknown_one(install_loss, install_metrics, discover):
    install_loss("acme", "simpo")
    install_metrics("mfu", "return {}")
    with pytest.raises(PluginError, match=r"plugin 'mfu' \(mfu 1.0\) provides metrics, not compute_loss"):
        discover().provider("compute_loss", "mfu")


def test_an_unknown_hook_is_a_bug_of_the_caller(discover):
    with pytest.raises(ValueError, match="did you mean 'compute_loss'"):
        discover().provider("compute_los", "x")
    with pytest.raises(ValueError, match="no slot"):
        discover().slot("metrics", "x")
    with pytest.raises(ValueError, match="no broadcast"):
        discover().broadcast("compute_loss")


def test_what_a_provider_raises_passes_through_with_a_note(install, wrap, discover):
    source = "from trainwright import hookimpl\n@hookimpl\ndef compute_loss(ctx):\n    raise ArithmeticError('nan')\n"
    install("acme", {"compute_loss": "simpo = acme_mod"}, acme_mod=source)
    wrap("alpha")
    with pytest.raises(ArithmeticError, match="nan") as caught:
        discover().slot("compute_loss", "simpo")(ctx=[])
    note = "raised in compute_loss of plugin 'simpo' (acme 1.0) inside 'alpha' (alpha 1.0)"
    assert caught.value.__notes__ == [note]


def test_a_slot_that_answers_nothing_is_an_error(install, discover):
    source = "from trainwright import hookimpl\n@hookimpl\ndef compute_loss(ctx):\n    ctx\n"
    install("acme", {"compute_loss": "simpo = acme_mod"}, acme_mod=source)
    with pytest.raises(PluginError, match=r"compute_loss of plugin 'simpo' .* returned nothing"):
        discover().slot("compute_loss", "simpo")(ctx=1)


def test_a_broadcast_asks_in_the_order_of_distributions(install_metrics, discover):
    for name in ("zeta", "alpha", "mid"):
        install_metrics(name, f"return {{'{name}': step}}")
    answers = discover().broadcast("metrics", step=2)
    assert [(answer.record.name, answer.value) for answer in answers] == [
        ("alpha", {"alpha": 2.0}),
        ("mid", {"mid": 2.0}),
        ("zeta", {"zeta": 2.0}),
    ]


def test_a_broadcast_to_named_plugins_keeps_their_order(install_metrics, discover):
    for name in ("zeta", "alpha", "mid"):
        install_metrics(name, "return {}")
    answers = discover().broadcast("metrics", ["zeta", "alpha"], step=2)
    assert [answer.record.name for answer in answers] == ["zeta", "alpha"]
    assert discover().broadcast("metrics", [], step=2) == []


def test_a_broadcast_to_an_unknown_plugin_is_an_error(install_metrics, discover):
    install_metrics("mfu", "return {}")
    with pytest.raises(PluginError, match="no plugin 'mfuu' is installed; did you mean 'mfu'"):
        discover().broadcast("metrics", ["mfuu"], step=2)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("raise LookupError('no such key')", "LookupError: no such key"),
        ("return 3", "TypeError"),
        ("return {'a': 'much'}", "ValueError"),
    ],
)
def test_one_failing_plugin_does_not_silence_the_others(install_metrics, discover, body, says):
    install_metrics("alpha", "return {'a': 1}")
    install_metrics("bad", body)
    install_metrics("zeta", "return None")
    first, bad, last = discover().broadcast("metrics", step=None)
    assert (first.value, last.value) == ({"a": 1.0}, {})
    with pytest.raises(PluginError) as caught:
        _ = bad.value
    assert f"metrics of plugin 'bad' (bad 1.0) raised {says}" in str(caught.value)
    assert "plugins: {disable: [bad]}" in str(caught.value)
    assert caught.value.__cause__ is not None


def test_a_failure_says_the_line_that_raised(install_metrics, discover):
    install_metrics("bad", "raise LookupError('x')")
    (answer,) = discover().broadcast("metrics", step=None)
    assert answer.error.problems[0].where.endswith("bad_mod.py:4")


def test_problems_carry_the_plugin_that_found_them(install_rule, discover):
    install_rule("acme", "yield Problem('too hot', 'run.yaml:3: x', 'cool it')")
    install_rule("mute", "return None")
    acme, mute = discover().broadcast("validate_config", config=None)
    assert acme.value == (Problem("too hot", "run.yaml:3: x", "cool it", origin="acme"),)
    assert mute.value == ()


@pytest.mark.parametrize("body", ["return ['too hot']", "yield Problem('fine')\n    raise KeyError('late')"])
def test_a_rule_that_fails_late_or_answers_in_text_is_caught(install_rule, discover, body):
    install_rule("acme", body)
    install_rule("beta", "return []")
    acme, beta = discover().broadcast("validate_config", config=None)
    assert isinstance(acme.error, PluginError)
    assert beta.value == ()
