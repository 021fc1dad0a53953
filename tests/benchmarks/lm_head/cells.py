"""The problems: heads of real models, trained or frozen, over random hidden states."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

IGNORED = -100
FULL_TOKENS = 16_384  # of the largest cells


class Operands(NamedTuple):
    """What every row is called with: hidden states `(N, H)`, weight `(V, H)`, targets `(N,)`."""

    hidden: Tensor
    weight: Tensor
    targets: Tensor

    def kept(self) -> Operands:
        """The same without the tokens that carry no label."""
        kept = self.targets != IGNORED
        return Operands(self.hidden.detach()[kept], self.weight, self.targets[kept])

    def clear(self) -> None:
        """Drop the gradients."""
        self.hidden.grad = self.weight.grad = None


@dataclass(frozen=True)
class Cell:
    """One problem.

    Attributes:
        model: Whose head it is.
        hidden: Width of the hidden states, H.
        vocabulary: Entries of the vocabulary, V.
        tokens: Tokens, N.
        trained: Whether the head's weight wants a gradient ("dW").
        ignored: Share of the tokens without a label.
    """

    model: str
    hidden: int
    vocabulary: int
    tokens: int
    trained: bool
    ignored: float = 0.0

    @property
    def name(self) -> str:
        """What `--cells` knows it by."""
        ignored = "/ignored" if self.ignored else ""
        return f"{self.model}/{'dW' if self.trained else 'no-dW'}{ignored}".lower()

    @property
    def label(self) -> str:
        """Model and what is particular about the labels."""
        return f"{self.model}, {self.ignored:.0%} ignored" if self.ignored else self.model

    @property
    def title(self) -> str:
        """Model, labels and head."""
        return f"{self.label}, {self.head}"

    @property
    def head(self) -> str:
        """Which kind of head."""
        return f"head {'trained' if self.trained else 'frozen'}"

    def scaled(self, tokens: int) -> Cell:
        """The same with `tokens` tokens where the largest cells have them, and with fewer where this one has fewer."""
        return replace(self, tokens=max(1, self.tokens * tokens // FULL_TOKENS))

    def shrunk(self, hidden: int, vocabulary: int, tokens: int) -> Cell:
        """A small one of the same kind, to try everything out; given are the divisors."""
        sizes = (self.hidden // hidden, self.vocabulary // vocabulary, max(1, self.tokens // tokens))
        return replace(self, hidden=sizes[0], vocabulary=sizes[1], tokens=sizes[2])

    def operands(self, device: str) -> Operands:
        """The same random bf16 tensors at every call; weight of std 0.02, hidden states of std 1, uniform targets."""
        generator = torch.Generator(device).manual_seed(0)
        hidden = torch.empty(self.tokens, self.hidden, dtype=torch.bfloat16, device=device)
        weight = torch.empty(self.vocabulary, self.hidden, dtype=torch.bfloat16, device=device)
        hidden.normal_(generator=generator)
        weight.normal_(std=0.02, generator=generator)
        targets = torch.randint(self.vocabulary, (self.tokens,), device=device, generator=generator)
        dropped = torch.randperm(self.tokens, device=device, generator=generator)[: int(self.ignored * self.tokens)]
        targets[dropped] = IGNORED
        return Operands(hidden.requires_grad_(), weight.requires_grad_(self.trained), targets)


_HEADS = (
    ("Qwen3-4B", 2560, 151_936, FULL_TOKENS),
    ("Llama-3-8B", 4096, 128_256, FULL_TOKENS),
    ("Gemma-3-4B", 2560, 262_208, FULL_TOKENS),
    ("Qwen3-1.7B", 2048, 151_936, FULL_TOKENS // 2),
)
CELLS = (
    *(Cell(*head, trained) for head in _HEADS for trained in (True, False)),
    *(Cell(*_HEADS[0], trained, ignored=0.75) for trained in (True, False)),
)
ERRORS = tuple(Cell("gradient errors", 1024, 32_000, 512, trained) for trained in (True, False))
