"""Frozen LM heads in 8 or 4 bits: rows that are dequantised when they are needed, the matrix never (`WeightRows`).

4-bit weights of bitsandbytes (Dettmers et al. 2023, arXiv:2305.14314) are one flat sequence of codes, two a byte, the
first in the upper half. Each `blocksize` of them share a scale, wherever rows begin. With double quantisation the
scales are 8-bit codes themselves, whose own scales are shared by 256. 8-bit weights have one scale a row (LLM.int8(),
arXiv:2208.07339).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from trainwright.errors import ModelError
from trainwright.loss.blocks import row_blocks
from trainwright_ops import WeightRows
from trainwright_ops.operands import plain

# What bitsandbytes' kernels write; other dtypes are reached through float32, which holds every value of the first two.
_WRITTEN = (torch.float16, torch.bfloat16, torch.float32)
_REMEDY = "use `loss: trl`, or leave the head out of quantisation"


def quantized_rows(head: Any, dtype: torch.dtype) -> WeightRows | None:
    """The rows of a quantised head, in the dtype in which its own forward multiplies; None for any other head.

    Args:
        head: An LM head module: bitsandbytes' `Linear4bit` and `Linear8bitLt`, or one whose weight is of a tensor class
            with a `dequantize` of its own (torchao's).
        dtype: Dtype of the hidden states.

    Raises:
        ModelError: The weight is to be trained, or stored in a way that is not known here.
    """
    weight = getattr(head, "weight", None)
    if not isinstance(weight, Tensor):
        return None
    # By name: bitsandbytes is optional, and if it made this head it is imported already.
    kinds = {kind.__name__ for kind in type(head).__mro__ if kind.__module__.startswith("bitsandbytes.")}
    rows: WeightRows | None = None
    if "Linear4bit" in kinds:
        rows = _four_bit(head, dtype)
    elif "Linear8bitLt" in kinds and weight.dtype == torch.int8:
        rows = _eight_bit(head, dtype)
    elif type(weight).dequantize is not Tensor.dequantize:
        rows = DequantizedRows(weight.detach(), dtype)
    if rows is not None and weight.requires_grad:
        message = f"the LM head, a {type(head).__name__}, is quantised, but its weight requires a gradient"
        raise ModelError(message, remedy=f"freeze it and train an adapter on it; or {_REMEDY}")
    return rows


def _four_bit(head: Any, dtype: torch.dtype) -> FourBitRows | None:
    state = getattr(head.weight, "quant_state", None) or head.quant_state  # FSDP loses the parameter's
    if state is None:
        return None  # not quantised yet: a plain matrix
    if getattr(state, "packing_format_for_cpu", False):
        message = "bitsandbytes has laid the 4-bit LM head out anew for inference on this CPU, for good"
        raise ModelError(message, remedy=f"load the model again and do not generate with it; or {_REMEDY}")
    return FourBitRows(plain(head.weight.detach()), state, head.compute_dtype or dtype)


def _eight_bit(head: Any, dtype: torch.dtype) -> EightBitRows:
    scales = head.weight.SCB if head.state.SCB is None else head.state.SCB  # moves at the head's own first forward
    if scales is None:
        raise ModelError("the 8-bit LM head has no scales (`SCB`)", remedy=f"load the model again; or {_REMEDY}")
    return EightBitRows(head.weight.detach(), scales, dtype)


class FourBitRows:
    """A 4-bit weight of bitsandbytes (NF4 or FP4, with or without double quantisation).

    Args:
        stored: The packed codes, in any storage dtype.
        state: bitsandbytes' `QuantState`.
        dtype: Dtype of the rows.
    """

    def __init__(self, stored: Tensor, state: Any, dtype: torch.dtype) -> None:
        self.shape = torch.Size(state.shape)
        self.dtype, self.device = dtype, stored.device
        self._bytes = stored.reshape(-1).view(torch.uint8)
        self._state = state

    def rows(self, start: int, stop: int) -> Tensor:
        """Rows `start` to `stop`, `(stop - start, H)`: the blocks that they touch, without the ends of other rows."""
        columns, size = self.shape[1], self._state.blocksize
        first, last = start * columns // size, -(-stop * columns // size)
        blocks = torch.arange(first, last, device=self.device)
        values = self._dequantize(self._bytes[first * size // 2 : last * size // 2], blocks)
        before = start * columns - first * size
        return values[before : before + (stop - start) * columns].view(stop - start, columns)

    def gather(
        self,
        index: Tensor,  # (n,)
    ) -> Tensor:
        """The rows at `index`, `(n, H)`."""
        columns, size = self.shape[1], self._state.blocksize
        aligned = columns % size == 0
        touched = columns // size if aligned else (columns + size - 2) // size + 1  # blocks that a row can reach into
        start = index.unsqueeze(1) * columns  # (n, 1)
        packed = self._packed_blocks()
        blocks = (start // size + torch.arange(touched, device=self.device)).clamp(max=len(packed) - 1)
        values = self._dequantize(packed[blocks], blocks.flatten()).view(len(index), touched * size)
        if aligned:
            return values
        return values.gather(1, start % size + torch.arange(columns, device=self.device))

    def _packed_blocks(self) -> Tensor:
        """The codes, a row a block, `(blocks, blocksize / 2)`; copied only where the last block is not full."""
        width = self._state.blocksize // 2
        missing = -len(self._bytes) % width
        padded = torch.nn.functional.pad(self._bytes, (0, missing)) if missing else self._bytes
        return padded.view(-1, width)

    def _scales(
        self,
        blocks: Tensor,  # (b,), int64
    ) -> Tensor:
        """The scales of blocks, fp32 `(b,)`."""
        scales: Tensor = self._state.absmax[blocks]
        if self._state.nested:
            outer = self._state.state2
            scales = outer.code[scales.long()] * outer.absmax[blocks // outer.blocksize] + self._state.offset
        return scales.float()

    def _dequantize(
        self,
        packed: Tensor,  # uint8, two codes a byte, from the beginning of a block
        blocks: Tensor,  # (b,)
    ) -> Tensor:
        """The values of consecutive codes, flat."""
        from bitsandbytes.functional import QuantState, dequantize_4bit

        if packed.numel() == 0:
            return torch.empty(0, dtype=self.dtype, device=self.device)
        state = QuantState(
            absmax=self._scales(blocks),
            shape=torch.Size((1, 2 * packed.numel())),
            code=self._state.code,
            blocksize=self._state.blocksize,
            quant_type=self._state.quant_type,
            dtype=self.dtype if self.dtype in _WRITTEN else torch.float32,
        )
        values: Tensor = dequantize_4bit(packed.reshape(-1, 1), state)
        return values.reshape(-1).to(self.dtype)


class EightBitRows:
    """An 8-bit weight of bitsandbytes: `codes · scale / 127`, a scale a row.

    bitsandbytes rounds the hidden states to 8 bits too, on a GPU; here they are multiplied as they are.

    Args:
        codes: int8 `(V, H)`.
        scales: The largest magnitude of each row, fp32 `(V,)`.
        dtype: Dtype of the rows.
    """

    def __init__(self, codes: Tensor, scales: Tensor, dtype: torch.dtype) -> None:
        self.shape, self.dtype, self.device = codes.shape, dtype, codes.device
        self._codes = codes
        self._factors = (scales.to(codes.device) / 127.0).unsqueeze(1)  # (V, 1)

    def rows(self, start: int, stop: int) -> Tensor:
        """Rows `start` to `stop`, `(stop - start, H)`."""
        return self._codes[start:stop].to(self.dtype).mul_(self._factors[start:stop])

    def gather(
        self,
        index: Tensor,  # (n,)
    ) -> Tensor:
        """The rows at `index`, `(n, H)`."""
        return self._codes[index].to(self.dtype).mul_(self._factors[index])


class DequantizedRows:
    """A weight of a tensor class with a `dequantize` of its own, of which rows can be cut (torchao's can).

    Args:
        stored: The weight, `(V, H)`.
        dtype: Dtype of the rows.
    """

    def __init__(self, stored: Tensor, dtype: torch.dtype) -> None:
        self.shape, self.dtype, self.device = stored.shape, dtype, stored.device
        self._stored = stored

    def rows(self, start: int, stop: int) -> Tensor:
        """Rows `start` to `stop`, `(stop - start, H)`."""
        return self._stored[start:stop].dequantize().to(self.dtype)

    def gather(
        self,
        index: Tensor,  # (n,)
    ) -> Tensor:
        """The rows at `index`, `(n, H)`, picked from blocks of rows: these tensors can be cut, but rarely indexed."""
        found = torch.zeros(len(index), self.shape[1], dtype=self.dtype, device=self.device)
        for start, stop in row_blocks(self.shape, self.dtype):
            block = self.rows(start, stop)
            inside = ((index >= start) & (index < stop)).unsqueeze(1)
            found = torch.where(inside, block[(index - start).clamp(0, stop - start - 1)], found)
        return found
