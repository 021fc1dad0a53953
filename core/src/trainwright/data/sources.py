"""Which files a data source names, and of which format; or that it is a hub id."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import Literal

from trainwright.config.models import DataSource, RunConfig
from trainwright.config.words import nearest
from trainwright.errors import DataError, Problem

Format = Literal["jsonl", "json", "csv", "parquet"]
FORMATS: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".parquet": "parquet",
}
"""Suffix → format."""

_HUB_ONLY = ("split", "name", "revision")
_SUFFIXES = "Local data are files that end in " + ", ".join(FORMATS) + "."


def file_format(path: Path) -> Format | None:
    """The format that a file's suffix names, or None."""
    return FORMATS.get(path.suffix.lower())


def is_local(source: DataSource, config: RunConfig) -> bool:
    """Whether a source names local files; else it is a hub id."""
    return any(_looks_local(path, config) for path in _paths(source))


def local_files(source: DataSource, config: RunConfig, key: str = "data.train") -> list[Path]:
    """The files of a local source, absolute, all of one format, in the order given (a glob's by name).

    Args:
        source: The data source.
        config: The run's config; relative paths are sought beside it, then in the working folder.
        key: The dotted key of the source, for errors.

    Raises:
        DataError: With every file that is missing or of no known format, and where formats are mixed.
    """
    files, problems = find_files(source, config, key)
    if problems:
        raise DataError.together(problems)
    return files


def find_files(source: DataSource, config: RunConfig, key: str) -> tuple[list[Path], list[Problem]]:
    """The files of a local source, and what is wrong with what the source says."""
    files: list[Path] = []
    problems = _pointless(source, config, key)
    for index, path in enumerate(_paths(source)):
        place = config.where(f"{key}.path.{index}" if isinstance(source.path, list) else f"{key}.path")
        found, problem = _expand(path, config, place)
        files += found
        problems += [problem] if problem else []
    formats = {str(file_format(file)) for file in files}
    if len(formats) > 1:
        message = f"files of several formats in one data set: {', '.join(sorted(formats))}"
        problems.append(Problem(message, config.where(f"{key}.path"), "Convert them to one format."))
    return files, problems


def _paths(source: DataSource) -> list[str]:
    return [source.path] if isinstance(source.path, str) else source.path


def _looks_local(path: str, config: RunConfig) -> bool:
    explicit = path.startswith((".", "/", "~")) or "\\" in path or glob.has_magic(path)
    return explicit or Path(path).suffix.lower() in FORMATS or config.resolve(path).exists() or path.count("/") > 1


def _expand(path: str, config: RunConfig, where: str) -> tuple[list[Path], Problem | None]:
    resolved = config.resolve(path)
    if glob.has_magic(path) and not resolved.exists():
        return _matches(path, config, where)
    if resolved.is_dir():
        return [], Problem(f"`{path}` is a folder", where, f"Name its files, e.g. `{path.rstrip('/')}/*.jsonl`.")
    if not resolved.exists():
        beside = [file.name for file in resolved.parent.glob("*")] if resolved.parent.is_dir() else []
        near = nearest(resolved.name, beside)
        remedy = f"Did you mean `{near}`?" if near else "Relative paths are sought beside the config, then from here."
        return [], Problem(f"no such file: {resolved}", where, remedy)
    if file_format(resolved) is None:
        return [], Problem(f"`{path}` is of no known format", where, _SUFFIXES)
    return [resolved], None


def absolute(path: str, config: RunConfig) -> str:
    """A local path or glob as it is found from anywhere; a hub id unchanged."""
    if not _looks_local(path, config):
        return path
    if not glob.has_magic(path) or config.resolve(path).exists():
        return str(config.resolve(path))
    matching = (folder for folder in (config.folder, Path.cwd()) if glob.glob(str(folder / path), recursive=True))
    return str(next(matching, config.folder) / Path(path).expanduser())


def _matches(path: str, config: RunConfig, where: str) -> tuple[list[Path], Problem | None]:
    """The files of a glob, beside the config or else in the working folder."""
    found: list[str] = []
    for folder in (config.folder, Path.cwd()):
        found = found or sorted(glob.glob(str(folder / Path(path).expanduser()), recursive=True))
    files = [Path(name).resolve() for name in found if Path(name).is_file()]
    if not files:
        return [], Problem(f"no file matches `{path}`", where, f"Sought in {config.folder} and {Path.cwd()}.")
    unknown = [file.name for file in files if file_format(file) is None]
    if unknown:
        return files, Problem(f"`{path}` matches files of no known format: {', '.join(unknown[:3])}", where, _SUFFIXES)
    return files, None


def _pointless(source: DataSource, config: RunConfig, key: str) -> list[Problem]:
    """Options that only a hub data set has."""
    given = [name for name in _HUB_ONLY if getattr(source, name) is not None]
    given += ["streaming"] if source.streaming else []
    return [
        Problem(f"`{name}` is for hub data sets, and this one is local", config.where(f"{key}.{name}"), "Remove it.")
        for name in given
    ]
