"""`linear_nll` and `linear_logps` on a CPU against full logits and against TRL's chunked log-probs, in the same run.

    python tests/benchmarks/ops_cpu.py [--tokens 1024] [--hidden 576] [--vocabulary 49152] [--repeats 5]

One forward and backward of each, in turns, so that a machine whose speed drifts slows all of them; printed are medians,
and their ratio to full logits within each turn. Peak memory is what a fresh process adds to its operands.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from trl.kernels import ChunkedLogProbFunction

from trainwright_ops import linear_logps, linear_nll, linear_nll_reference

TRL_VOCABULARY_CHUNK = 32768  # what TRL 1.16 passes
GOAL = 1.0  # times full logits, time and memory
BASE = "full logits"


def trl(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """TRL's loss: log-probs, entropy and top-1."""
    outputs = ("entropy", "is_top1")
    logps, *_ = ChunkedLogProbFunction.apply(
        hidden, weight, None, targets, 1.0, TRL_VOCABULARY_CHUNK, None, 1.0, outputs
    )
    return -logps.sum()


VARIANTS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    BASE: lambda *operands: linear_nll_reference(*operands).loss,
    "TRL 1.16, entropy and top-1": trl,
    "linear_nll": lambda *operands: linear_nll(*operands).loss,
    "linear_nll, entropy and top-1": lambda *operands: linear_nll(*operands, statistics=True).loss,
    "linear_logps": lambda *operands: linear_logps(*operands).logps.sum(),
}


def operands(args: argparse.Namespace, dtype: torch.dtype, trained: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Random hidden states `(N, H)`, weight `(V, H)` and targets `(N,)`."""
    torch.manual_seed(0)
    hidden = torch.randn(args.tokens, args.hidden).to(dtype).requires_grad_()
    weight = torch.randn(args.vocabulary, args.hidden).mul_(0.04).to(dtype).requires_grad_(trained)
    return hidden, weight, torch.randint(0, args.vocabulary, (args.tokens,))


def run(variant: str, tensors: tuple[Tensor, Tensor, Tensor]) -> float:
    """Seconds of one forward and backward."""
    start = time.perf_counter()
    VARIANTS[variant](*tensors).backward()
    seconds = time.perf_counter() - start
    for tensor in tensors:
        tensor.grad = None
    return seconds


def times(args: argparse.Namespace, dtype: torch.dtype, trained: bool) -> dict[str, list[float]]:
    """Seconds of each variant in each turn."""
    tensors = operands(args, dtype, trained)
    turns = [{name: run(name, tensors) for name in VARIANTS} for _ in range(args.repeats + 1)]
    return {name: [turn[name] for turn in turns[1:]] for name in VARIANTS}  # the first turn warms up


def peak(args: argparse.Namespace, dtype: torch.dtype, trained: bool, variant: str) -> float:
    """MiB that a process needs beyond its operands."""
    tensors = operands(args, dtype, trained)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run(variant, tensors)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def apart(function: Callable[..., Any], *args: Any) -> Any:
    """Call `function` in a process of its own, whose memory starts afresh."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(function, args)


def compare(args: argparse.Namespace, dtype: torch.dtype, trained: bool) -> bool:
    """Print one table; whether every variant of ours meets the goal."""
    print(f"\n{dtype}, head {'trained' if trained else 'frozen'}")
    print(f"{'':32}{'ms':>10}{'ratio':>8}{'peak MiB':>10}{'ratio':>8}")
    seconds = apart(times, args, dtype, trained)
    peaks = {name: apart(peak, args, dtype, trained, name) for name in VARIANTS}
    met = True
    for name in VARIANTS:
        ratio = statistics.median(a / b for a, b in zip(seconds[name], seconds[BASE], strict=True))
        memory = peaks[name] / peaks[BASE]
        milliseconds = 1e3 * statistics.median(seconds[name])
        print(f"{name:32}{milliseconds:10.0f}{ratio:8.2f}{peaks[name]:10.0f}{memory:8.2f}", flush=True)
        met &= not name.startswith("linear") or (ratio <= GOAL and memory <= GOAL)
    return met


def main() -> int:
    """Print all tables; 1 where one of them misses the goal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=1024, help="tokens, N (default 1024)")
    parser.add_argument("--hidden", type=int, default=576, help="width, H (default 576, SmolLM2-135M)")
    parser.add_argument("--vocabulary", type=int, default=49152, help="tokens of the vocabulary, V (default 49152)")
    parser.add_argument("--repeats", type=int, default=5, help="turns that count (default 5)")
    args = parser.parse_args()
    print(f"N = {args.tokens}, H = {args.hidden}, V = {args.vocabulary}, {torch.get_num_threads()} threads")
    cases = [(dtype, trained) for dtype in (torch.float32, torch.bfloat16) for trained in (False, True)]
    met = [compare(args, *case) for case in cases]
    print(f"\ngoal (at most {GOAL} of full logits, time and memory): {'met' if all(met) else 'MISSED'}")
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
