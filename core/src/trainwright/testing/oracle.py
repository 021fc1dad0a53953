"""A whole batch's loss and gradients from full logits, written plainly: what a loss plugin is compared with."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from trainwright.testing.bench import Case, Outcome, _trainer

Reference = Callable[[Sequence[Any], Sequence[Any], Any], Any]


class Logps(list[Any]):
    """Log-probabilities by sequence, each `(n,)`, as a plain reference of a loss is given them.

    Attributes:
        mismatched: The same of the mismatched rows (method `kto`); empty for other methods.
        desirable: Whether each sequence has a thumb up, bool `(sequences,)` (method `kto`); None for other methods.
    """

    mismatched: Sequence[Any] = ()
    desirable: Any = None


def plain_outcome(case: Case, reference: Reference) -> Outcome | None:
    """The outcome of a case's step by a plain function of log-probabilities.

    Args:
        case: The case; all its rows are taken as one batch.
        reference: `(policy, reference, settings) -> loss`; see `LossContract.reference`.

    Returns:
        Loss and gradients, or None where the function gives None.
    """
    with tempfile.TemporaryDirectory() as folder:
        trainer = _trainer(replace(case, per_device=case.rows, accumulate=1), Path(folder))
        if case.wrap:
            case.wrap(trainer)
        batch = next(iter(trainer.get_train_dataloader()))
    other = getattr(trainer, "ref_model", None)
    policy = all_logps(trainer.model, batch)
    fixed = _detached(all_logps(other, batch)) if other is not None else Logps()
    loss = reference(policy, fixed, trainer.binding.settings)
    if loss is None:
        return None
    loss.backward()
    named = trainer.model.named_parameters()
    return Outcome(loss.item(), {name: p.grad for name, p in named if p.grad is not None}, [])


def all_logps(model: Any, batch: Any) -> Logps:
    """Log-probabilities of a batch's own sequences and of its mismatched ones."""
    from trainwright.loss.supervision import KEY, MISMATCHED

    found = Logps(sequence_logps(model, batch, batch[KEY]))
    if "mismatched" in batch[KEY]:
        own = {name.removeprefix(MISMATCHED): value for name, value in batch.items() if name.startswith(MISMATCHED)}
        found.mismatched = sequence_logps(model, own, batch[KEY]["mismatched"])
    found.desirable = batch["label"].bool() if "label" in batch else None
    return found


def _detached(logps: Logps) -> Logps:
    found = Logps(each.detach() for each in logps)
    found.mismatched, found.desirable = [each.detach() for each in logps.mismatched], logps.desirable
    return found


def sequence_logps(model: Any, batch: Any, supervision: Any) -> list[Any]:
    """Log-probabilities of each sequence's supervised tokens from full logits, a list of `(n,)`."""
    import torch

    inputs = {name: batch[name] for name in ("input_ids", "attention_mask", "position_ids") if name in batch}
    logits = model(**inputs, use_cache=False).logits
    logps = torch.log_softmax(logits, dim=-1).flatten(0, 1)[supervision["index"]]  # (N, V)
    chosen = logps.gather(1, supervision["targets"].unsqueeze(1)).squeeze(1)  # (N,)
    count = supervision["lengths"].numel()
    return [chosen[supervision["sequence"] == number] for number in range(count)]
