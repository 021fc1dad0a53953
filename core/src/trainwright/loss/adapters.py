"""The weight that an LM head really multiplies by, whatever PEFT has put around it.

A LoRA on the head adds `s · B(A(x))`. Written as one product, `[x, s·A(x)] @ [W, B]ᵀ`, it fits every function of
(hidden, weight) without building `W + s·B·A`, and dropout on the adapter's input stays exact. DoRA (arXiv:2402.09353)
scales each row of that product by `m / ‖W + s·B·A‖`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from trainwright.errors import ModelError
from trainwright_ops.operands import plain


class Projection(NamedTuple):
    """A product that equals an LM head: `hidden @ weight.T + bias`."""

    hidden: Tensor  # (N, H')
    weight: Tensor  # (V, H')
    bias: Tensor | None  # (V,)


def project(
    head: Any,
    hidden: Tensor,  # (N, H)
) -> Projection:
    """The product that `head(hidden)` stands for.

    Raises:
        ModelError: The head is of a kind whose weight is not known here.
    """
    if hasattr(head, "modules_to_save"):
        return project(_saved_module(head), hidden)
    if hasattr(head, "token_adapter") and hasattr(head.token_adapter, "get_merged_weights"):
        head = head.token_adapter
    if hasattr(head, "get_merged_weights"):
        return Projection(hidden, head.get_merged_weights(head.active_adapters), _bias(head))
    if hasattr(head, "base_layer"):
        return _project_lora(head, hidden)
    weight = getattr(head, "weight", None)
    if not isinstance(weight, Tensor) or weight.dim() != 2 or not weight.is_floating_point():
        raise ModelError(
            f"the LM head is a {type(head).__name__}, whose weight cannot be read as a matrix",
            remedy="use `loss: trl`, or leave the head out of quantisation",
        )
    return Projection(hidden, plain(weight), _bias(head))


def _bias(head: Any) -> Tensor | None:
    bias = getattr(head, "bias", None)
    return plain(bias) if isinstance(bias, Tensor) else None


def _saved_module(wrapper: Any) -> nn.Module:
    """What a `modules_to_save` wrapper runs now: the trained copy, or the original while adapters are off."""
    name = wrapper.active_adapter
    name = name[0] if isinstance(name, list) and name else name
    off = wrapper.disable_adapters or name not in wrapper.modules_to_save
    module: nn.Module = wrapper.original_module if off else wrapper.modules_to_save[name]
    return module


def _project_lora(layer: Any, hidden: Tensor) -> Projection:
    base = project(layer.base_layer, hidden)
    if layer.disable_adapters or layer.merged:
        return base
    if not hasattr(layer, "lora_A"):
        raise ModelError(
            f"the LM head carries a {type(layer).__name__} adapter, which this loss cannot read",
            remedy="use LoRA or DoRA on the head, or take the head out of `lora.target_modules`",
        )
    for name in layer.active_adapters:
        if name in layer.lora_A:
            base = _add_adapter(layer, name, hidden, base)
    return base


def _add_adapter(layer: Any, name: str, hidden: Tensor, base: Projection) -> Projection:
    """Append one adapter's columns to the product."""
    down, up, scale = layer.lora_A[name], layer.lora_B[name], layer.scaling[name]
    dropped = layer.lora_dropout[name](hidden)
    low = nn.functional.linear(dropped.to(down.weight.dtype), plain(down.weight), _bias(down)) * scale
    up_weight, up_bias = plain(up.weight), _bias(up)
    bias = base.bias
    if up_bias is not None:
        bias = up_bias * scale if bias is None else bias + up_bias * scale
    magnitude = getattr(layer, "lora_magnitude_vector", None)
    if magnitude is not None and name in magnitude:
        return _add_dora(layer, name, dropped, base._replace(bias=bias), low, up_weight)
    dtype = base.weight.dtype
    return Projection(
        torch.cat([base.hidden, low.to(base.hidden.dtype)], dim=1),
        torch.cat([base.weight, up_weight.to(dtype)], dim=1),
        bias,
    )


def _add_dora(
    layer: Any,
    name: str,
    dropped: Tensor,  # (N, H)
    base: Projection,
    low: Tensor,  # (N, r), scaled
    up: Tensor,  # (V, r)
) -> Projection:
    """`W·x + (m/n − 1)·W·d + (m/n)·B·A·d·s` with d the dropped input and n the row norms, which carry no gradient."""
    down = plain(layer.lora_A[name].weight)
    magnitude = plain(layer.lora_magnitude_vector[name].weight)
    weight = base.weight
    with torch.no_grad():
        merged = weight.to(up.dtype) + layer.scaling[name] * (up @ down)
        norm = merged.norm(dim=1).to(magnitude.dtype)
    ratio = (magnitude / norm).unsqueeze(1).to(weight.dtype)  # (V, 1)
    scaled_up = ratio * up.to(weight.dtype)
    low = low.to(base.hidden.dtype)
    if isinstance(layer.lora_dropout[name], nn.Identity) or not layer.training:
        return Projection(torch.cat([base.hidden, low], 1), torch.cat([ratio * weight, scaled_up], 1), base.bias)
    return Projection(
        torch.cat([base.hidden, dropped, low], 1), torch.cat([weight, (ratio - 1) * weight, scaled_up], 1), base.bias
    )
