"""How the functions stand in `torch.compile` (one call that is not traced) and in autograd (first derivatives only)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


def untraced(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """Keep Dynamo out of `function`: it would unroll the loop over tiles, once for each number of tokens.

    `torch.compiler.disable` as a decorator would import Dynamo (seconds) with this package; here it waits until needed.
    """

    @functools.wraps(function)
    def call(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        if not torch.compiler.is_compiling():
            return function(*args, **kwargs)
        disabled: Callable[_Parameters, _Result] = torch.compiler.disable(function)  # type: ignore[no-untyped-call]
        return disabled(*args, **kwargs)

    return call


def first_order(backward: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """Refuse a graph of the backward pass: gradients made in the forward would enter it as constants, silently."""

    @functools.wraps(backward)
    def call(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "linear_nll and linear_logps have no second derivative: call backward without create_graph"
            )
        return backward(*args, **kwargs)

    return call
