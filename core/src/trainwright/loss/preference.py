"""What every preference loss logs, under TRL's names: its rewards, and what the policy's pass tells.

Core logs the latter by itself (`log_policy`), once for a micro-batch however many losses are mixed; a loss logs its
rewards with `ctx.log_rewards`. All are means over what they are named for, over micro-batches and ranks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from trainwright.errors import RunError

if TYPE_CHECKING:
    from trainwright.loss.handle import ModelHandle
    from trainwright.loss.supervision import Supervision

STATISTICS = ("entropy", "top1", "mean_logit")
"""What the policy's pass measures beside log-probabilities, for `log_policy`."""


class Sequences(torch.Tensor):
    """One value a sequence, `(sequences,)`: a tensor that knows how pairs lie in it; so do its sums and multiples."""

    if TYPE_CHECKING:  # what PyTorch does, said in types: results are of the subclass

        def __add__(self, other: Any) -> Sequences: ...
        def __sub__(self, other: Any) -> Sequences: ...
        def __mul__(self, other: Any) -> Sequences: ...
        def __rmul__(self, other: Any) -> Sequences: ...

    @property
    def chosen(self) -> Tensor:
        """`(pairs,)`: the values of the preferred answers, the first half of the batch."""
        return self._halves()[0]

    @property
    def rejected(self) -> Tensor:
        """`(pairs,)`: the values of the answers that the others are preferred over."""
        return self._halves()[1]

    def chosen_minus_rejected(self) -> Tensor:
        """`(pairs,)`: by how much the preferred answers' values are larger."""
        chosen, rejected = self._halves()
        return chosen - rejected

    def _halves(self) -> tuple[Tensor, Tensor]:
        values = self.as_subclass(Tensor)
        if values.numel() % 2:
            raise RunError("this batch holds no pairs", remedy="use a method with pairs (dpo), or another loss")
        half = values.numel() // 2
        return values[:half], values[half:]


def is_chosen(supervision: Supervision, batch: Mapping[str, Any]) -> Tensor | None:
    """Whether each sequence is a preferred answer, bool `(sequences,)`; None where the batch holds no preferences."""
    lengths = supervision.lengths
    if supervision.pairs:
        return torch.arange(lengths.numel(), device=lengths.device) < lengths.numel() // 2
    label = batch.get("label")
    return label.bool() if isinstance(label, Tensor) else None


def log_rewards(
    rewards: Tensor,  # (sequences,)
    chosen: Tensor,  # (sequences,)
    add: Callable[..., None],
    *,
    pairs: bool,
) -> None:
    """Log rewards of chosen and rejected answers, their difference, and how often that is positive.

    Args:
        rewards: One a sequence.
        chosen: Whether the sequence is preferred, bool.
        add: `Sums.add`.
        pairs: Whether the second half of the sequences are the counterparts of the first.
    """
    rewards = rewards.detach().as_subclass(Tensor)
    chosen = chosen.to(rewards.device)
    for name, mask, sign in (("chosen", chosen, 1), ("rejected", ~chosen, -1)):
        total, count = rewards.where(mask, 0).sum(), mask.sum()
        add(f"rewards/{name}", total, count)
        add("rewards/margins", sign * total, count, name)  # a difference of two means, each with a count of its own
    if pairs:
        add("rewards/accuracies", rewards.as_subclass(Sequences).chosen_minus_rejected() > 0)


def log_policy(policy: ModelHandle, chosen: Tensor, add: Callable[..., None]) -> None:
    """Log what the policy's pass has measured; nothing where the loss made no token log-probabilities.

    `entropy` over all supervised tokens (nats), `mean_token_accuracy` over those of chosen answers, `logits/chosen` and
    `logits/rejected` (mean over tokens and vocabulary), `logps/chosen` and `logps/rejected` (mean over answers of the
    sum over tokens).

    Args:
        policy: The handle that the losses used.
        chosen: Whether each sequence is preferred, bool `(sequences,)`.
        add: `Sums.add`.
    """
    tokens = policy.measured()
    if tokens is None or not tokens.statistics.keys() >= set(STATISTICS):
        return
    found = tokens.statistics
    sums = policy.sequence_logps().detach().as_subclass(Tensor)
    chosen = chosen.to(sums.device)
    of_chosen = chosen[tokens.sequence]
    add("entropy", found["entropy"])
    add("mean_token_accuracy", found["top1"] & of_chosen, of_chosen.sum())
    for name, sequences, mask in (("chosen", chosen, of_chosen), ("rejected", ~chosen, ~of_chosen)):
        add(f"logits/{name}", found["mean_logit"].where(mask, 0), mask.sum())
        add(f"logps/{name}", sums.where(sequences, 0), sequences.sum())
