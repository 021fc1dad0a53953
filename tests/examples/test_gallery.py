"""The gallery of preference losses: short, counted honestly, and TRL's formulas."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from trainwright.testing.bench import Case, one_step
from trainwright.testing.given import given_logps
from trainwright.testing.loss_contract import FLOAT32_ROUNDING, assert_equal

GALLERY = Path(__file__).parents[2] / "examples" / "plugins"
PACKAGES = sorted(path.parent.name for path in GALLERY.glob("*/pyproject.toml"))
LENGTHS = (5, 2, 7, 3)


@pytest.fixture(scope="module")
def count():
    spec = importlib.util.spec_from_file_location("count", GALLERY / "count.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_package_is_in_the_table(count):
    assert set(PACKAGES) == count.IN_TRL.keys()


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_has_at_most_25_lines_of_code(count, package):
    assert 5 < count.here(package) <= 25


def test_the_readme_has_the_numbers_of_the_installed_trl(count):
    if not version("trl").startswith("1.16."):
        pytest.skip("the numbers are those of TRL 1.16")
    assert count.table() in (GALLERY / "README.md").read_text(encoding="utf-8")


def test_what_counts_as_a_line(count):
    source = (
        '"""Doc."""\nimport os\n\nx = (\n    1  # one\n)\n# comment\ndef f():\n    """Doc\n    more."""\n    return x\n'
    )
    assert count.code_lines(source) == 5
    assert count.code_lines('x = """a\nb"""\n') == 2


@pytest.mark.parametrize(
    ("name", "settings", "native"),
    [
        ("ipo", {"beta": 0.2}, {}),
        ("robust", {"beta": 0.2, "label_smoothing": 0.15}, {"label_smoothing": 0.15}),
        ("apo_down", {"beta": 0.2}, {}),
        ("discopop", {"beta": 0.2, "tau": 0.5}, {"discopop_tau": 0.5}),
    ],
)
def test_on_one_batch_it_is_trls_branch(name, settings, native):
    pytest.importorskip(f"trainwright_{name}")
    theirs = Case("trl", method="dpo", training={"loss_type": [name], "beta": 0.2, **native})
    mine = replace(theirs, loss=name, settings=settings, training={})
    assert_equal(one_step(mine), one_step(theirs), FLOAT32_ROUNDING)


def given(name, **settings):
    """A context on random log-probabilities, and the pair term of the loss."""
    generator = torch.Generator().manual_seed(0)
    logps = [-3 * torch.rand(length, generator=generator, dtype=torch.float64) for length in LENGTHS]
    plugin = pytest.importorskip(f"trainwright_{name}")
    context = given_logps(logps, settings=plugin.Settings(**settings))
    terms = {term.per: term.total for term in plugin.compute_loss(context).terms}
    return context, terms["pair"].item() / (len(LENGTHS) // 2)


@pytest.mark.parametrize(
    ("name", "settings", "average", "native"),
    [
        ("cpo", {"beta": 0.2}, False, {"loss_type": "sigmoid"}),
        ("simpo", {"beta": 2.0, "gamma": 0.6}, True, {"loss_type": "simpo", "simpo_gamma": 0.6}),
    ],
)
def test_on_given_logps_it_is_the_formula_of_trls_cpo_trainer(name, settings, average, native):
    from trl.experimental.cpo import CPOTrainer

    context, mine = given(name, **settings)
    trainer = SimpleNamespace(
        alpha=0.0, beta=settings["beta"], label_smoothing=0.0, accelerator=SimpleNamespace(device="cpu"), **native
    )
    logps = context.policy.sequence_logps(average=average)
    losses, *_ = CPOTrainer.cpo_loss(trainer, logps.chosen, logps.rejected)
    assert mine == pytest.approx(losses.mean().item(), rel=1e-12)


def test_on_given_logps_it_is_the_formula_of_trls_orpo_trainer():
    from trl.experimental.orpo import ORPOTrainer

    context, mine = given("orpo", beta=0.3)
    trainer = SimpleNamespace(beta=0.3, accelerator=SimpleNamespace(device="cpu"))
    logps = context.policy.sequence_logps(average=True)
    losses, *_ = ORPOTrainer.odds_ratio_loss(trainer, logps.chosen, logps.rejected)
    assert mine == pytest.approx(-losses.mean().item(), rel=1e-6)  # TRL computes it in float32


def test_a_very_wrong_pair_has_a_finite_discopop_loss():
    plugin = pytest.importorskip("trainwright_discopop")
    policy = [torch.tensor([-2000.0], requires_grad=True), torch.tensor([-1.0])]
    context = given_logps(policy, [torch.zeros(1)] * 2, settings=plugin.Settings())
    (term,) = plugin.compute_loss(context).terms
    assert term.total.item() == pytest.approx(0.1 * 1999)
    assert torch.autograd.grad(term.total, policy[0])[0].item() == pytest.approx(-0.1)
