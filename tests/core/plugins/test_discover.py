"""Finding plugins: from metadata alone, sorted, with everything that metadata can show to be wrong."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from trainwright.hooks import API_VERSION, HOOKS


def only(manager):
    (record,) = manager.records
    return record


def test_a_plugin_is_described_without_being_imported(install_loss, discover):
    install_loss("acme-simpo", "simpo", version="2.3")
    record = only(discover())
    assert (record.name, record.distribution, record.version) == ("simpo", "acme-simpo", "2.3")
    assert record.provides == ("compute_loss",)
    assert record.state == "active"
    assert not record.loaded
    assert "acme_simpo_losses" not in sys.modules


def test_one_name_in_several_groups_is_one_plugin(install, discover):
    install("acme", {"validate_config": "simpo = acme_mod", "compute_loss": "simpo = acme_mod"})
    assert only(discover()).provides == ("compute_loss", "validate_config")


def test_records_are_sorted_by_distribution_then_name(install_loss, discover):
    for distribution, name in (("zeta", "a"), ("Alpha", "z"), ("beta", "y"), ("beta-b", "b")):
        install_loss(distribution, name)
    assert [record.key for record in discover().records] == [
        ("alpha", "z"),
        ("beta", "y"),
        ("beta-b", "b"),
        ("zeta", "a"),
    ]


def test_entry_points_of_other_projects_are_left_alone(install, discover):
    install("other", {"acme.v1.compute_loss": "x = y:z", "trainwrightish.v1.compute_loss": "a = b"})
    assert discover().records == ()


def test_a_distribution_found_twice_counts_once(install_loss, discover):
    install_loss("acme", "simpo", version="1.0")
    install_loss("acme", "simpo", version="2.0")
    assert len(discover().records) == 1


@pytest.mark.parametrize(
    ("hooks", "reason"),
    [
        ({"compute_los": "simpo = m"}, "unknown hook 'compute_los'; did you mean 'compute_loss'?"),
        ({"trainwright.compute_loss": "simpo = m"}, "'trainwright.compute_loss' is not of the form"),
        ({"compute_loss": "simpo = m", "metrics": "simpo = n"}, "one name to several objects: m, n"),
        ({"compute_loss": "simpo = my module"}, "neither 'module' nor 'module:object'"),
        ({"compute_loss": "simpo ="}, "neither 'module' nor 'module:object'"),
        ({"compute_loss": "simpo"}, "entry_points.txt cannot be read"),
    ],
)
def test_wrong_metadata_breaks_the_plugin_alone(install, install_loss, discover, hooks, reason):
    install("acme", hooks)
    install_loss("fine", "fine")
    broken, fine = discover().records
    assert broken.state == "broken"
    assert reason in broken.reason
    assert "acme" in broken.remedy
    assert fine.state == "active"


def test_what_an_interrupted_install_left_is_broken_and_harms_nobody(install_loss, discover):
    (install_loss("acme", "simpo") / "METADATA").unlink()
    install_loss("fine", "fine")
    fine, left = discover().records
    assert (fine.name, fine.state) == ("fine", "active")
    assert (left.name, left.state) == ("simpo", "broken")
    assert "no METADATA" in left.reason


def test_an_older_api_is_incompatible_and_says_who_must_move(install, discover):
    install("acme", {"trainwright.v0.compute_loss": "simpo = absent_module"})
    record = only(discover())
    assert record.state == "incompatible"
    assert "plugin API 0, too old" in record.reason
    assert record.remedy == "pip install --upgrade acme"


def test_a_newer_api_is_incompatible_and_says_who_must_move(install, discover):
    install("acme", {f"trainwright.v{API_VERSION + 1}.new_hook": "simpo = absent_module"})
    record = only(discover())
    assert record.state == "incompatible"
    assert f"plugin API {API_VERSION + 1}, too new" in record.reason
    assert record.remedy == "pip install --upgrade trainwright"


def test_a_plugin_may_serve_two_apis_at_once(install, discover):
    install("acme", {"compute_loss": "simpo = now", "trainwright.v2.other_hook": "simpo = later"})
    record = only(discover())
    assert (record.state, record.value, record.provides) == ("active", "now", ("compute_loss",))


@pytest.mark.parametrize(
    ("requirement", "phrase"),
    [
        ("pluggy>=900", "pluggy>=900 (1."),
        ("surely-not-installed>=1", "surely-not-installed>=1 (not installed)"),
        ("no good requirement!", "no valid requirement"),
    ],
)
def test_an_unmet_requirement_is_found_before_import(install_loss, discover, requirement, phrase):
    install_loss("acme", "simpo", requires=(requirement,))
    manager = discover().load()
    assert only(manager).state == "incompatible"
    assert phrase in only(manager).reason
    assert "acme_losses" not in sys.modules


def test_requirements_of_extras_and_of_other_platforms_do_not_count(install_loss, discover):
    requires = ('absent-a>=1; extra == "gpu"', 'absent-b; sys_platform == "plan9"', "pluggy>=1", "packaging")
    install_loss("acme", "simpo", requires=requires)
    assert only(discover()).state == "active"


def test_a_pre_release_meets_a_requirement(install, install_loss, discover):
    install("needed", {}, version="2.0rc1")
    install_loss("acme", "simpo", requires=("needed>=1.5",))
    assert only(discover()).state == "active"


def test_finding_what_is_installed_here_imports_nothing_heavy():
    """In a process of its own, on the real `sys.path`: the whole listing, then what it imported."""
    code = """
import json, sys
from trainwright.plugins import PluginManager
records = [record.as_dict() for record in PluginManager.discover().records]
heavy = {"torch", "transformers", "trl", "datasets", "peft", "accelerate", "numpy"}
print(json.dumps([sorted(heavy & set(sys.modules)), [record["name"] for record in records],
                  [record["value"] for record in records if record["value"] in sys.modules]]))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy, names, imported = json.loads(run.stdout)
    assert heavy == []
    assert imported == []
    assert {"trl", "auto"} <= set(names)


def test_every_hook_is_known_to_discovery(install, discover):
    install("acme", dict.fromkeys(HOOKS, "all = m"))
    assert only(discover()).provides == HOOKS
