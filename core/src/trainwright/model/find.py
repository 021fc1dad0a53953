"""Where a model is: on the hub, in a folder, or inside an installed package. Nothing is loaded or fetched."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trainwright.config.models import ModelSection, RunConfig
from trainwright.config.paths import PACKAGE, check_models, is_folder
from trainwright.config.report import Report
from trainwright.errors import ModelError
from trainwright.model.checkpoint import check_checkpoint
from trainwright.model.gguf_file import find_gguf

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)


@dataclass(frozen=True)
class FoundModel:
    """A model that is there.

    Attributes:
        path: A hub id, an absolute folder, or the absolute path of a GGUF file.
        kind: Where it is: `hub`, `folder` or `package`.
        revision: Branch, tag or commit on the hub; None for the default branch, and elsewhere.
    """

    path: str
    kind: Literal["hub", "folder", "package"]
    revision: str | None = None


def find_model(section: ModelSection, config: RunConfig) -> FoundModel:
    """Find the model that a section names.

    Args:
        section: The section; one of the config's own, or another that is read as if it were `model:`.
        config: The run's config; relative folders are sought beside it, then in the working folder.

    Raises:
        ModelError: There is no such folder or package, it holds no whole model, or a hub model is neither in the cache
            nor reachable because the hub client is offline.
    """
    known = (config.model, config.reference, config.teacher)
    report = Report(config if section in known else config.model_copy(update={"model": section}))
    check_models(report)
    if report.problems:
        raise ModelError.together(report.problems)
    where = config.where(f"{section_key(section, config)}.path")
    if section.path.startswith(PACKAGE):
        return FoundModel(str(find_gguf(section.path.removeprefix(PACKAGE), where).file), "package")
    if is_folder(section.path, config, section.revision):
        folder = config.resolve(section.path)
        check_checkpoint(folder, where)
        return FoundModel(str(folder), "folder")
    _check_hub(section.path, section.revision, "config.json", where)
    return FoundModel(section.path, "hub", section.revision)


def section_key(section: ModelSection, config: RunConfig) -> str:
    """The key under which a config holds a section: `model`, `reference` or `teacher`."""
    return next((key for key in ("model", "reference", "teacher") if getattr(config, key) is section), "model")


def find_adapter(section: ModelSection, config: RunConfig) -> str | None:
    """The hub id or the absolute folder of a section's PEFT adapter, or None.

    Raises:
        ModelError: A hub adapter that cannot be had. `find_model` has checked folders.
    """
    path = section.adapter
    if path is None:
        return None
    if is_folder(path, config):
        return str(config.resolve(path))
    _check_hub(path, None, "adapter_config.json", config.where(f"{section_key(section, config)}.adapter"))
    return path


def _check_hub(repository: str, revision: str | None, file: str, where: str) -> None:
    """Refuse what cannot be a hub id, and what an offline client does not have."""
    if not _HUB_ID.fullmatch(repository):
        remedy = "A hub id is `owner/name`; a folder that is not there yet is written `./name`."
        raise ModelError(f"`{repository}` is neither a hub id nor a folder", where=where, remedy=remedy)
    from huggingface_hub import constants, try_to_load_from_cache

    if constants.is_offline_mode() and not _cached(try_to_load_from_cache(repository, file, revision=revision)):
        at = f" at revision `{revision}`" if revision else ""
        raise ModelError(
            f"`{repository}`{at} is not in the hub cache ({constants.HF_HUB_CACHE}), and the hub client is offline",
            where=where,
            remedy="Unset HF_HUB_OFFLINE to download it, or give the folder of a local copy.",
        )


def _cached(answer: object) -> bool:
    """Whether the hub cache holds the file (a path), and not just the knowledge that there is none."""
    return isinstance(answer, str) and Path(answer).is_file()
