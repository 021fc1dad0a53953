"""A model as a loss sees it: log-probabilities and head functions, whatever wraps the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from trainwright.errors import RunError
from trainwright.loss.head import Head, HeadFunction, HeadRequest, release
from trainwright.loss.preference import Sequences
from trainwright.loss.supervision import Supervision


@dataclass(frozen=True)
class TokenLogps:
    """Log-probabilities of the supervised tokens.

    Attributes:
        logps: Natural log-probability of each target, `(N,)`, float32 (float64 for float64 models).
        sequence: The sequence each token belongs to, int64 `(N,)`: `advantages[tokens.sequence]` spreads a value.
        statistics: What was asked for, and perhaps more, each `(N,)` and without gradient.
    """

    logps: Tensor  # (N,)
    sequence: Tensor  # (N,)
    statistics: Mapping[str, Tensor]


class ModelHandle:
    """One of a run's models, for one micro-batch.

    Args:
        model: The model as it is called: wrapped by DDP, FSDP or PEFT. None where all that is known of it was worked
            out before training (`know`).
        inputs: The keywords of its forward.
        supervision: Which positions carry loss.
        around: Makes the context in which it runs (no gradient, adapter off).
        name: `policy`, `reference` or `teacher`.
        statistics: What is measured at temperature 1 whether a loss asks for it or not, because core logs it.
    """

    def __init__(
        self,
        model: Any,
        inputs: Mapping[str, Any],
        supervision: Supervision,
        *,
        around: Callable[[], AbstractContextManager[Any]] = nullcontext,
        name: str = "policy",
        statistics: tuple[str, ...] = (),
    ) -> None:
        self._model = model
        self._inputs = inputs
        self._supervision = supervision
        self._around = around
        self._name = name
        self._mismatched: ModelHandle | None = None
        self._statistics = statistics
        self._tokens: dict[float, TokenLogps] = {}
        self.aux_loss: Tensor | None = None

    @property
    def lengths(self) -> Tensor:
        """Supervised tokens of each sequence, int64 `(sequences,)`."""
        return self._supervision.lengths

    @property
    def mismatched(self) -> ModelHandle:
        """This model on mismatched rows: each prompt of the batch with the completion of another row (method `kto`).

        A model without gradient runs them and the batch's own rows in one pass, where they are asked for first and
        padding to one width costs little. The policy does not: rows without gradient would be stored and differentiated
        with the others.

        Raises:
            RunError: The batch has none.
        """
        if self._mismatched is None:
            raise RunError(
                "this batch holds no mismatched rows: prompts with the completions of other rows",
                remedy="they are made for the method `kto`, of two rows or more",
            )
        return self._mismatched

    @mismatched.setter
    def mismatched(self, handle: ModelHandle) -> None:
        self._mismatched = handle

    def apply(self, function: HeadFunction) -> dict[str, Tensor]:
        """Run the model with its LM head replaced.

        Args:
            function: Called once with the `Head`; returns named tensors.

        Returns:
            Those tensors, with gradients for the policy.

        Raises:
            RunError: Only what was worked out before training exists.
        """
        if self._model is None:
            raise RunError(
                f"of the {self._name}, log-probabilities were precomputed, and this loss asks for more",
                remedy="set `training.precompute_ref_log_probs: false`",
            )
        request = HeadRequest(function, self._supervision)
        with self._around():
            output = self._model(**self._inputs, use_cache=False, head_function=request)
        self.aux_loss = request.aux_loss
        return release(request, output["anchor"])

    def token_logps(self, *, temperature: float = 1.0, statistics: tuple[str, ...] = ()) -> TokenLogps:
        """Log-probabilities of the supervised tokens; the model runs once, however often this is asked.

        It runs again for another temperature, and for statistics that nobody has asked for before.

        Args:
            temperature: What the logits are divided by.
            statistics: Of `entropy`, `top1`, `mean_logit`, `log_sum_sq`.
        """
        known = self._tokens.get(temperature)
        if known is None or not known.statistics.keys() >= set(statistics):
            more = tuple(known.statistics) if known else self._statistics if temperature == 1.0 else ()
            known = self._tokens[temperature] = self._run(temperature, tuple(dict.fromkeys((*more, *statistics))))
        return known

    def know(
        self,
        logps: Tensor,  # (N,)
    ) -> None:
        """Take log-probabilities of the supervised tokens that were worked out before; the model need not run."""
        self._tokens[1.0] = TokenLogps(logps, self._supervision.sequence.to(logps.device), {})

    def measured(self) -> TokenLogps | None:
        """What `token_logps` has yielded at temperature 1; None where no loss has asked."""
        return self._tokens.get(1.0)

    def _run(self, temperature: float, statistics: tuple[str, ...]) -> TokenLogps:
        from trainwright_ops import linear_logps

        def function(head: Head) -> Mapping[str, Tensor]:
            found = linear_logps(**head.keywords(), temperature=temperature, statistics=statistics)
            return {name: getattr(found, name) for name in ("logps", *statistics)}

        results = self.apply(function)
        logps = results.pop("logps")
        return TokenLogps(logps, self._supervision.sequence.to(logps.device), results)

    def sequence_logps(self, average: bool = False, weights: Tensor | None = None) -> Sequences:
        """Log-probability of each sequence's supervised tokens, `(sequences,)`.

        Args:
            average: Divide by the number of supervised tokens (length-normalised losses); 0 for a sequence without any.
            weights: What each token's log-probability is multiplied by, `(N,)`; it does not change that number.
        """
        lengths = self._supervision.lengths
        tokens = self.token_logps()
        logps = tokens.logps if weights is None else tokens.logps * weights.to(tokens.logps)
        sums = logps.new_zeros(lengths.numel()).index_add(0, tokens.sequence, logps)
        if average:
            sums = sums / lengths.to(sums.device).clamp(min=1)
        return sums.as_subclass(Sequences)
