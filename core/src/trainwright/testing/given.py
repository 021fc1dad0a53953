"""A loss on log-probabilities that are given, without a model: its formula alone, in any precision.

With `context = given_logps([torch.randn(5), torch.randn(3)])`, one pair, the value of a loss is
`mean_over_units(context, compute_loss(context))`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from trainwright.errors import RunError
from trainwright.loss.context import Loss, LossContext
from trainwright.loss.handle import ModelHandle, TokenLogps
from trainwright.loss.head import HeadFunction
from trainwright.loss.sums import Sums, mean_over_ranks
from trainwright.loss.supervision import Supervision
from trainwright.testing.bench import Case, Outcome, binding
from trainwright.testing.oracle import Logps
from trainwright.trainer.methods import METHODS

LENGTHS = (7, 1, 4, 12, 3, 9, 5, 2)


class NeedsModelError(RunError):
    """The loss asks for more than log-probabilities."""


class GivenHandle(ModelHandle):
    """A model whose log-probabilities are given.

    Args:
        logps: One tensor a sequence, `(n,)`; `Logps` where there are mismatched rows.
        supervision: Which tokens they belong to.
    """

    def __init__(self, logps: Sequence[Tensor], supervision: Supervision) -> None:
        super().__init__(None, {}, supervision)
        self._given = torch.cat(list(logps))
        if supervision.mismatched is not None and isinstance(logps, Logps):
            self.mismatched = GivenHandle(logps.mismatched, supervision.mismatched)

    def apply(self, function: HeadFunction) -> dict[str, Tensor]:
        """There is no head.

        Raises:
            NeedsModelError: Always.
        """
        raise NeedsModelError("it runs the model with a head function of its own")

    def _run(self, temperature: float, statistics: tuple[str, ...]) -> TokenLogps:
        if statistics or temperature != 1.0:
            raise NeedsModelError("it asks for statistics, or for another temperature")
        return TokenLogps(self._given, self._supervision.sequence, {})


def given_logps(
    policy: Sequence[Tensor],
    reference: Sequence[Tensor] = (),
    *,
    settings: Any = None,
    method: str = "dpo",
    batch: Mapping[str, Any] | None = None,
    sums: Sums | None = None,
) -> LossContext:
    """A loss context on given log-probabilities.

    Args:
        policy: For each sequence its supervised tokens' log-probabilities, `(n,)`; of pairs, first all chosen ones.
            `Logps` for the method `kto`.
        reference: The same under the reference model; empty for none.
        settings: The plugin's settings.
        method: The training method.
        batch: What else the batch holds.
        sums: Where metrics go.
    """
    supervision = _supervision([len(each) for each in policy], pairs=METHODS[method].batch == "pairs")
    if isinstance(policy, Logps):
        batch = {"label": policy.desirable, **(batch or {})}
        other = [len(each) for each in policy.mismatched]
        supervision = replace(supervision, mismatched=_supervision(other) if other else None)
    models = {"policy": GivenHandle(policy, supervision)}
    if reference:
        models["reference"] = GivenHandle(reference, supervision)
    return LossContext(
        batch=batch or {},
        supervision=supervision,
        method=method,
        settings=settings,
        training=True,
        step=0,
        trainer=None,
        handle=models.__getitem__,
        native=None,
        add_metric=(sums or Sums()).add,
        units=METHODS[method].units,
        window_mean=lambda ctx, values: mean_over_ranks([values(ctx)]),
    )


def _supervision(lengths: Sequence[int], *, pairs: bool = False) -> Supervision:
    """Each sequence a row of its own, supervised from its second token on."""
    columns = max(lengths, default=0) + 1
    rows = [row * columns + column for row, length in enumerate(lengths) for column in range(length)]
    index = torch.tensor(rows, dtype=torch.long)
    return Supervision(
        index=index,
        targets=torch.zeros_like(index),
        sequence=index // columns,
        lengths=torch.tensor(lengths, dtype=torch.long),
        columns=columns,
        pairs=pairs,
        chosen_tokens=sum(lengths[: len(lengths) // 2]) if pairs else 0,
    )


def mean_over_units(context: LossContext, loss: Loss) -> Tensor:
    """The value of a loss whose window is this one micro-batch, `()`."""
    assert context.supervision is not None
    first, *others = (term.total / max(context.supervision.count(term.per or "token"), 1) for term in loss.terms)
    return sum(others, start=first)


def formulas(
    case: Case, reference: Callable[[Sequence[Tensor], Sequence[Tensor], Any], Tensor | None]
) -> tuple[Outcome | None, Outcome | None]:
    """A loss and its plain reference on random log-probabilities in float64, with gradients.

    Args:
        case: Names the loss, its settings and the method.
        reference: `(policy, reference, settings) -> loss`.

    Returns:
        Both outcomes; None where there is no reference, or where the loss needs a model.
    """
    bound = binding(case)
    if bound.method.batch not in ("labels", "pairs", "unpaired"):
        return None, None
    generator = torch.Generator().manual_seed(3)
    drawn = [_draw(generator, rows=bound.method.batch) for _ in range(2)]
    expected = _outcome(drawn[0], lambda policy: reference(policy, drawn[1], bound.settings))

    def found(policy: Sequence[Tensor]) -> Tensor | None:
        context = given_logps(policy, drawn[1], settings=bound.settings, method=case.method)
        try:
            return mean_over_units(context, bound.compute_loss(ctx=context))
        except NeedsModelError:
            return None

    return _outcome(drawn[0], found), expected


def _draw(generator: torch.Generator, *, rows: str) -> Sequence[Tensor]:
    """Log-probabilities of sequences of `LENGTHS`; of rows with thumbs, of mismatched ones as well."""

    def draw() -> list[Tensor]:
        return [-5 * torch.rand(n, generator=generator, dtype=torch.float64) for n in LENGTHS]

    if rows != "unpaired":
        return draw()
    drawn = Logps(draw())
    drawn.mismatched, drawn.desirable = draw(), torch.arange(len(LENGTHS)) % 3 != 0
    return drawn


def _outcome(policy: Sequence[Tensor], function: Callable[[Sequence[Tensor]], Tensor | None]) -> Outcome | None:
    given = type(policy)(logps.clone().requires_grad_() for logps in policy)  # type: ignore[call-arg]
    leaves = [*given]
    if isinstance(policy, Logps) and isinstance(given, Logps):
        given.mismatched = [logps.clone().requires_grad_() for logps in policy.mismatched]
        given.desirable = policy.desirable
        leaves += given.mismatched
    loss = function(given)
    if loss is None:
        return None
    gradients = torch.autograd.grad(loss, leaves, materialize_grads=True)
    return Outcome(loss.item(), {str(number): gradient for number, gradient in enumerate(gradients)}, [])
