"""What an LM head multiplies by, whatever PEFT and quantisation put around it, without a merged or widened weight.

A LoRA on the head adds `s · B(A(x))` to `W·x`. With `low = s · A(dropout(x))` and `up = B` that is a second, thin
product beside that of the weight, which stays as it lies: frozen, or packed in 8 or 4 bits. Several adapters lie side
by side in `low` and `up`; so do tokens that are trained apart (`trainable_token_indices`).

DoRA (arXiv:2402.09353) multiplies each row of the whole product by `m / ‖W + s·B·A‖`. That factor goes into a scaled
copy of the weight, the only one (`_Sum.add_dora`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from trainwright.errors import ModelError
from trainwright.loss.dora import row_norms, scaled_rows
from trainwright.loss.quantized import quantized_rows
from trainwright_ops.operands import plain
from trainwright_ops.weights import Weight, gather

_VARIANTS = ("DoraLinearVariant", "MiCALinearVariant")  # of PEFT's LoRA; MiCA's forward is LoRA's own


class Projection(NamedTuple):
    """A product that equals an LM head: `hidden · weightᵀ + low · upᵀ + bias`.

    Attributes:
        hidden: Hidden states, `(N, H)`, in the dtype in which the head multiplies.
        weight: The head's weight, `(V, H)`: a matrix, or the rows of a quantised head.
        bias: `(V,)` or None.
        low_rank: `(low, up)`, `(N, r)` in the dtype of `hidden` and `(V, r)` in that of `weight`; or None.
    """

    hidden: Tensor
    weight: Weight
    bias: Tensor | None
    low_rank: tuple[Tensor, Tensor] | None = None


def project(
    head: Any,
    hidden: Tensor,  # (N, H)
) -> Projection:
    """The product that `head(hidden)` stands for.

    Raises:
        ModelError: The head, or an adapter on it, is of a kind that is not known here.
    """
    if hasattr(head, "modules_to_save"):
        return project(_saved_module(head), hidden)
    if hasattr(head, "token_adapter"):
        head = head.token_adapter
    if hasattr(head, "get_merged_weights"):
        return _project_tokens(head, hidden)
    if hasattr(head, "base_layer"):
        return _project_lora(head, hidden)
    weight = quantized_rows(head, hidden.dtype)
    if weight is not None:
        return Projection(hidden.to(weight.dtype), weight, _bias(head, weight.dtype))
    matrix = getattr(head, "weight", None)
    if not isinstance(matrix, Tensor) or matrix.dim() != 2 or not matrix.is_floating_point():
        raise ModelError(
            f"the LM head is a {type(head).__name__}, whose weight cannot be read as a matrix",
            remedy="use `loss: trl`, or leave the head out of quantisation",
        )
    return Projection(hidden, plain(matrix), _bias(head))


def _bias(module: Any, dtype: torch.dtype | None = None) -> Tensor | None:
    bias = getattr(module, "bias", None)
    return plain(bias).to(dtype or bias.dtype) if isinstance(bias, Tensor) else None


def _saved_module(wrapper: Any) -> nn.Module:
    """What a `modules_to_save` wrapper runs now: the trained copy, or the original while adapters are off."""
    name = wrapper.active_adapter
    name = name[0] if isinstance(name, list) and name else name
    off = wrapper.disable_adapters or name not in wrapper.modules_to_save
    module: nn.Module = wrapper.original_module if off else wrapper.modules_to_save[name]
    return module


def _base(layer: Any, hidden: Tensor) -> tuple[Projection, bool]:
    """The product of an adapter's base layer, and whether the adapter adds to it now."""
    if layer.disable_adapters and layer.merged:
        layer.unmerge()  # as the layer's own forward does
    return project(layer.base_layer, hidden), not (layer.disable_adapters or layer.merged)


def _project_tokens(layer: Any, hidden: Tensor) -> Projection:
    """Rows of the weight that are trained apart: what they add to the products of the rows that they replace.

    PEFT's own forward leaves out the bias of a head whose adapter is on.
    """
    base, active = _base(layer, hidden)
    names = list(layer.active_adapters)
    if not active or not names:
        return base
    layer._check_overlapping_tokens(names)
    total = _Sum(base)
    for name in names:
        index = torch.tensor(layer.token_indices[name], device=hidden.device)
        rows = plain(layer.trainable_tokens_delta[name])  # (k, H), despite its name in place of the weight's rows
        change = rows - gather(base.weight, index).to(rows.dtype)
        place = torch.zeros(base.weight.shape[0], len(index), dtype=base.weight.dtype, device=hidden.device)
        place[index, torch.arange(len(index), device=hidden.device)] = 1
        total.add(nn.functional.linear(hidden.to(change.dtype), change), place)
    return total.projection()._replace(bias=None)


def _project_lora(layer: Any, hidden: Tensor) -> Projection:
    base, active = _base(layer, hidden)
    if not active:
        return base
    if not isinstance(getattr(layer, "lora_A", None), nn.ModuleDict):
        raise _unknown(type(layer).__name__)
    total = _Sum(base)
    for name in layer.active_adapters:
        if name in layer.lora_A:
            _add_adapter(total, layer, name, hidden)
    return total.projection()


def _unknown(kind: str) -> ModelError:
    return ModelError(
        f"the LM head carries a {kind} adapter, which this loss cannot read",
        remedy="use LoRA or DoRA on the head, or take the head out of `lora.target_modules`",
    )


def _add_adapter(total: _Sum, layer: Any, name: str, hidden: Tensor) -> None:
    variant = layer.lora_variant.get(name)
    if variant is not None and type(variant).__name__ not in _VARIANTS:
        raise _unknown(type(variant).__name__)
    down, up, scale = layer.lora_A[name], layer.lora_B[name], layer.scaling[name]
    dropped = layer.lora_dropout[name](hidden)
    low = nn.functional.linear(dropped.to(down.weight.dtype), plain(down.weight), _bias(down)) * scale
    matrix, bias = plain(up.weight), _bias(up)
    if name not in layer.lora_magnitude_vector:
        total.add(low, matrix, None if bias is None else bias * scale)
        return
    magnitude = plain(layer.lora_magnitude_vector[name].weight)
    norms = row_norms(total.base.weight, plain(down.weight), matrix, scale)
    undropped = isinstance(layer.lora_dropout[name], nn.Identity) or not layer.training
    total.add_dora((magnitude / norms).unsqueeze(1), low, matrix, None if undropped else dropped)


class _Sum:
    """A head's product and what adapters make of it, one after the other as PEFT applies them."""

    def __init__(self, base: Projection) -> None:
        self.base = base
        self._factor: Tensor | None = None  # (V, 1), of the base weight's rows
        self._parts = [] if base.low_rank is None else [base.low_rank]  # (N, r) and (V, r)
        self._bias: Tensor | None = None  # (V,), of the adapters

    def add(
        self,
        low: Tensor,  # (N, r)
        up: Tensor,  # (V, r)
        bias: Tensor | None = None,  # (V,)
    ) -> None:
        """Add `low · upᵀ + bias`."""
        self._parts.append((low, up))
        if bias is not None:
            self._bias = bias if self._bias is None else self._bias + bias

    def add_dora(
        self,
        ratio: Tensor,  # (V, 1)
        low: Tensor,  # (N, r)
        up: Tensor,  # (V, r)
        dropped: Tensor | None,  # (N, H)
    ) -> None:
        """Make `ratio · (y + low · upᵀ)` of the product `y`, which is without the base's bias.

        With dropout `d` of the hidden states it is `y + (ratio − 1) · W·d + ratio · low · upᵀ`. Either way the weight
        is copied once, scaled, and the copy has a gradient, since the ratio is trained. Without dropout the copy takes
        the weight's place; with it the head has two wide products, and the copy stands in `up`.
        """
        if dropped is not None:
            self.add(_beside((dropped, low), dropped.dtype), scaled_rows(self.base.weight, ratio - 1, ratio * up))
            return
        self._factor = ratio if self._factor is None else ratio * self._factor
        self._parts = [(left, ratio * right) for left, right in self._parts]
        self._bias = None if self._bias is None else ratio.squeeze(1) * self._bias
        self.add(low, ratio * up)

    def projection(self) -> Projection:
        """The whole as one product, in the dtypes of the base."""
        hidden, weight, bias, low_rank = self.base
        if self._factor is not None:
            weight = scaled_rows(weight, self._factor)
        if self._bias is not None:
            bias = (self._bias if bias is None else bias + self._bias).to(weight.dtype)
        if self._parts:
            low, up = zip(*self._parts, strict=True)
            low_rank = _beside(low, hidden.dtype), _beside(up, weight.dtype)
        return Projection(hidden, weight, bias, low_rank)


def _beside(parts: tuple[Tensor, ...], dtype: torch.dtype) -> Tensor:
    cast = [part.to(dtype) for part in parts]
    return cast[0] if len(cast) == 1 else torch.cat(cast, dim=1)
