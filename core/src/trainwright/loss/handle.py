"""A model as a loss sees it: log-probabilities and head functions, whatever wraps the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from trainwright.errors import RunError
from trainwright.loss.context import Sequences
from trainwright.loss.head import Head, HeadFunction, HeadRequest, release
from trainwright.loss.supervision import Supervision


@dataclass(frozen=True)
class TokenLogps:
    """Log-probabilities of the supervised tokens.

    Attributes:
        logps: Natural log-probability of each target, `(N,)`, float32 (float64 for float64 models).
        sequence: The sequence each token belongs to, int64 `(N,)`: `advantages[tokens.sequence]` spreads a value.
        statistics: What was asked for, each `(N,)` and without gradient.
    """

    logps: Tensor  # (N,)
    sequence: Tensor  # (N,)
    statistics: Mapping[str, Tensor]


class ModelHandle:
    """One of a run's models, for one micro-batch.

    Args:
        model: The model as it is called: wrapped by DDP, FSDP or PEFT.
        inputs: The keywords of its forward.
        supervision: Which positions carry loss.
        around: Makes the context in which it runs (no gradient, adapter off).
        name: `policy`, `reference` or `teacher`.
        precomputed: Sums of log-probs by sequence that TRL computed before training, `(sequences,)`.
    """

    def __init__(
        self,
        model: Any,
        inputs: Mapping[str, Any],
        supervision: Supervision,
        *,
        around: Callable[[], AbstractContextManager[Any]] = nullcontext,
        name: str = "policy",
        precomputed: Tensor | None = None,
    ) -> None:
        self._model = model
        self._inputs = inputs
        self._supervision = supervision
        self._around = around
        self._name = name
        self._precomputed = precomputed
        self._tokens: dict[tuple[float, tuple[str, ...]], TokenLogps] = {}
        self.aux_loss: Tensor | None = None

    def apply(self, function: HeadFunction) -> dict[str, Tensor]:
        """Run the model with its LM head replaced.

        Args:
            function: Called once with the `Head`; returns named tensors.

        Returns:
            Those tensors, with gradients for the policy.

        Raises:
            RunError: Only precomputed log-probs exist.
        """
        if self._model is None:
            raise RunError(
                f"the {self._name} was precomputed as sums by sequence, but this loss asks for more",
                remedy="set `training.precompute_ref_log_probs: false`",
            )
        request = HeadRequest(function, self._supervision)
        with self._around():
            output = self._model(**self._inputs, use_cache=False, head_function=request)
        self.aux_loss = request.aux_loss
        return release(request, output["anchor"])

    def token_logps(self, *, temperature: float = 1.0, statistics: tuple[str, ...] = ()) -> TokenLogps:
        """Log-probabilities of the supervised tokens; the model runs once, however often this is asked.

        Args:
            temperature: What the logits are divided by.
            statistics: Of `entropy`, `top1`, `mean_logit`, `log_sum_sq`.
        """
        key = (temperature, statistics)
        if key not in self._tokens:
            self._tokens[key] = self._run(temperature, statistics)
        return self._tokens[key]

    def _run(self, temperature: float, statistics: tuple[str, ...]) -> TokenLogps:
        from trainwright_ops import linear_logps

        def function(head: Head) -> Mapping[str, Tensor]:
            found = linear_logps(**head.keywords(), temperature=temperature, statistics=statistics)
            return {name: getattr(found, name) for name in ("logps", *statistics)}

        results = self.apply(function)
        logps = results.pop("logps")
        return TokenLogps(logps, self._supervision.sequence.to(logps.device), results)

    def sequence_logps(self, average: bool = False) -> Sequences:
        """Log-probability of each sequence's supervised tokens, `(sequences,)`.

        Args:
            average: Divide by the number of supervised tokens (length-normalised losses); 0 for a sequence without any.
        """
        lengths = self._supervision.lengths
        if self._precomputed is not None:
            sums = self._precomputed
        else:
            tokens = self.token_logps()
            sums = tokens.logps.new_zeros(lengths.numel()).index_add(0, tokens.sequence, tokens.logps)
        if average:
            sums = sums / lengths.to(sums.device).clamp(min=1)
        return sums.as_subclass(Sequences)
