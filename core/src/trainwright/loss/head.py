"""Head functions: run a model with its LM head replaced by a function of hidden states, so that logits never exist.

`install_head(model)` gives the model's `forward` one keyword, `head_function`. Without it nothing changes. With it, the
model's own forward runs as it is (embeddings, layers, image merging, router losses); only the head module, when called,

1. picks the hidden states of the supervised positions and what the head multiplies them by (`adapters.project`),
2. hands them to the function, and
3. answers the model with a placeholder of shape (B, S, 1) in place of logits.

The results stay in the request, at full precision; what the model made of the placeholder leaves as its output.
`release` then makes the results depend on that output, and the placeholder depends on the results (`_Anchor`), so in
the backward pass the hooks that DDP, FSDP and ZeRO hang on the outputs of the model and of the head run before the
head's own gradients.

What the model does to its logits afterwards (scale, soft cap) must be known to the function. It is read from the config
and *verified* at the first call: the placeholder then carries known values, and what comes out is compared.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MethodType
from typing import Any

import torch
from torch import Tensor

from trainwright.errors import ModelError
from trainwright.loss.adapters import project
from trainwright.loss.supervision import Supervision
from trainwright_ops.weights import Weight

_PROBE = (-8.0, -0.75, 0.0, 0.5, 3.0, 21.0)


@dataclass(frozen=True)
class Head:
    """What a head function sees.

    Attributes:
        hidden: Hidden states at the supervised positions, `(N, H)`, in the model's compute dtype.
        weight: The head's weight, `(V, H)`: a matrix, or `trainwright_ops.WeightRows` where the head is quantised.
        targets: Tokens to predict, int64 `(N,)`; none is ignored.
        bias: `(V,)` or None.
        low_rank: `(low, up)`, `(N, r)` and `(V, r)`, where adapters on the head add `low · upᵀ`; else None. The head's
            products are `hidden · weightᵀ + low · upᵀ + bias`.
        scale: What the products are multiplied by (Cohere's `logit_scale`, 1 / Granite's `logits_scaling`).
        softcap: `c` where logits become `c · tanh(logits / c)` (Gemma), or None.
    """

    hidden: Tensor  # (N, H)
    weight: Weight  # (V, H)
    targets: Tensor  # (N,)
    bias: Tensor | None = None  # (V,)
    low_rank: tuple[Tensor, Tensor] | None = None  # (N, r), (V, r)
    scale: float = 1.0
    softcap: float | None = None

    def keywords(self) -> dict[str, Any]:
        """The keywords of `trainwright_ops.linear_nll` and `linear_logps`."""
        return {**vars(self), "ignore_index": None}


HeadFunction = Callable[[Head], Mapping[str, Tensor]]


class HeadRequest:
    """One call of a head function, as it travels through the wrappers around a model.

    Args:
        function: The head function; returns named tensors.
        supervision: The supervised positions, on the model's device.
    """

    def __init__(self, function: HeadFunction, supervision: Supervision) -> None:
        self.function = function
        self.supervision = supervision
        self.results: dict[str, Tensor] = {}
        self.aux_loss: Tensor | None = None


class _Anchor(torch.autograd.Function):
    """A placeholder that depends on the results, and passes no gradient to them."""

    @staticmethod
    def forward(ctx: Any, placeholder: Tensor, *results: Tensor) -> Tensor:
        ctx.count = len(results)
        return placeholder

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, ...]:
        count: int = ctx.count
        return (None,) * (count + 1)


class _Release(torch.autograd.Function):
    """The results, made to depend on what came out of the model, which gets zeros as its gradient."""

    @staticmethod
    def forward(ctx: Any, anchor: Tensor, *results: Tensor) -> tuple[Tensor, ...]:
        ctx.save_for_backward(anchor)
        ctx.set_materialize_grads(False)
        return tuple(result.view_as(result) for result in results)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        (anchor,) = ctx.saved_tensors
        return (torch.zeros_like(anchor), *grads)


def release(request: HeadRequest, anchor: Tensor) -> dict[str, Tensor]:
    """The request's results, tied to the model's output `anchor`; those without a gradient as they are."""
    names = [name for name, result in request.results.items() if result.requires_grad]
    if not names or not anchor.requires_grad:
        return dict(request.results)
    tied = _Release.apply(anchor, *(request.results[name] for name in names))  # type: ignore[no-untyped-call]
    return {**request.results, **dict(zip(names, tied, strict=True))}


def logit_transform(config: Any) -> tuple[float, float | None]:
    """Scale and soft cap that a model of this config applies to its logits: `(scale, softcap)`."""
    text = config.get_text_config()
    softcap = getattr(text, "final_logit_softcapping", None)
    for name in ("logit_scale", "output_multiplier", "lm_head_multiplier"):
        if getattr(text, name, None) is not None:
            return float(getattr(text, name)), softcap
    scaling = getattr(text, "logits_scaling", None)
    if scaling is None:
        return 1.0, softcap
    return float(scaling if text.model_type == "hyperclovax" else 1.0 / scaling), softcap


def install_head(model: Any) -> None:
    """Give a transformers causal LM (not its PEFT or DDP wrapper) the keyword `head_function`. Idempotent.

    Raises:
        ModelError: The model has no LM head.
    """
    if hasattr(model, "_forward_before_head"):
        return
    head = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    if head is None:
        raise ModelError(
            f"{type(model).__name__} has no LM head",
            remedy="use a causal language model, or `loss: trl` for this method",
        )
    model._forward_before_head = model.forward
    model._logits_verified = False
    model.forward = MethodType(_forward_of(model.__class__), model)


@functools.cache
def _forward_of(kind: Any) -> Callable[..., Any]:
    # The original signature stays visible: `generate` and the Trainer read it.
    @functools.wraps(kind.forward)
    def forward(self: Any, *args: Any, head_function: HeadRequest | None = None, **kwargs: Any) -> Any:
        if head_function is None:
            return self._forward_before_head(*args, **kwargs)
        with _replaced_head(self, head_function):
            output = self._forward_before_head(*args, **kwargs)
        if not head_function.results:
            raise ModelError(f"{type(self).__name__} did not call its LM head", remedy="use `loss: trl`")
        if not self._logits_verified:
            _verify_transform(self, output.logits)
            self._logits_verified = True
        head_function.aux_loss = getattr(output, "aux_loss", None)
        return {"anchor": output.logits, "aux_loss": head_function.aux_loss}

    return forward


@contextmanager
def _replaced_head(model: Any, request: HeadRequest) -> Iterator[None]:
    """While this lasts, the head module answers with a placeholder and keeps the function's results in the request."""
    head = model.get_output_embeddings()
    scale, softcap = logit_transform(model.config)
    before = head.__dict__.get("forward")

    def forward(states: Tensor, *args: Any, **kwargs: Any) -> Tensor:  # (B, S, H)
        flat = states.reshape(-1, states.shape[-1])
        wanted = request.supervision.shifted_index(states.shape[1]).to(flat.device)
        product = project(head, flat.index_select(0, wanted))._asdict()
        targets = request.supervision.targets.to(flat.device)
        request.results = dict(request.function(Head(targets=targets, scale=scale, softcap=softcap, **product)))
        return _placeholder(states, request.results, None if model._logits_verified else _PROBE)

    head.forward = forward
    try:
        yield
    finally:
        if before is None:
            del head.forward
        else:
            head.forward = before


def _placeholder(states: Tensor, results: Mapping[str, Tensor], probe: tuple[float, ...] | None) -> Tensor:
    """Zeros `(B, S, 1)` in place of logits; while the model's transform is unverified, known values `(B, S, 6)`."""
    rows, columns = states.shape[:2]
    if probe is None:
        placeholder = states.new_zeros(rows, columns, 1, dtype=torch.float32)
    else:
        placeholder = torch.tensor(probe, device=states.device).expand(rows, columns, len(probe)).clone()
    anchored: Tensor = _Anchor.apply(placeholder, *results.values())  # type: ignore[no-untyped-call]
    return anchored


def _verify_transform(model: Any, logits: Tensor) -> None:
    """Compare what the model made of the probe with what its config says; once a model, so one copy to the host."""
    scale, softcap = logit_transform(model.config)
    expected = torch.tensor(_PROBE, dtype=torch.float64) * scale
    if softcap is not None:
        expected = torch.tanh(expected / softcap) * softcap
    got = logits.detach().reshape(-1, len(_PROBE))[:1].double().cpu()
    # The model may have rounded to its own dtype: 8 bits of mantissa at worst.
    if got.numel() and not torch.allclose(got[0], expected, rtol=2**-7, atol=1e-3):
        raise ModelError(
            f"{type(model).__name__} transforms its logits in a way that its config does not say: "
            f"{[round(v, 4) for v in expected.tolist()]} expected, {[round(v, 4) for v in got[0].tolist()]} found",
            remedy="use `loss: trl`, and report the model family so that its transform can be added",
        )
