"""How the functions stand in `torch.compile`: as one call that is not traced (a graph break)."""

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
