"""What a plugin's own tests need: tiny models and tokenizers of every family, data, and the contract for losses.

    from trainwright.testing import LossContract, tiny_model

    class TestMine(LossContract):
        loss = "my_loss"

Nothing is downloaded and nothing heavy is imported until a name is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainwright.testing.datasets import tiny_dataset as tiny_dataset
    from trainwright.testing.families import FAMILIES as FAMILIES
    from trainwright.testing.families import Family as Family
    from trainwright.testing.families import family_names as family_names
    from trainwright.testing.images import tiny_image as tiny_image
    from trainwright.testing.images import tiny_processor as tiny_processor
    from trainwright.testing.loss_contract import LossContract as LossContract
    from trainwright.testing.models import save_tiny as save_tiny
    from trainwright.testing.models import tiny_config as tiny_config
    from trainwright.testing.models import tiny_model as tiny_model
    from trainwright.testing.models import tiny_processing_class as tiny_processing_class
    from trainwright.testing.tokenizers import tiny_tokenizer as tiny_tokenizer

_HOMES = {
    "FAMILIES": "families",
    "Family": "families",
    "LossContract": "loss_contract",
    "family_names": "families",
    "save_tiny": "models",
    "tiny_config": "models",
    "tiny_dataset": "datasets",
    "tiny_image": "images",
    "tiny_model": "models",
    "tiny_processing_class": "models",
    "tiny_processor": "images",
    "tiny_tokenizer": "tokenizers",
}

__all__ = [*_HOMES]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    """Import a public name from its module when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value  # also wins over the submodule of the same name that the import just bound
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
