"""What a config refers to outside itself: models, reward functions, files. Nothing is imported or fetched."""

from __future__ import annotations

import ast
from importlib import metadata
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from trainwright.config.models import ModelSection, RunConfig
from trainwright.config.report import Report
from trainwright.config.words import nearest, suggestion

PACKAGE = "package:"
_FILE_FIELDS = ("deepspeed", "fsdp_config", "accelerator_config")


def training_values(config: RunConfig) -> dict[str, Any]:
    """`training:` as TRL takes it: paths of files of settings made absolute."""
    return {name: _absolute(name, value, config) for name, value in config.training.items()}


def _absolute(name: str, value: Any, config: RunConfig) -> Any:
    return str(config.resolve(value)) if _is_file_name(name, value) else value


def _is_file_name(name: str, value: Any) -> bool:
    return name in _FILE_FIELDS and isinstance(value, str) and not value.startswith("{")


def check_training_files(report: Report) -> None:
    """Note files of settings in `training:` that do not exist."""
    for name, value in report.config.training.items():
        if _is_file_name(name, value) and not report.config.resolve(value).is_file():
            report.add(
                f"training.{name}", f"no such file: {report.config.resolve(value)}", "Give a JSON file or a mapping."
            )


# ── models ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def is_folder(path: str, config: RunConfig, revision: str | None = None) -> bool:
    """Whether a model's path means a folder, not a hub id: it is written as one, exists, or lies where one could.

    `models/first` is a folder where there is a folder `models`; a `revision` says that it is a hub id all the same.
    """
    if path.startswith(PACKAGE):
        return False
    if path.startswith((".", "/", "~")) or "\\" in path or path.count("/") > 1 or config.resolve(path).exists():
        return True
    return "/" in path and revision is None and config.resolve(path).parent.is_dir()


def check_models(report: Report) -> None:
    """Note models that cannot be where the config says."""
    for key in ("model", "reference", "teacher"):
        section: ModelSection | None = getattr(report.config, key)
        if section is None or report.is_broken(f"{key}.path"):
            continue
        if section.path.startswith(PACKAGE):
            _check_package(report, section.path.removeprefix(PACKAGE), f"{key}.path")
        else:
            _check_folder(report, section.path, f"{key}.path", "config.json", section.revision)
        if section.adapter is not None:
            _check_folder(report, section.adapter, f"{key}.adapter", "adapter_config.json", None)


def _check_package(report: Report, name: str, key: str) -> None:
    top = name.split("/")[0].split(":")[0].strip()
    if not top or not _is_installed(top):
        remedy = f"pip install {top}" if top else "Write `package:NAME`."
        report.add(key, f"the package `{top}` is not installed", remedy)
    if find_spec("gguf") is None:
        message = "a GGUF model needs the package gguf, which is not installed"
        report.add(key, message, "pip install 'trainwright[gguf]'")


def _is_installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except (metadata.PackageNotFoundError, ValueError):
        module = name.replace("-", "_").split(".")[0]
        return module.isidentifier() and find_spec(module) is not None
    return True


def _check_folder(report: Report, path: str, key: str, needed: str, revision: str | None) -> None:
    config = report.config
    if not is_folder(path, config, revision):
        if path.count("/") == 0 and not path.strip():
            report.add(key, "the path is empty", "Give a hub id, a folder, or `package:NAME`.")
        return
    folder = config.resolve(path)
    if revision is not None:
        report.add(
            key.replace("path", "revision"), "`revision` is for hub models, and this one is a folder", "Remove it."
        )
    if not folder.exists():
        beside = [item.name for item in folder.parent.glob("*")] if folder.parent.is_dir() else []
        near = nearest(folder.name, beside)
        remedy = f"Did you mean `{near}`?" if near else "If it is a hub id, say so with `revision: main`."
        report.add(key, f"no such folder: {folder}", remedy)
    elif not folder.is_dir():
        report.add(key, f"not a folder: {folder}", f"Give the folder that holds {needed}.")
    elif not (folder / needed).is_file():
        report.add(key, f"no model in {folder}: it holds no {needed}", _inner(folder, needed))


def _inner(folder: Path, needed: str) -> str:
    """Where a model lies one or two folders deeper, as in a run's folder."""
    found = sorted([*folder.glob(f"*/{needed}"), *folder.glob(f"*/*/{needed}")])
    return f"There is one in {found[0].parent}." if found else f"Give the folder that holds {needed}."


# ── reward functions ─────────────────────────────────────────────────────────────────────────────────────────────────


def split_reward(reference: str) -> tuple[str, str]:
    """(`module` or `file.py`, `function`) of a reward function; the function is empty where none is named."""
    place, colon, function = reference.rpartition(":")
    return (place, function) if colon else (reference, "")


def check_rewards(report: Report) -> None:
    """Note reward functions that do not exist. Files are parsed, not run; modules are found, not imported."""
    for index, reference in enumerate(report.config.rewards):
        key = f"rewards.{index}"
        place, function = split_reward(reference)
        if not place or not function.isidentifier():
            report.add(key, f"`{reference}` names no function", "Write `module:function` or `file.py:function`.")
        elif place.endswith(".py") or "/" in place:
            _check_file(report, key, report.config.resolve(place), function)
        else:
            _check_module(report, key, place, function)


def _check_module(report: Report, key: str, module: str, function: str) -> None:
    top, *rest = module.split(".")
    if not all(part.isidentifier() for part in (top, *rest)):
        report.add(key, f"`{module}` is no module", "Write `module:function` or `file.py:function`.")
        return
    spec = _spec(top, report.config)
    if spec is None:
        report.add(key, f"there is no module `{top}`", "Install it, or give a file: `file.py:function`.")
    elif file := _source_of(spec, rest):
        _check_file(report, key, file, function)


def _spec(top: str, config: RunConfig) -> ModuleSpec | None:
    """How a top-level module would be imported: from beside the config, the working folder, or what is installed."""
    return PathFinder.find_spec(top, [str(config.folder), str(Path.cwd())]) or find_spec(top)


def _source_of(spec: ModuleSpec, rest: list[str]) -> Path | None:
    """The file of a module or of one in it; None where that cannot be told without importing it."""
    if not rest:
        return Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None
    stems = [Path(folder).joinpath(*rest) for folder in spec.submodule_search_locations or ()]
    files = (file for stem in stems for file in (stem.with_suffix(".py"), stem / "__init__.py"))
    return next((file for file in files if file.is_file()), None)


def _check_file(report: Report, key: str, file: Path, function: str) -> None:
    try:
        tree = ast.parse(file.read_bytes(), str(file))
    except OSError as error:
        report.add(key, f"{file} cannot be read: {error.strerror}", "Relative paths are sought beside the config.")
    except (SyntaxError, ValueError) as error:
        line = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        report.add(key, f"{file}{line} is not Python: {getattr(error, 'msg', error)}", "Mend the file.")
    else:
        names = _names(tree)
        if function not in names and "*" not in names:
            remedy = suggestion(function, {name for name in names if not name.startswith("_")})
            report.add(key, f"{file} defines no `{function}`", remedy)


def _names(tree: ast.AST) -> set[str]:
    """What a module's top level binds; `*` where it imports everything of another."""
    names: set[str] = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
            continue  # what is inside is not the module's
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        names |= _names(node)
    return names
