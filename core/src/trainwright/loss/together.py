"""Two batches of one model in one forward pass: under a reference, a batch's own rows and its mismatched ones.

Whether that pays depends on a rank's own rows. Where models are spread over ranks, each forward gathers their
parameters from all of them: there the ranks must agree, or one waits for ever for a forward that another does not make.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from trainwright.loss.handle import ModelHandle, TokenLogps
from trainwright.loss.supervision import MISMATCHED, PRECOMPUTED, Supervision

PADDING = 1.25
"""How many more positions than the two batches have alone their common pass may have."""


def stack_inputs(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Tensor] | None:
    """The keywords of a forward over the rows of both, padded on the right to the wider one.

    None where both hold more than tokens (images), or where padding would cost more than a second pass saves.
    """
    shapes = [tuple(batch["input_ids"].shape) for batch in (first, second)]  # (B, S) each
    plain = first.keys() == second.keys() and all(
        isinstance(value, Tensor) and value.shape == shape
        for batch, shape in zip((first, second), shapes, strict=True)
        for value in batch.values()
    )
    columns = max(shape[1] for shape in shapes)
    alone = sum(rows * width for rows, width in shapes)
    if not plain or sum(rows for rows, _ in shapes) * columns > PADDING * alone:
        return None
    return {name: torch.cat([_wide(batch[name], columns) for batch in (first, second)]) for name in first}


def _wide(
    values: Tensor,  # (B, S)
    columns: int,
) -> Tensor:  # (B, columns)
    return pad(values, (0, columns - values.shape[1]))


def stack_supervision(
    first: Supervision,
    second: Supervision,
    rows: int,  # of the first
) -> Supervision:
    """The supervision of what `stack_inputs` makes: the tokens of the first batch, then those of the second."""
    columns = max(first.columns, second.columns)
    return Supervision(
        index=torch.cat([_moved(first, columns, 0), _moved(second, columns, rows)]),
        targets=torch.cat([first.targets, second.targets]),
        sequence=torch.cat([first.sequence, second.sequence + first.sequences]),
        lengths=torch.cat([first.lengths, second.lengths]),
        columns=columns,
        tokens=first.tokens + second.tokens,
    )


def _moved(supervision: Supervision, columns: int, rows: int) -> Tensor:
    """Flat positions in rows of another width that begin further down."""
    row, column = supervision.index // supervision.columns, supervision.index % supervision.columns
    return (row + rows) * columns + column


def mismatched_handle(
    own: ModelHandle, batch: Mapping[str, Any], supervision: Supervision, agree: Callable[[bool], bool]
) -> ModelHandle:
    """A handle's model on the mismatched rows of its batch, which share the images of the batch's own rows.

    Args:
        own: The model on the batch's own rows.
        batch: TRL's batch.
        supervision: The mismatched rows' positions that count.
        agree: Of what this rank wants, makes what it may do.
    """
    inputs = mismatched_inputs(own._inputs, batch)
    if own._name == "policy":
        return ModelHandle(own._model, inputs, supervision, around=own._around)
    handle = MismatchedHandle(own, inputs, supervision, agree)
    if own._model is None:
        handle.know(batch[PRECOMPUTED]["mismatched"])
    return handle


def mismatched_inputs(own: Mapping[str, Any], batch: Mapping[str, Any]) -> dict[str, Any]:
    """The keywords of a forward for a batch's mismatched rows, made of those for its own rows, `own`."""
    inputs = {name: batch.get(MISMATCHED + name, value) for name, value in own.items()}
    inputs.pop("output_router_logits", None)  # no router loss is taken of them
    return inputs


class MismatchedHandle(ModelHandle):
    """A model without gradient on mismatched rows. Its first run takes the batch's own rows along, if they wait.

    Args:
        own: The model on the batch's own rows.
        inputs: The keywords of its forward for the mismatched rows.
        supervision: Which of their positions count.
        agree: Of whether this rank wants one pass for both, makes whether it may.
    """

    def __init__(
        self, own: ModelHandle, inputs: Mapping[str, Any], supervision: Supervision, agree: Callable[[bool], bool]
    ) -> None:
        super().__init__(own._model, inputs, supervision, around=own._around, name=own._name)
        self._own, self._agree = own, agree

    def _run(self, temperature: float, statistics: tuple[str, ...]) -> TokenLogps:
        own = self._own
        inputs = None if temperature in own._tokens else self._stacked()
        if inputs is None:
            return super()._run(temperature, statistics)
        rows = own._inputs["input_ids"].shape[0]
        supervision = stack_supervision(own._supervision, self._supervision, rows)
        both = ModelHandle(self._model, inputs, supervision, around=self._around, name=self._name)
        own._tokens[temperature], mine = _split(both.token_logps(temperature=temperature, statistics=statistics), own)
        return mine

    def _stacked(self) -> dict[str, Tensor] | None:
        inputs = stack_inputs(self._own._inputs, self._inputs)
        return inputs if self._agree(inputs is not None) else None


def _split(both: TokenLogps, own: ModelHandle) -> tuple[TokenLogps, TokenLogps]:
    """What belongs to a batch's own rows, and the rest."""
    first = own._supervision.index.numel()
    statistics = both.statistics.items()
    return (
        TokenLogps(both.logps[:first], both.sequence[:first], {name: each[:first] for name, each in statistics}),
        TokenLogps(
            both.logps[first:],
            both.sequence[first:] - own._supervision.sequences,
            {name: each[first:] for name, each in statistics},
        ),
    )
