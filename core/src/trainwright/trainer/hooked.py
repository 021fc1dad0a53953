"""What Trainwright adds to a TRL trainer: a mixin whose `compute_loss` asks the hook.

Trainer.get_batch_samples ─ counts units over the accumulation window
Trainer.training_step     ─ TRL prepares the batch (generates, for methods with rollouts)
  └ compute_loss          ─ LossContext → hook → divide by the window's count
Trainer.log               ─ metrics reduced once, `metrics` hook asked
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from trainwright.data.odd_rows import tell_odd_rows
from trainwright.data.unpaired import is_paired
from trainwright.errors import RunError
from trainwright.hooks import LogStep, TemplateAnswer
from trainwright.loss.context import Loss, LossContext, Term
from trainwright.loss.handle import ModelHandle
from trainwright.loss.head import install_head
from trainwright.loss.preference import STATISTICS, is_chosen, log_policy
from trainwright.loss.sums import Sums, means, on_every_rank
from trainwright.loss.supervision import KEY, PRECOMPUTED, Supervise, Supervision, supervise
from trainwright.loss.together import mismatched_handle
from trainwright.reference.collate import ROW
from trainwright.reference.precompute import Precomputation
from trainwright.run.files import main_process
from trainwright.trainer import private
from trainwright.trainer.clock import Clock
from trainwright.trainer.cut_rows import CutRows
from trainwright.trainer.dropped import LeftOut, report_dropped, tell_left_out
from trainwright.trainer.flat import Flat
from trainwright.trainer.inputs import base_model, is_peft, model_inputs
from trainwright.trainer.methods import Method
from trainwright.trainer.preference_tokens import tokenized_by
from trainwright.trainer.window import Handles, Window, WindowMeans

TIME_KEYS = ("time/tokens_per_second", "time/seconds_per_step")


@dataclass(frozen=True)
class Binding:
    """What a run binds to a trainer.

    Attributes:
        method: The training method's row.
        compute_loss: The slot: the provider that the config names, inside the wrappers of other plugins.
        native: Whether the provider is TRL's own loss.
        settings: The provider's checked settings.
        metrics: Asks the metrics plugins, `(LogStep) -> numbers`; settings are theirs.
        reference: A reference model for methods whose trainer takes none.
        teacher: A teacher model for methods whose trainer takes none.
        placeholder: What TRL was given for a reference model is none, and is dropped.
        reference_adapter: An adapter with which the policy is the reference, as PEFT finds it.
        mismatched: Whether a loss asks for mismatched rows (method `kto`).
        precomputation: How to precompute reference log-probabilities, where the arguments ask for them; None: with the
            trainer's `ref_model`, or with the policy.
        template: How conversations become tokens, and what the model writes becomes messages.
    """

    method: Method
    compute_loss: Callable[..., Loss]
    native: bool
    settings: Any = None
    metrics: Callable[[LogStep], Mapping[str, float]] = field(default=lambda step: {})
    reference: Any = None
    teacher: Any = None
    placeholder: bool = False
    reference_adapter: str | None = None
    mismatched: bool = True
    precomputation: Precomputation | None = None
    template: TemplateAnswer = field(default_factory=TemplateAnswer)


class HookedTrainer(WindowMeans):
    """Mixin before one of TRL's trainers.

    Args:
        binding: What the run binds.
    """

    data_collator: Any

    def __init__(self, *args: Any, binding: Binding, **kwargs: Any) -> None:
        self.binding = binding
        self.sums = {"train": Sums(), "eval": Sums()}
        self._window: dict[str, Tensor | float] = {}
        self._micro_batches = Window()
        self._clock = Clock()
        self._left_out: list[LeftOut] = []
        if not binding.native:
            # compute_loss divides by the whole window's count; the Trainer must not divide by its steps again.
            self.loss_is_scaled_for_ga = True
        preferences = binding.method.batch in ("pairs", "unpaired")
        flat = preferences and not binding.native and getattr(kwargs["args"], "padding_free", False)
        with private.switched_off(kwargs["args"], *(["padding_free"] if flat else [])):
            super().__init__(*args, **kwargs)
        max_length = getattr(kwargs["args"], "max_length", None)
        if preferences and max_length is not None and private.has_images(self):
            self._left_out.append(LeftOut("rows with images", max_length))
            self.data_collator = CutRows(self.data_collator, max_length, self._left_out[-1])
        if flat:
            self.data_collator = Flat(self.data_collator)
        self._adopt(binding)

    def _adopt(self: Any, binding: Binding) -> None:
        if binding.method.batch in ("labels", "pairs", "unpaired"):
            self.data_collator = Supervise(self.data_collator, binding.method.batch)
        if binding.placeholder:
            self.ref_model = None
        if binding.reference_adapter is not None:
            private.add_reference_adapter(self, binding.reference_adapter)
        if not binding.native:
            private.check_windows(self)
        for name in ("reference", "teacher"):
            model = getattr(binding, name)
            if model is not None:
                prepared = self.accelerator.prepare_model(model, evaluation_mode=True)
                setattr(self, "ref_model" if name == "reference" else "teacher_model", prepared)
        if not binding.native:
            for model in (self.model, getattr(self, "ref_model", None), getattr(self, "teacher_model", None)):
                if model is not None:
                    install_head(base_model(self.accelerator.unwrap_model(model)))

    def _prepare_dataset(self: Any, dataset: Any, processing_class: Any, args: Any, *rest: Any, **named: Any) -> Any:
        prepare = partial(super()._prepare_dataset, dataset, processing_class, args, *rest, **named)  # type: ignore[misc]
        if self.binding.method.batch not in ("pairs", "unpaired"):
            return prepare()
        left_out = LeftOut(f"data.{rest[0]}", args.max_length)
        with private.counted_filters(left_out.around), tokenized_by(self.binding):
            prepared = prepare()
        if hasattr(prepared, "__len__"):
            two = self.binding.method.batch == "unpaired" and is_paired(dataset)
            report_dropped(dataset, prepared, left_out.key, args.max_length, sequences=1 + two)
            if main_process():
                tell_odd_rows(dataset, prepared, left_out.key, args.max_length)
        else:
            self._left_out.append(left_out)
        return prepared

    def _set_signature_columns_if_needed(self: Any) -> None:
        super()._set_signature_columns_if_needed()  # type: ignore[misc]
        if ROW not in self._signature_columns:
            self._signature_columns.append(ROW)

    # ── normalisation ────────────────────────────────────────────────────────────────────────────────────────────────

    def get_batch_samples(self: Any, epoch_iterator: Any, num_batches: int, device: torch.device) -> tuple[Any, Any]:
        """Fetch an accumulation window, and count its units over all ranks before its first step."""
        self._clock.begin(self.state.global_step)
        samples, items = super().get_batch_samples(epoch_iterator, num_batches, device)  # type: ignore[misc]
        self._window, self._micro_batches = {}, Window(samples)
        if not self.binding.native and self.binding.method.batch != "rollouts":
            self._window = self._count([Supervision.unpack(batch[KEY]) for batch in samples])
        return samples, items

    def _count(self: Any, parts: Sequence[Supervision]) -> dict[str, Tensor | float]:
        units = self.binding.method.units
        local = [float(sum(part.count(unit) for part in parts)) for unit in units]
        if self.accelerator.num_processes == 1:
            return dict(zip(units, local, strict=True))
        total = self.accelerator.reduce(torch.tensor(local, device=self.accelerator.device), reduction="sum")
        # Ranks of one tensor-parallel group hold the same batch: each of its units was counted once a rank.
        total = total / (self.accelerator.num_processes / private.data_parallel_size(self))
        return dict(zip(units, total.unbind(), strict=True))

    def _normalised(self: Any, loss: Loss, supervision: Supervision | None) -> Tensor:
        rollouts = self.binding.method.batch == "rollouts"
        if self.model.training and supervision is not None and rollouts and self._first_of_window():
            self._window = self._count([supervise(batch, "rollouts") for batch in private.rollout_window(self)])
        first, *others = (self._divided(term, supervision) for term in loss.terms)
        value: Tensor = sum(others, start=first)
        return value

    def _divided(self: Any, term: Term, supervision: Supervision | None) -> Tensor:
        if term.per is None or supervision is None:
            return term.total
        if not self.model.training:
            units = supervision.count(term.per)
            self.sums["eval"].add("loss", term.total, units, term.per)
            return term.total / max(units, 1)
        count: Tensor | float = self._window[term.per]
        count = count.clamp(min=1) if isinstance(count, Tensor) else max(count, 1.0)
        # DDP and FSDP average gradients over the ranks that see different data.
        return term.total * (private.data_parallel_size(self) / count)

    def _first_of_window(self: Any) -> bool:
        return not self._window or self._step % self.args.gradient_accumulation_steps == 0

    # ── the hook ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def compute_loss(
        self: Any,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """Ask the hook for the loss of one micro-batch; see `transformers.Trainer.compute_loss`."""
        packed = inputs.pop(KEY, None)
        self._count_tokens(inputs, packed)
        if self.binding.native:
            native = partial(super().compute_loss, model, inputs, return_outputs, num_items_in_batch)  # type: ignore[misc]
            return self._native(native, inputs, return_outputs)
        if return_outputs:
            raise RunError("a plugin loss makes no logits for `compute_metrics`", remedy="use `loss: trl`")
        supervision = Supervision.unpack(packed) if packed else supervise(inputs, self.binding.method.batch)
        handles = self._next_micro_batch()
        handle = partial(self._handle, model, inputs, supervision, handles)
        ctx = self._context(inputs, supervision, handle, None, partial(self._window_mean, model, handles))
        value = self._normalised(self.binding.compute_loss(ctx=ctx), supervision)
        self._log_policy(handles.get("policy"), supervision, inputs)
        return self._add_aux_loss(value, handles.get("policy"))

    def _log_policy(self: Any, policy: ModelHandle | None, supervision: Supervision, inputs: Any) -> None:
        chosen = is_chosen(supervision, inputs)
        if policy is not None and chosen is not None:
            log_policy(policy, chosen, self.sums["train" if self.model.training else "eval"].add)

    def _native(self: Any, native: Callable[[], Any], inputs: Any, return_outputs: bool) -> Any:
        outputs: list[Any] = []

        def run() -> Tensor:
            answer = native()
            if return_outputs:
                answer, output = answer
                outputs.append(output)
            return answer  # type: ignore[no-any-return]

        ctx = self._context(inputs, None, None, run)
        loss = self.binding.compute_loss(ctx=ctx)
        value = self._normalised(loss, None)
        return (value, outputs[0]) if return_outputs else value

    def _context(
        self: Any, inputs: Any, supervision: Any, handle: Any, native: Any, window_mean: Any = None
    ) -> LossContext:
        split = "train" if self.model.training else "eval"
        return LossContext(
            batch=inputs,
            supervision=supervision,
            method=self.binding.method.name,
            settings=self.binding.settings,
            training=self.model.training,
            step=self.state.global_step,
            trainer=self,
            handle=handle,
            native=native,
            add_metric=self.sums[split].add,
            units=self.binding.method.units,
            window_mean=window_mean,
        )

    def _add_aux_loss(self: Any, value: Tensor, policy: ModelHandle | None) -> Tensor:
        weight = private.aux_loss_weight(self)
        if not weight or policy is None or policy.aux_loss is None:
            return value
        self.sums["train" if self.model.training else "eval"].add("aux_loss", policy.aux_loss)
        # A mean of this micro-batch: averaged over the window here, over ranks by DDP.
        steps = self.current_gradient_accumulation_steps if self.model.training else 1
        return value + weight * policy.aux_loss.to(value) / steps

    # ── models ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _handle(
        self: Any,
        model: Any,
        inputs: Any,
        supervision: Supervision,
        made: Handles,
        name: str,
        *,
        without_gradient: bool = False,
    ) -> ModelHandle:
        """A model, made once a micro-batch, whichever loss of a mix asks first."""
        # What the policy yields without gradient must not serve where it needs one.
        key = "policy without gradient" if without_gradient and name == "policy" else name
        if key not in made:
            made[key] = handle = self._make_handle(model, inputs, supervision, name)
            if supervision.mismatched is not None:
                agree = on_every_rank if private.is_sharded(self) else bool
                handle.mismatched = mismatched_handle(handle, inputs, supervision.mismatched, agree)
        return made[key]

    def _make_handle(self: Any, model: Any, inputs: Any, supervision: Supervision, name: str) -> ModelHandle:
        keywords = model_inputs(inputs, self.binding.method.batch)
        if name == "policy":
            if private.aux_loss_weight(self):
                keywords["output_router_logits"] = True
            statistics = STATISTICS if is_chosen(supervision, inputs) is not None else ()
            return ModelHandle(model, keywords, supervision, statistics=statistics)
        if name == "reference" and PRECOMPUTED in inputs:
            handle = ModelHandle(None, keywords, supervision, name=name)
            handle.know(inputs[PRECOMPUTED]["own"])
            return handle
        other = getattr(self, "ref_model" if name == "reference" else "teacher_model", None)
        if other is not None:
            return ModelHandle(other, keywords, supervision, around=partial(private.frozen, self), name=name)
        if name == "reference" and is_peft(self.accelerator.unwrap_model(self.model)):
            around = partial(private.frozen, self, without_adapter=True)
            return ModelHandle(self.model, keywords, supervision, around=around, name=name)
        raise RunError(
            f"this loss needs a {name} model, and the run has none",
            where=name,
            remedy=f"add `{name}: {{path: …}}` to the config" + (", or train with `lora:`" * (name == "reference")),
        )

    # ── logging ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _count_tokens(self: Any, inputs: Mapping[str, Any], packed: Mapping[str, Any] | None) -> None:
        if not self.model.training:
            return
        if packed is not None:
            tokens, sequences = torch.tensor(float(packed["tokens"])), packed["lengths"].numel()
        else:
            masks = [inputs[key] for key in ("attention_mask", "prompt_mask", "completion_mask") if key in inputs]
            masks = masks[:1] if "attention_mask" in inputs else masks
            tokens, sequences = sum(mask.sum() for mask in masks), masks[0].shape[0]
        self.sums["train"].add("_tokens", tokens, sequences)

    def log(self: Any, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the reduced metrics, the throughput and what the `metrics` plugins say, then log."""
        split = "train" if self.model.training else "eval"
        final = "train_runtime" in logs
        tell_left_out(self._left_out, self.accelerator, final=final)
        reduced = {} if final else self.sums[split].reduce()
        tokens, sequences = reduced.pop("_tokens", (0.0, 0.0))
        prefix = "" if split == "train" else "eval_"
        logs.update({prefix + name: value for name, value in means(reduced).items()})
        if split == "train" and not final:
            self._log_throughput(logs, tokens, sequences)
        super().log(logs, start_time)  # type: ignore[misc]

    def _log_throughput(self: Any, logs: dict[str, float], tokens: float, sequences: float) -> None:
        steps, seconds = self._clock.lap(self.state.global_step)
        self._total_train_tokens = getattr(self, "_total_train_tokens", 0) + (0 if self.binding.native else int(tokens))
        if not self.binding.native:
            logs["num_tokens"] = self._total_train_tokens
        logs.update(zip(TIME_KEYS, (tokens / seconds, seconds / max(steps, 1)), strict=True))
        step = LogStep(
            step=self.state.global_step,
            logs=dict(logs),
            tokens=int(tokens),
            seconds=seconds,
            sequence_length=tokens / max(sequences, 1.0),
            world_size=self.accelerator.num_processes,
            trainer=self,
        )
        if self.is_world_process_zero():
            logs.update(self.binding.metrics(step))

    def evaluate(self: Any, *args: Any, **kwargs: Any) -> Any:
        """Evaluate; its time does not count into the training throughput."""
        with self._clock.paused():
            return super().evaluate(*args, **kwargs)  # type: ignore[misc]

    def _save_checkpoint(self: Any, *args: Any, **kwargs: Any) -> None:
        with self._clock.paused():
            super()._save_checkpoint(*args, **kwargs)  # type: ignore[misc]
