"""Triton kernels over a tile of an LM head's products: one program a row, everything between two matrix products.

`y` stands for a logit, in nats; exponentials are taken of differences of logits only, so that large
logits keep their digits. A tile is overwritten in place by what the next product takes. Rows are added up in a fixed
order: the same inputs give the same bits.

What is known of a token is a column of `state`, fp32 `(len(State), N)`, whose rows are named below.
"""

from __future__ import annotations

import triton
import triton.language as tl

# Rows of `state`.
REFERENCE = tl.constexpr(0)  # what exponents are relative to; finite and at most HEADROOM below the highest logit
OTHERS = tl.constexpr(1)  # sum of exp(y - reference) over all tokens of the vocabulary but the target
TARGET = tl.constexpr(2)  # y of the target
SLOPE = tl.constexpr(3)  # d logits / d products / factor at the target; written under a soft cap only
SHRUNK = tl.constexpr(4)  # what the last fold multiplied earlier sums of exponentials by
HIGHEST = tl.constexpr(5)  # the highest y
BEFORE = tl.constexpr(6)  # the highest y before the target
WEIGHTED = tl.constexpr(7)  # sum of exp(y - reference) · (y - reference) over all but the target
TOTAL = tl.constexpr(8)  # sum of y
SQUARES = tl.constexpr(9)  # sum of exp(2 · (y - reference))
STATE_ROWS = 10

# How far a logit may lie above the reference: sums of such exponentials, and of their squares, are far from overflow.
_HEADROOM = tl.constexpr(20.0)
_LOG2E = tl.constexpr(1.4426950408889634)


@triton.jit
def _exp(x):
    return tl.exp2(x * _LOG2E)


@triton.jit
def _logits(products, inner, outer, CAP: tl.constexpr):
    """Products to `y`: `outer · products`, or `outer · tanh(inner · products)`."""
    if CAP:
        decay = tl.exp2(tl.abs(products * inner) * (-2.0 * _LOG2E))
        bounded = (1.0 - decay) / (1.0 + decay)
        logits = tl.where(products * inner < 0, -bounded, bounded) * outer
    else:
        logits = products * outer
    return logits


@triton.jit
def _slope(products, inner):
    """`1 - tanh²(inner · products)`, without the cancellation."""
    decay = tl.exp2(tl.abs(products * inner) * (-2.0 * _LOG2E))
    return 4.0 * decay / ((1.0 + decay) * (1.0 + decay))


@triton.jit
def fold(
    tile_ptr,  # (n, width), products; with WRITE exponentials afterwards
    tile_stride,
    targets_ptr,  # (n,)
    state_ptr,  # (STATE_ROWS, n)
    state_stride,
    first,  # the tile's first token of the vocabulary
    width,
    inner,
    outer,
    CAP: tl.constexpr,
    WRITE: tl.constexpr,
    STATISTICS: tl.constexpr,  # entropy and top-1
    MOMENTS: tl.constexpr,  # mean logit and sum of squares
    BLOCK: tl.constexpr,
):
    """Take a block of the vocabulary into the state, and overwrite the tile by `exp(y - reference)`, 0 at the target.

    One pass: nothing is divided by the sum of exponentials, which is not known yet. The reference is the highest logit
    of the first columns; where a later one exceeds it by the headroom, what was written is scaled down.
    """
    row = tl.program_id(0).to(tl.int64)
    tile_ptr += row * tile_stride
    state_ptr += row
    column = (tl.load(targets_ptr + row) - first).to(tl.int32)
    here = (column >= 0) & (column < width)
    target = tl.load(tile_ptr + column, mask=here, other=0.0).to(tl.float32)
    tl.debug_barrier()  # every warp has read it before any overwrites it
    reference = tl.load(state_ptr + REFERENCE * state_stride)
    earlier_reference = reference
    highest = tl.load(state_ptr + HIGHEST * state_stride)
    shrunk = tl.full((), 1.0, tl.float32)
    others = tl.zeros([BLOCK], tl.float32)
    weighted = tl.zeros([BLOCK], tl.float32)
    before = tl.full([BLOCK], -float("inf"), tl.float32)
    total = tl.zeros([BLOCK], tl.float32)
    squares = tl.zeros([BLOCK], tl.float32)
    lanes = tl.arange(0, BLOCK)
    upcoming = tl.load(tile_ptr + lanes, mask=lanes < width, other=0.0)
    for start in range(0, width, BLOCK):
        columns = start + lanes
        inside = columns < width
        products = upcoming.to(tl.float32)
        # Asked for before this block is worked on: the maximum below waits for all lanes.
        upcoming = tl.load(tile_ptr + BLOCK + columns, mask=columns + BLOCK < width, other=0.0)
        y = tl.where(inside, _logits(products, inner, outer, CAP), -float("inf"))
        peak = tl.max(y, 0)
        highest = tl.maximum(highest, peak)
        if peak > reference + _HEADROOM:
            shrink = _exp(reference - peak)
            weighted = (weighted + (reference - peak) * others) * shrink
            others *= shrink
            squares *= shrink * shrink
            shrunk *= shrink
            reference = peak
            if WRITE:
                for earlier in range(0, start, BLOCK):
                    written = tile_ptr + earlier + lanes
                    tl.store(written, (tl.load(written).to(tl.float32) * shrink).to(tile_ptr.dtype.element_ty))
        exponentials = _exp(y - reference)
        rest = tl.where(columns == column, 0.0, exponentials)
        others += rest
        if STATISTICS:
            weighted += tl.where(inside, rest * (y - reference), 0.0)
            before = tl.maximum(before, tl.where(columns < column, y, -float("inf")))
        if MOMENTS:
            total += tl.where(inside, y, 0.0)
            squares += exponentials * exponentials
        if WRITE:
            if CAP:
                rest *= _slope(products, inner)
            tl.store(tile_ptr + columns, rest.to(tile_ptr.dtype.element_ty), mask=inside, cache_modifier=".cs")
    tl.store(state_ptr + REFERENCE * state_stride, reference)
    tl.store(state_ptr + SHRUNK * state_stride, shrunk)
    others_ptr = state_ptr + OTHERS * state_stride
    earlier_others = tl.load(others_ptr)
    tl.store(others_ptr, earlier_others * shrunk + tl.sum(others, 0))
    tl.store(state_ptr + TARGET * state_stride, _logits(target, inner, outer, CAP), mask=here)
    if CAP:
        tl.store(state_ptr + SLOPE * state_stride, _slope(target, inner), mask=here)
    if STATISTICS:
        weighted_ptr = state_ptr + WEIGHTED * state_stride
        earlier_weighted = tl.load(weighted_ptr) + (earlier_reference - reference) * earlier_others
        tl.store(weighted_ptr, earlier_weighted * shrunk + tl.sum(weighted, 0))
        tl.store(state_ptr + HIGHEST * state_stride, highest)
        before_ptr = state_ptr + BEFORE * state_stride
        tl.store(before_ptr, tl.maximum(tl.load(before_ptr), tl.max(before, 0)))
    if MOMENTS:
        total_ptr = state_ptr + TOTAL * state_stride
        tl.store(total_ptr, tl.load(total_ptr) + tl.sum(total, 0))
        squares_ptr = state_ptr + SQUARES * state_stride
        tl.store(squares_ptr, tl.load(squares_ptr) * shrunk * shrunk + tl.sum(squares, 0))


@triton.jit
def differentiate_rows(
    tile_ptr,  # (n, V), products before, gradients afterwards
    tile_stride,
    targets_ptr,  # (n,)
    state_ptr,  # (STATE_ROWS, n)
    state_stride,
    vocabulary,
    inner,
    outer,
    CAP: tl.constexpr,
    DFT: tl.constexpr,
    STATISTICS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Overwrite whole rows by `d(-logp) / d products / factor`, times p(target) with DFT; two passes over each.

    The first keeps a maximum and a sum for each lane, so that no step waits for another lane; the second goes
    backwards, where the caches still hold what the first read last.
    """
    row = tl.program_id(0).to(tl.int64)
    tile_ptr += row * tile_stride
    state_ptr += row
    target_column = tl.load(targets_ptr + row).to(tl.int32)
    target = tl.load(tile_ptr + target_column).to(tl.float32)
    y_target = _logits(target, inner, outer, CAP)
    tl.debug_barrier()
    highest = tl.full([BLOCK], -1e30, tl.float32)
    others = tl.zeros([BLOCK], tl.float32)
    weighted = tl.zeros([BLOCK], tl.float32)
    before = tl.full([BLOCK], -float("inf"), tl.float32)
    for start in range(0, vocabulary, BLOCK):
        columns = start + tl.arange(0, BLOCK)
        inside = columns < vocabulary
        products = tl.load(tile_ptr + columns, mask=inside, other=0.0, eviction_policy="evict_last").to(tl.float32)
        y = tl.where(inside, _logits(products, inner, outer, CAP), -float("inf"))
        raised = tl.maximum(highest, y)
        shrink = _exp(highest - raised)
        exponentials = _exp(y - raised)
        rest = tl.where(columns == target_column, 0.0, exponentials)
        if STATISTICS:
            weighted = (weighted + (highest - raised) * others) * shrink + tl.where(inside, rest * (y - raised), 0.0)
            before = tl.maximum(before, tl.where(columns < target_column, y, -float("inf")))
        others = others * shrink + rest
        highest = raised
    reference = tl.max(highest, 0)
    shrink = _exp(highest - reference)
    remaining = tl.sum(others * shrink, 0)
    at_target = _exp(y_target - reference)
    log_sum = tl.log(remaining + at_target)
    tl.store(state_ptr + REFERENCE * state_stride, reference)
    tl.store(state_ptr + OTHERS * state_stride, remaining)
    tl.store(state_ptr + TARGET * state_stride, y_target)
    if STATISTICS:
        weighted = (weighted + (highest - reference) * others) * shrink
        tl.store(state_ptr + WEIGHTED * state_stride, tl.sum(weighted, 0))
        tl.store(state_ptr + HIGHEST * state_stride, reference)
        tl.store(state_ptr + BEFORE * state_stride, tl.max(before, 0))
    factor = at_target / (remaining + at_target) if DFT else 1.0
    missing = remaining / (remaining + at_target)
    blocks = tl.cdiv(vocabulary, BLOCK)
    for index in range(0, blocks):
        columns = (blocks - 1 - index) * BLOCK + tl.arange(0, BLOCK)
        inside = columns < vocabulary
        products = tl.load(tile_ptr + columns, mask=inside, other=0.0, eviction_policy="evict_first").to(tl.float32)
        probs = _exp(_logits(products, inner, outer, CAP) - reference - log_sum)
        gradient = tl.where(columns == target_column, -missing, probs) * factor
        if CAP:
            gradient *= _slope(products, inner)
        tl.store(tile_ptr + columns, gradient.to(tile_ptr.dtype.element_ty), mask=inside, cache_modifier=".cs")


@triton.jit
def differentiate(
    tile_ptr,  # (n, width), products before, gradients afterwards
    tile_stride,
    targets_ptr,  # (n,)
    known_ptr,  # (4, n): reference, log of the sum, 1 - p(target), weight
    known_stride,
    first,
    width,
    inner,
    outer,
    CAP: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Overwrite a block by `weight · d(-logp) / d products / factor`, where the sum of exponentials is known."""
    row = tl.program_id(0).to(tl.int64)
    tile_ptr += row * tile_stride
    column = (tl.load(targets_ptr + row) - first).to(tl.int32)
    reference = tl.load(known_ptr + row)
    log_sum = tl.load(known_ptr + known_stride + row)
    missing = tl.load(known_ptr + 2 * known_stride + row)
    weight = tl.load(known_ptr + 3 * known_stride + row)
    columns = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = columns < width
    products = tl.load(tile_ptr + columns, mask=inside, other=0.0).to(tl.float32)
    probs = _exp(_logits(products, inner, outer, CAP) - reference - log_sum)
    gradient = tl.where(columns == column, -missing, probs) * weight
    if CAP:
        gradient *= _slope(products, inner)
    tl.store(tile_ptr + columns, gradient.to(tile_ptr.dtype.element_ty), mask=inside, cache_modifier=".cs")


@triton.jit
def shrink_rows(
    total_ptr,  # (n, width), fp32
    total_stride,
    factors_ptr,  # (n,)
    width,
    BLOCK: tl.constexpr,
):
    """Multiply rows by their factor; nearly all factors are 1, and those rows are not touched."""
    row = tl.program_id(0).to(tl.int64)
    factor = tl.load(factors_ptr + row)
    if factor != 1.0:
        for start in range(0, width, BLOCK):
            columns = start + tl.arange(0, BLOCK)
            inside = columns < width
            values = tl.load(total_ptr + row * total_stride + columns, mask=inside, other=0.0)
            tl.store(total_ptr + row * total_stride + columns, values * factor, mask=inside)


@triton.jit
def finish_directions(
    total_ptr,  # (n, width), fp32
    total_stride,
    divisors_ptr,  # (n,)
    factors_ptr,  # (n,)
    rows_ptr,  # (rows, width), any dtype
    row_stride,
    column_stride,
    index_ptr,  # (n,)
    width,
    BLOCK: tl.constexpr,
):
    """`total / divisor - factor · row`: sums of exponentials become directions, and the target takes its part."""
    token = tl.program_id(0).to(tl.int64)
    total_ptr += token * total_stride
    rows_ptr += tl.load(index_ptr + token) * row_stride
    divisor = tl.load(divisors_ptr + token)
    factor = tl.load(factors_ptr + token)
    for start in range(0, width, BLOCK):
        columns = start + tl.arange(0, BLOCK)
        inside = columns < width
        values = tl.load(total_ptr + columns, mask=inside, other=0.0) / divisor
        row = tl.load(rows_ptr + columns * column_stride, mask=inside, other=0.0).to(tl.float32)
        tl.store(total_ptr + columns, values - factor * row, mask=inside)
