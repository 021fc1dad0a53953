"""Loading: each plugin behind its own guard, each fault a broken record with a reason, the others unharmed."""

from __future__ import annotations

import json
import sys

import pytest

from trainwright.errors import PluginError

GOOD = "from trainwright import hookimpl, PluginSettings\n@hookimpl\ndef compute_loss(ctx): return 'loss'\n"


@pytest.fixture
def load_one(install, install_loss, discover):
    """Load a plugin with the given source beside a good one; returns its record."""

    def load(source, hooks=("compute_loss",), value="acme_mod"):
        install("acme", dict.fromkeys(hooks, f"simpo = {value}"), acme_mod=source)
        install_loss("beta", "fine")
        manager = discover().load()
        record, fine = manager.records
        assert fine.loaded
        assert manager.slot("compute_loss", "fine")(ctx=None) == "beta"
        return record

    return load


@pytest.mark.parametrize(
    ("source", "last_line"),
    [
        ("import not_there_at_all", "ModuleNotFoundError: No module named 'not_there_at_all'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import sys\nsys.exit(3)", "SystemExit: 3"),
        ("class Odd(BaseException): pass\nraise Odd('pytest has such')", "Odd: pytest has such"),
        ("def broken(:\n", "SyntaxError: invalid syntax"),
    ],
)
def test_whatever_an_import_raises_breaks_that_plugin_alone(load_one, source, last_line):
    record = load_one(source)
    assert record.state == "broken"
    assert last_line in record.reason
    assert last_line.partition(":")[0] in record.traceback.splitlines()[-1]
    assert "acme_mod.py" in record.traceback
    assert "importlib" not in record.traceback
    assert "trainwright plugins --traceback simpo" in record.remedy


def test_ctrl_c_during_an_import_is_not_swallowed(load_one):
    with pytest.raises(KeyboardInterrupt):
        load_one("raise KeyboardInterrupt")


def test_a_missing_attribute_breaks_the_plugin(load_one):
    assert "has no attribute 'absent'" in load_one(GOOD, value="acme_mod:absent").reason


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (
            GOOD.replace("compute_loss", "compute_los"),
            "compute_los() implements the unknown hook 'compute_los'; did you mean 'compute_loss'?",
        ),
        (GOOD.replace("@hookimpl\n", ""), "declares compute_loss, but its compute_loss() is not marked with @hookimpl"),
        ("x = 1", "declares compute_loss, but it has no compute_loss()"),
        (GOOD + "@hookimpl\ndef metrics(step): return {}\n", "implements metrics, which its metadata does not declare"),
        (GOOD.replace("(ctx)", "(ctx, model)"), "compute_loss(ctx, model): Argument(s) {'model'} are declared"),
        (GOOD + "@hookimpl(specname='compute_loss')\ndef twin(ctx): return 1\n", "compute_loss() and twin() both"),
        (GOOD.replace("@hookimpl", "@hookimpl(tryfirst=True)"), "tryfirst or trylast, which only a wrapper can"),
        (GOOD.replace("def", "async def"), "compute_loss() is async"),
        (GOOD.replace("return", "yield"), "yields without being marked @hookimpl(wrapper=True)"),
        (GOOD.replace("@hookimpl", "@hookimpl(wrapper=True)"), "is not a generator function"),
        (GOOD + "class Settings: beta = 1\n", "Settings is no subclass of trainwright.PluginSettings"),
        (GOOD + "Settings = {'beta': 1}\n", "Settings is no subclass of trainwright.PluginSettings"),
        (GOOD + "class Settings(PluginSettings):\n    name: str = ''\n", "Settings has a field 'name'"),
        (GOOD + "class Settings(PluginSettings):\n    weight: float = 1\n", "Settings has a field 'weight'"),
        (GOOD + "methods = frozenset({'dop'})\n", "unknown method 'dop'; did you mean 'dpo'?"),
        (GOOD + "methods = 'dpo'\n", 'methods is no set of names such as frozenset({"dpo"})'),
        (GOOD + "methods = [[]]\n", "TypeError"),
        (GOOD + "reference_free = 'yes'\n", "reference_free is neither True nor False"),
        ("def __getattr__(name): raise RuntimeError('odd module')\n" + GOOD, "odd module"),
        ("def __dir__(): raise RuntimeError('odd dir')\n" + GOOD, "odd dir"),
    ],
)
def test_a_fault_breaks_the_plugin_with_a_reason(load_one, source, reason):
    record = load_one(source)
    assert record.state == "broken"
    assert reason in record.reason
    assert not record.loaded
    assert record.parts is None


def test_all_faults_are_told_at_once(load_one):
    record = load_one(
        GOOD.replace("(ctx)", "(model)") + "methods = ['nope']\nSettings = 3\n", ("compute_loss", "metrics")
    )
    for phrase in ("has no metrics()", "Argument(s) {'model'}", "unknown method 'nope'", "its Settings"):
        assert phrase in record.reason


def test_a_class_is_refused_with_what_to_do(load_one):
    source = (
        "from trainwright import hookimpl\nclass Simpo:\n    @hookimpl\n    def compute_loss(self, ctx): return 1\n"
    )
    record = load_one(source, value="acme_mod:Simpo")
    assert "acme_mod:Simpo is a class: make an instance" in record.reason


@pytest.mark.parametrize("marked", ["@hookimpl\n    def compute_loss(self, ctx): return self.answer"])
def test_an_object_may_be_a_plugin_though_it_is_not_hashable(install, discover, marked):
    source = f"""
from trainwright import hookimpl, PluginSettings
class Simpo:
    __hash__ = None
    answer = "an object"
    methods = {{"dpo"}}
    reference_free = True
    class Settings(PluginSettings):
        beta: float = 2.0
    {marked}
    def __eq__(self, other): raise RuntimeError("compared")
simpo = Simpo()
"""
    install("acme", {"compute_loss": "simpo = acme_mod:simpo"}, acme_mod=source)
    manager = discover().load()
    (record,) = manager.records
    assert record.loaded, record.reason
    assert record.methods == {"dpo"}
    assert record.reference_free
    assert record.serves("dpo")
    assert not record.serves("sft")
    assert record.settings_model(beta=3).beta == 3.0
    assert record.location.endswith("acme_mod.py")
    assert manager.slot("compute_loss", "simpo")(ctx=None) == "an object"


@pytest.mark.parametrize("markers", [("hookimpl", "staticmethod"), ("staticmethod", "hookimpl")])
def test_a_static_method_is_called_or_reported_and_never_passed_over(install, discover, markers):
    decorators = "".join(f"    @{marker}\n" for marker in markers)
    source = f"from trainwright import hookimpl\nclass Simpo:\n{decorators}    def compute_loss(ctx): return 'static'\n"
    install("acme", {"compute_loss": "simpo = acme_mod:simpo"}, acme_mod=source + "simpo = Simpo()\n")
    manager = discover().load()
    (record,) = manager.records
    if record.loaded:
        assert manager.slot("compute_loss", "simpo")(ctx=None) == "static"
    else:
        assert "not marked with @hookimpl" in record.reason


def test_one_module_may_stand_under_two_names(install, discover):
    install("acme", {"compute_loss": "one = acme_mod\ntwo = acme_mod"}, acme_mod=GOOD)
    manager = discover().load()
    assert [record.state for record in manager.records] == ["active", "active"]
    assert manager.slot("compute_loss", "two")(ctx=None) == "loss"


def test_a_hook_of_a_later_core_may_be_marked_optional(load_one):
    record = load_one(GOOD + "@hookimpl(optionalhook=True)\ndef later_hook(x): return 1\n")
    assert record.loaded
    assert record.answers == ("compute_loss",)


def test_what_the_config_does_not_name_does_no_harm(install, install_loss, discover):
    install("acme", {"compute_loss": "simpo = acme_mod"}, acme_mod="raise RuntimeError('boom')")
    install("older", {"trainwright.v0.metrics": "old = m"})
    install_loss("beta", "fine")
    manager = discover().load()
    assert manager.slot("compute_loss", "fine")(ctx=None) == "beta"
    assert manager.broadcast("metrics", step=None) == []
    broken, older = [str(problem) for problem in manager.warnings()]
    assert broken.startswith("plugin 'simpo' (acme 1.0) is set aside as broken: ")
    assert older.startswith("plugin 'old' (older 1.0) is set aside as incompatible: ")


def test_what_the_config_names_is_fatal_with_the_last_line_of_its_traceback(install, discover):
    install("acme", {"compute_loss": "simpo = acme_mod"}, acme_mod="raise RuntimeError('boom')")
    with pytest.raises(PluginError) as caught:
        discover().provider("compute_loss", "simpo", where="run.yaml:2: loss")
    text = str(caught.value)
    assert text.startswith("run.yaml:2: loss: plugin 'simpo' (acme 1.0) is broken: ")
    assert "RuntimeError: boom" in text
    assert "trainwright plugins --traceback simpo" in text


def test_plugins_are_imported_once_and_only_by_load(install_loss, discover):
    install_loss("acme", "simpo")
    manager = discover()
    assert "acme_losses" not in sys.modules
    assert manager.load() is manager
    assert "acme_losses" in sys.modules
    first = manager.records
    assert manager.load().records is first


def test_a_record_is_json_before_and_after_loading(install, discover):
    install("acme", {"compute_loss": "simpo = acme_mod"}, acme_mod=GOOD + "methods = {'sft', 'dpo'}\n")
    manager = discover()
    before = json.loads(json.dumps(manager.records[0].as_dict()))
    after = json.loads(json.dumps(manager.load().records[0].as_dict()))
    assert (before["loaded"], after["loaded"]) == (False, True)
    assert after["methods"] == ["dpo", "sft"]
    for row in (before, after):
        assert (row["name"], row["distribution"], row["version"]) == ("simpo", "acme", "1.0")
        assert (row["state"], row["provides"]) == ("active", ["compute_loss"])
