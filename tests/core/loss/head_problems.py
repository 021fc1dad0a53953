"""Small models with adapters on their heads: what the head module itself yields, and what its projection does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import peft
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from trainwright.loss.adapters import Projection, project

VOCABULARY, WIDTH = 37, 24


class TinyHead(nn.Module):
    """A layer and an LM head, as PEFT likes models to be."""

    def __init__(self, *, bias: bool = False, vocabulary: int = VOCABULARY, width: int = WIDTH) -> None:
        super().__init__()
        self.config = {"model_type": "custom", "tie_word_embeddings": False}
        self.layer = nn.Linear(width, width)
        self.lm_head = nn.Linear(width, vocabulary, bias=bias)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.lm_head(self.layer(hidden))


def adapted(
    *configs: dict[str, Any],
    bias: bool = False,
    edit: Callable[[TinyHead], None] | None = None,
    dtype: torch.dtype = torch.float64,
    **sizes: int,
) -> Any:
    """A PEFT model with the adapters `one` and `two`, as many as configs, all active and with weights of their own."""
    torch.manual_seed(0)
    model = TinyHead(bias=bias, **sizes).to(dtype)
    if edit is not None:
        edit(model)
    made = [peft.LoraConfig(**{"target_modules": ["lm_head"], "lora_alpha": 12, "r": 4, **each}) for each in configs]
    wrapped = peft.get_peft_model(model, made[0], "one", autocast_adapter_dtype=False)
    if len(made) > 1:
        wrapped.add_adapter("two", made[1])
        wrapped.base_model.set_adapter(["one", "two"])
    for name, parameter in wrapped.named_parameters():
        if any(part in name for part in ("lora_", "modules_to_save", "trainable_tokens")):
            parameter.data += 0.2 * torch.randn_like(parameter)
    return wrapped


def head_of(model: Any) -> nn.Module:
    return model.get_submodule("base_model.model.lm_head")


def hidden_states(tokens: int, width: int = WIDTH, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(tokens)
    return torch.randn(tokens, width, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()


def logits_of(product: Projection, dtype: torch.dtype = torch.float64) -> Tensor:
    """A projection's product, written plainly."""
    weight = product.weight if isinstance(product.weight, Tensor) else product.weight.rows(0, product.weight.shape[0])
    logits = product.hidden.to(dtype) @ weight.to(dtype).T
    if product.low_rank is not None:
        low, up = product.low_rank
        logits = logits + low.to(dtype) @ up.to(dtype).T
    return logits if product.bias is None else logits + product.bias.to(dtype)


def outcome(head: nn.Module, logits: Callable[[Tensor], Tensor], hidden: Tensor) -> dict[str, Tensor]:
    """Log-probabilities by a function of hidden states, and the gradients of their weighted sum, by name."""
    torch.manual_seed(5)  # dropout
    logps = logits(hidden).log_softmax(-1)
    targets = torch.arange(len(hidden)) * 7 % logps.shape[1]
    chosen = logps.gather(1, targets.unsqueeze(1)).squeeze(1)
    operands = {"hidden": hidden, **{name: p for name, p in head.named_parameters() if p.requires_grad}}
    weights = torch.linspace(0.5, 1.5, len(hidden), dtype=logps.dtype)
    gradients = torch.autograd.grad((chosen * weights).sum(), list(operands.values()), allow_unused=True)
    found = {name: gradient for name, gradient in zip(operands, gradients, strict=True) if gradient is not None}
    return {"logps": logps.detach(), **found}


def assert_projects(
    head: nn.Module,
    hidden: Tensor,
    change: Callable[[Projection], Projection] = lambda product: product,
    rounding: float = 1e-12,
) -> None:
    """The head's projection has the log-probabilities of the head itself, and their gradients."""
    expected = outcome(head, head, hidden)
    got = outcome(head, lambda states: logits_of(change(project(head, states))), hidden)
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        assert got[name].shape == value.shape, name
        difference = (got[name].double() - value.double()).abs().max()
        assert difference <= rounding * max(1.0, float(value.abs().max())), f"{name}: {difference:.3g}"


class MadeTensors(TorchDispatchMode):
    """Records the number of elements of every tensor that is made with memory of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        given = {leaf.untyped_storage().data_ptr() for leaf in _tensors((args, kwargs))}
        made = [leaf for leaf in _tensors(result) if leaf.untyped_storage().data_ptr() not in given]
        self.sizes += [leaf.numel() for leaf in made]
        return result

    def at_least(self, elements: int) -> int:
        return sum(size >= elements for size in self.sizes)


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in torch.utils._pytree.tree_leaves(tree) if isinstance(leaf, Tensor)]
