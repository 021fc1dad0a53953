"""What every loss must hold, as tests: subclass it in one line.

    class TestMine(LossContract):
        loss = "my_loss"
        method = "dpo"
        settings = {"beta": 2.5}

Every test trains one real step of a tiny model through TRL's trainer and compares gradients. Tolerances are multiples
of the rounding of the dtype, scaled by the gradient's own size.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import pytest

from trainwright.testing.bench import Case, Outcome, on_ranks, one_step

FLOAT32_ROUNDING = 2e-4  # of the largest gradient: 2^-23 grown by sums over some 10^3 terms
FLOAT64_ROUNDING = 1e-9
FORMULA_ROUNDING = 1e-10


class LossContract:
    """Tests of one loss plugin.

    Attributes:
        loss: The plugin's name.
        method: The training method to test it with.
        settings: Its settings.
        family: The tiny model's family.
        training: Further fields of TRL's config class.
    """

    loss: ClassVar[str]
    method: ClassVar[str] = "sft"
    settings: ClassVar[Mapping[str, Any]] = {}
    family: ClassVar[str] = "llama"
    training: ClassVar[Mapping[str, Any]] = {}

    def reference(self, policy: Sequence[Any], reference: Sequence[Any], settings: Any) -> Any:
        """The loss of a whole batch, written plainly in torch; override it to have values compared with it.

        Args:
            policy: For each sequence, its supervised tokens' log-probabilities under the policy, float64 `(n,)`.
                For preference pairs: all chosen sequences, then all rejected ones. For `kto`,
                `policy.desirable` tells thumbs up (bool, `(sequences,)`), and `policy.mismatched` is the same list for
                mismatched rows.
            reference: The same under the reference model; empty where the run has none.
            settings: The plugin's checked settings.

        Returns:
            The loss, `()`; None (the default) skips the comparison.
        """
        return None

    def case(self, **changes: Any) -> Case:
        """This contract's case with changes."""
        training = {**self.training, **changes.pop("training", {})}
        given = {"loss": self.loss, "method": self.method, "settings": self.settings, "family": self.family, **changes}
        return Case(**given, training=training)

    # ── values ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def test_value_and_gradients_equal_the_plain_reference(self) -> None:
        """In float64, against `reference` on full logits; then float32 against that, within its rounding."""
        from trainwright.testing.oracle import plain_outcome

        expected = plain_outcome(self.case(dtype="float64"), self.reference)
        if expected is None:
            pytest.skip("the contract defines no reference")
        assert_equal(one_step(self.case(dtype="float64")), expected, FLOAT64_ROUNDING)
        assert_equal(one_step(self.case()), expected, FLOAT32_ROUNDING)

    def test_formula_equals_the_plain_reference(self) -> None:
        """In float64, values and gradients on random log-probabilities, without a model."""
        from trainwright.testing.given import formulas

        found, expected = formulas(self.case(), self.reference)
        if found is None or expected is None:
            pytest.skip("the contract defines no reference, or the loss takes more than log-probabilities")
        assert_equal(found, expected, FORMULA_ROUNDING)

    @pytest.mark.parametrize(
        ("part", "step", "rounding"),
        # The head's own path is float64 throughout; norms and rotary embeddings of the layers compute in float32.
        [("lm_head", 1e-4, 1e-5), ("", 2e-3, 1e-2)],
        ids=["head", "model"],
    )
    def test_gradient_is_the_slope_of_the_value(self, part: str, step: float, rounding: float) -> None:
        """A central difference along the gradient itself: right for any loss, without a reference.

        Means over the window (`ctx.window_mean`) carry no gradient, so they are held where they are.
        """
        held = partial(self.case, dtype="float64", wrap=_held_means([]))
        here = one_step(held()).gradients
        chosen = {name: gradient for name, gradient in here.items() if part in name}
        direction = {name: gradient / _norm(chosen) for name, gradient in chosen.items()}
        ahead = one_step(held(edit=_shift(direction, step)))
        behind = one_step(held(edit=_shift(direction, -step)))
        assert (ahead.loss - behind.loss) / (2 * step) == pytest.approx(_norm(chosen), rel=rounding)

    # ── normalisation ────────────────────────────────────────────────────────────────────────────────────────────────

    def test_many_micro_batches_equal_one_batch(self) -> None:
        """Accumulation over ragged micro-batches is the same as one batch."""
        whole = one_step(self.case(rows=8, per_device=8, accumulate=1))
        parts = one_step(self.case(rows=8, per_device=2, accumulate=4))
        assert_equal(parts, whole, FLOAT32_ROUNDING)

    def test_two_ranks_equal_one(self) -> None:
        """Two processes under DDP, with and without accumulation, are the same as one."""
        whole = one_step(self.case(rows=8, per_device=8, accumulate=1))
        wide, deep = on_ranks(
            [self.case(rows=8, per_device=4, accumulate=1), self.case(rows=8, per_device=2, accumulate=2)]
        )
        assert_equal(wide, whole, FLOAT32_ROUNDING)
        assert_equal(deep, whole, FLOAT32_ROUNDING)

    def test_padding_changes_nothing(self) -> None:
        """Rows padded to a multiple of 64 have the same loss and gradients."""
        plain = one_step(self.case())
        assert_equal(one_step(self.case(training={"pad_to_multiple_of": 64})), plain, FLOAT32_ROUNDING)

    def test_packing_changes_nothing(self) -> None:
        """Rows laid end to end in one have the same loss and gradients."""
        if self.method not in ("sft", "dpo", "kto"):
            pytest.skip("only rows of sft, dpo and kto are laid end to end")
        plain = one_step(self.case(training={"max_length": None}))
        packed = one_step(self.case(training={"padding_free": True, "max_length": None}))
        assert_equal(packed, plain, FLOAT32_ROUNDING)

    def test_no_supervised_token_is_a_zero_and_not_a_crash(self) -> None:
        """A batch whose every token is ignored gives a finite loss and zero gradients."""
        outcome = one_step(self.case(wrap=_ignore_everything))
        assert outcome.loss == outcome.loss
        assert abs(outcome.loss) < float("inf")
        if self.method == "sft":
            assert outcome.loss == 0.0
            assert _norm(outcome.gradients) == 0.0

    # ── models ───────────────────────────────────────────────────────────────────────────────────────────────────────

    @pytest.mark.parametrize(
        "peft",
        [
            {"target_modules": "all-linear"},
            {"target_modules": ["q_proj", "lm_head"]},
            {"target_modules": ["q_proj", "lm_head"], "use_dora": True},
            {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]},
        ],
        ids=["lora", "lora-on-head", "dora-on-head", "modules-to-save"],
    )
    def test_an_adapter_equals_its_merged_model(self, peft: Mapping[str, Any]) -> None:
        """The loss through an adapter is that of the model with the adapter merged in, and the adapter learns."""
        from trainwright.testing.adapters import merged_case, random_adapter

        adapted = self.case(dtype="float64", peft={"r": 4, **peft}, wrap=random_adapter)
        outcome = one_step(adapted)
        assert outcome.loss == pytest.approx(one_step(merged_case(adapted)).loss, rel=FLOAT64_ROUNDING)
        learning = {name for name, gradient in outcome.gradients.items() if bool(gradient.abs().sum() > 0)}
        assert learning == set(outcome.gradients), set(outcome.gradients) - learning

    def test_prompt_tuning_trains_the_prompt(self) -> None:
        """Virtual tokens before the rows do not shift which tokens are supervised."""
        outcome = one_step(self.case(peft={"num_virtual_tokens": 3}, peft_type="PromptTuningConfig"))
        assert _norm(outcome.gradients) > 0

    def test_gradient_checkpointing_changes_nothing(self) -> None:
        """Recomputed activations give the same gradients."""
        plain = one_step(self.case(training={"gradient_checkpointing": False}))
        assert_equal(one_step(self.case(training={"gradient_checkpointing": True})), plain, FLOAT32_ROUNDING)

    def test_a_precomputed_reference_changes_nothing(self) -> None:
        """What the reference gave before training is what it gives in each step."""
        from trainwright.errors import RunError
        from trainwright.trainer.methods import METHODS

        if "reference" not in METHODS[self.method].takes:
            pytest.skip("the method has no reference of its own")
        live = one_step(self.case())
        try:
            stored = one_step(self.case(training={"precompute_ref_log_probs": True}))
        except RunError as error:
            pytest.skip(f"the loss asks the reference for more than log-probabilities: {error}")
        assert_equal(stored, live, FLOAT32_ROUNDING)

    # ── cost ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def test_a_step_copies_nothing_to_the_host(self) -> None:
        """The loss asks the device for no value: no `.item()`, no boolean indexing, no `.tolist()`."""
        from trainwright.testing.sync import watched

        waits: list[str] = []
        one_step(self.case(rows=4, per_device=2, accumulate=2, wrap=watched(waits)))
        assert not waits, "\n".join(waits)

    def test_settings_and_collator_pickle(self) -> None:
        """Data-loader workers may be spawned."""
        from trainwright.loss.supervision import Supervise
        from trainwright.testing.bench import binding

        bound = binding(self.case())
        assert pickle.loads(pickle.dumps(bound.settings)) == bound.settings
        assert pickle.loads(pickle.dumps(Supervise(dict, bound.method.batch))).kind == bound.method.batch


def assert_equal(got: Outcome, expected: Outcome, rounding: float) -> None:
    """Losses and gradients agree within `rounding` times the largest gradient."""
    assert got.loss == pytest.approx(expected.loss, rel=rounding, abs=rounding)
    assert got.gradients.keys() == expected.gradients.keys()
    largest = max(float(gradient.abs().max()) for gradient in expected.gradients.values())
    for name, gradient in expected.gradients.items():
        difference = float((got.gradients[name].double() - gradient.double()).abs().max())
        assert difference <= rounding * largest, f"{name}: {difference:.3g} of {largest:.3g}"


def _norm(gradients: Mapping[str, Any]) -> float:
    return float(sum(float(gradient.double().pow(2).sum()) for gradient in gradients.values()) ** 0.5)


def _shift(direction: Mapping[str, Any], by: float) -> Callable[[Any], None]:
    def edit(model: Any) -> None:
        for name, parameter in model.named_parameters():
            if name in direction:
                parameter.data.add_(direction[name], alpha=by)

    return edit


def _held_means(known: list[Any]) -> Callable[[Any], None]:
    """A `Case.wrap` that gives each run the window means of the first, in the order in which they are asked for."""

    def wrap(trainer: Any) -> None:
        window_mean, first, asked = trainer._window_mean, not known, iter(known)

        def held(*args: Any) -> Any:
            if not first:
                return next(asked)
            known.append(window_mean(*args))
            return known[-1]

        trainer._window_mean = held

    return wrap


def _ignore_everything(trainer: Any) -> None:
    """Make the trainer's collator mark every token as ignored."""
    collate = trainer.data_collator.collate

    def ignore(examples: list[Any]) -> Any:
        batch = collate(examples)
        for key, value in (("labels", -100), ("completion_mask", 0)):
            if key in batch:
                batch[key] = batch[key].clone().fill_(value)
        return batch

    trainer.data_collator.collate = ignore
