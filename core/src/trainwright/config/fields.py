"""The fields of TRL's config classes without importing TRL: read once in a child process, then from the user's cache.

The cache is `TRAINWRIGHT_CACHE` or the platform's cache folder; its file is named by the versions of TRL, transformers
and Python, so an upgrade makes a new one. Two processes may need it at once: one builds, the other waits and reads.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainwright.config.extract import FORMAT
from trainwright.errors import TrainwrightError
from trainwright.trainer.methods import METHODS

log = logging.getLogger(__name__)
_CHILD_SECONDS = 600


@dataclass(frozen=True)
class TrlField:
    """One field of a TRL config class.

    Attributes:
        name: Its name.
        types: What it takes: `int`, `float`, `bool`, `str`, `null`, `dict`, `list[...]`, `any`, `object`.
        choices: The texts it takes, where not every text will do.
        default: Its default, None where that is no plain value.
        help: TRL's own description.
    """

    name: str
    types: tuple[str, ...]
    choices: tuple[str, ...]
    default: Any
    help: str

    @property
    def deprecated(self) -> bool:
        """Whether TRL's description starts by saying so."""
        return self.help.lower().startswith("deprecated")


OWN_FIELDS = {
    "kto": (
        TrlField(
            name="padding_free",
            types=("bool",),
            choices=(),
            default=False,
            help="Whether the answers of a micro-batch are laid end to end, so that nothing is padded; a plugin's loss "
            "only. Trainwright's own: TRL has the field for DPO.",
        ),
    ),
}
"""Method → fields that `training:` takes beside TRL's."""


def trl_fields(method: str) -> Mapping[str, TrlField]:
    """The fields of the TRL config class of a method, by name, and our own beside them.

    Raises:
        TrainwrightError: Where TRL is not installed or cannot be imported.
    """
    return _parsed(method, cache_file())


@functools.lru_cache(maxsize=len(METHODS))
def _parsed(method: str, file: Path) -> Mapping[str, TrlField]:
    raw = (_read(file) or _build(file))[method]
    fields = {
        name: TrlField(name, tuple(field["types"]), tuple(field["choices"]), field["default"], field["help"])
        for name, field in raw.items()
    }
    return {**{field.name: field for field in OWN_FIELDS.get(method, ())}, **fields}


def cache_folder() -> Path:
    """The folder of everything that Trainwright keeps between runs."""
    if folder := os.environ.get("TRAINWRIGHT_CACHE"):
        return Path(folder).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("trainwright", appauthor=False))


def cache_file() -> Path:
    """The file that holds the fields of the installed versions.

    Raises:
        TrainwrightError: Where TRL or transformers is not installed.
    """
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    name = f"trl-fields-{_version('trl')}-{_version('transformers')}-py{python}-f{FORMAT}.json"
    return cache_folder() / name


@functools.cache
def _version(distribution: str) -> str:
    from importlib import metadata

    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        remedy = f"Install it: pip install {distribution}"
        raise TrainwrightError(f"{distribution} is not installed", remedy=remedy) from None


def _read(file: Path) -> dict[str, Any] | None:
    """The cached methods; None where the file is missing, damaged or of another layout."""
    try:
        cached = json.loads(file.read_text(encoding="utf-8"))
        methods = cached["methods"]
        sound = cached["format"] == FORMAT and set(METHODS) <= set(methods) and all(map(_is_sound, methods.values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return dict(methods) if sound else None


def _is_sound(fields: dict[str, dict[str, Any]]) -> bool:
    return bool(fields) and all(field.keys() >= {"types", "choices", "default", "help"} for field in fields.values())


def _build(file: Path) -> dict[str, Any]:
    from filelock import FileLock

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(file.with_suffix(".lock"))
        lock.acquire(timeout=_CHILD_SECONDS)
    except OSError as error:
        log.warning("TRL's options cannot be cached in %s (%s)", file.parent, error)
        return _extracted_to(None)
    with lock:
        try:
            return _read(file) or _extracted_to(file)
        finally:
            lock.release()


def _extracted_to(file: Path | None) -> dict[str, Any]:
    """Run the extractor; put its result in place in one step, so that no reader sees half a file."""
    log.info("reading the options of TRL %s (once for each installed version)", _version("trl"))
    with tempfile.TemporaryDirectory(dir=file.parent if file else None, prefix="trl-fields-") as folder:
        written = Path(folder) / "fields.json"
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TRL_EXPERIMENTAL_SILENCE": "1", "CUDA_VISIBLE_DEVICES": ""}
        command = [sys.executable, "-W", "ignore", "-m", "trainwright.config.extract", str(written)]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=_CHILD_SECONDS, check=False
        )
        methods = _read(written) if done.returncode == 0 else None
        if methods is None:
            last = (done.stderr.strip().splitlines() or ["no output"])[-1]
            remedy = "Check the installation: python -c 'import trl.trainer'"
            raise TrainwrightError(f"TRL's config classes cannot be imported: {last}", remedy=remedy)
        if file is not None:
            written.replace(file)
    return methods
