"""Fields of `training:` about the reference model: what excludes what, and what nothing would read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from trainwright.config.models import RunConfig
from trainwright.config.report import Report
from trainwright.errors import PluginError
from trainwright.trainer.methods import Method

if TYPE_CHECKING:
    from trainwright.plugins.manager import PluginManager

PRECOMPUTE, SYNC = "precompute_ref_log_probs", "sync_ref_model"
_NEEDED_BY = {
    "precompute_ref_batch_size": PRECOMPUTE,
    "ref_model_mixup_alpha": SYNC,
    "ref_model_sync_steps": SYNC,
}


def check_reference_fields(report: Report, manager: PluginManager, method: Method) -> None:
    """Note such fields of a method whose trainer is given a reference model."""
    if "reference" not in method.takes:
        return
    config = report.config
    given = {name for name in (PRECOMPUTE, SYNC) if config.training.get(name) is True}
    for name, switch in _NEEDED_BY.items():
        if name in config.training and switch not in given:
            message = f"nothing reads `{name}` without `{switch}: true`"
            report.add(f"training.{name}", message, f"Remove it, or set `training.{switch}: true`.")
    if given and _reference_free(config, manager):
        for name in sorted(given):
            report.add(f"training.{name}", "no loss of this run asks for a reference model", "Remove it.")
        return
    if PRECOMPUTE in given:
        _check_precompute(report)
    if SYNC in given:
        for message, remedy in _why_not_sync(config, PRECOMPUTE in given):
            report.add(f"training.{SYNC}", message, remedy)


def _reference_free(config: RunConfig, manager: PluginManager) -> bool:
    try:
        return all(manager.provider("compute_loss", choice.name).reference_free for choice in config.losses.values())
    except PluginError:  # said where the losses are checked
        return False


def _check_precompute(report: Report) -> None:
    data = report.config.data
    for key, source in {"data.train": data and data.train, "data.eval": data and data.eval}.items():
        if source and source.streaming:
            message = f"the rows of a stream are not known before training, as `{PRECOMPUTE}` needs"
            report.add(f"{key}.streaming", message, f"Remove it, or set `training.{PRECOMPUTE}: false`.")


def _why_not_sync(config: RunConfig, precomputed: bool) -> Iterator[tuple[str, str]]:
    """TR-DPO (arXiv 2404.09656) moves the weights of a reference model towards the policy's."""
    if precomputed:
        message = f"`{SYNC}` changes the reference in training, and `{PRECOMPUTE}` asks it once before training"
        yield message, "Keep one of them."
    if config.lora is not None or config.model.adapter is not None:
        message = f"`{SYNC}` moves all weights of a reference model towards the policy's, and this policy is an adapter"
        yield message, f"Train all parameters (no `lora:` and no `model.adapter`), or remove `{SYNC}`."
