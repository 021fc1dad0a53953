"""A whole batch's loss and gradients from full logits, written plainly: what a loss plugin is compared with."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from trainwright.testing.bench import Case, Outcome, _trainer

Reference = Callable[[Sequence[Any], Sequence[Any], Any], Any]


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
        batch = next(iter(trainer.get_train_dataloader()))
    other = getattr(trainer, "ref_model", None)
    policy = sequence_logps(trainer.model, batch)
    fixed = [logps.detach() for logps in sequence_logps(other, batch)] if other is not None else []
    loss = reference(policy, fixed, trainer.binding.settings)
    if loss is None:
        return None
    loss.backward()
    named = trainer.model.named_parameters()
    return Outcome(loss.item(), {name: p.grad for name, p in named if p.grad is not None}, [])


def sequence_logps(model: Any, batch: Any) -> list[Any]:
    """Log-probabilities of each sequence's supervised tokens from full logits, a list of `(n,)`."""
    import torch

    from trainwright.loss.supervision import KEY

    supervision = batch[KEY]
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask", "position_ids") if name in batch}
    logits = model(**inputs, use_cache=False).logits
    logps = torch.log_softmax(logits, dim=-1).flatten(0, 1)[supervision["index"]]  # (N, V)
    chosen = logps.gather(1, supervision["targets"].unsqueeze(1)).squeeze(1)  # (N,)
    count = supervision["lengths"].numel()
    return [chosen[supervision["sequence"] == number] for number in range(count)]
