"""Seals: the last file of a checkpoint, which says that every other one is there, and how long each is.

A checkpoint is written below `checkpoints/.partial/`, sealed there and then moved to `checkpoints/checkpoint-N`. So a
name in `checkpoints/` is a whole checkpoint, and a crash at any moment leaves the one before it untouched.
"""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path

from trainwright.run.files import sizes, sync, write_json
from trainwright.run.folder import STAGING

SEAL = "trainwright.json"
_FORMAT = 1
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Seal:
    """What a seal says.

    Attributes:
        step: Optimizer steps done.
        ranks: Number of ranks that wrote the checkpoint.
        metrics_bytes: Length of `metrics.jsonl` at that moment.
        files: Path relative to the checkpoint → bytes.
    """

    step: int
    ranks: int
    metrics_bytes: int
    files: dict[str, int]

    @property
    def bytes(self) -> int:
        """What the checkpoint occupies."""
        return sum(self.files.values())


def write_seal(checkpoint: Path, *, step: int, ranks: int, metrics_bytes: int) -> None:
    """Bring every file of a checkpoint to the disk, then seal it."""
    files = {name: size for name, size in sizes(checkpoint).items() if name != SEAL}
    for name in files:
        sync(checkpoint / name)
    content = {"format": _FORMAT, "step": step, "ranks": ranks, "metrics_bytes": metrics_bytes, "files": files}
    write_json(checkpoint / SEAL, content)


def read_seal(checkpoint: Path) -> Seal:
    """The seal of a whole checkpoint.

    Raises:
        ValueError: It is not whole; the message says what is wrong with it.
    """
    try:
        content = json.loads((checkpoint / SEAL).read_text(encoding="utf-8"))
        seal = Seal(content["step"], content["ranks"], content["metrics_bytes"], content["files"])
    except FileNotFoundError:
        raise ValueError("it has no seal: writing it was not finished") from None
    except (OSError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"its seal cannot be read ({type(error).__name__})") from error
    if content.get("format") != _FORMAT:
        raise ValueError(f"its seal has format {content.get('format')}, this version reads {_FORMAT}")
    for name, size in seal.files.items():
        path = checkpoint / name
        found = path.stat().st_size if path.is_file() else None
        if found != size:
            raise ValueError(f"{name} is missing" if found is None else f"{name} has {found} bytes instead of {size}")
    return seal


def step_of(checkpoint: Path) -> int:
    """`checkpoint-20` → 20; -1 for any other name."""
    prefix, _, number = checkpoint.name.rpartition("-")
    return int(number) if prefix == "checkpoint" and number.isdigit() else -1


def survey(checkpoints: Path) -> tuple[list[Path], dict[Path, str]]:
    """The whole checkpoints below a folder, oldest first, and why each of the others is not one of them."""
    found = [path for parent in (checkpoints, checkpoints / STAGING) for path in parent.glob("checkpoint-*")]
    whole, flawed = [], {}
    for path in sorted((path for path in found if step_of(path) >= 0), key=lambda path: (step_of(path), path)):
        try:
            read_seal(path)
            whole.append(path)
        except ValueError as flaw:
            flawed[path] = str(flaw)
    return whole, flawed


def last_sealed(checkpoints: Path) -> Path | None:
    """The newest whole checkpoint, or none; warns of newer ones that were passed over."""
    whole, flawed = survey(checkpoints)
    last = whole[-1] if whole else None
    for path, flaw in flawed.items():
        if last is None or step_of(path) > step_of(last):
            _log.warning("passing over %s: %s", path.name, flaw)
    return last


def publish(staged: Path, checkpoints: Path) -> Path:
    """Move a sealed checkpoint to its name; one of the same step that is there already is replaced."""
    final = checkpoints / staged.name
    replaced = staged.with_name(f"replaced-{staged.name}")
    if final.exists():
        final.rename(replaced)
    staged.rename(final)
    sync(checkpoints)
    shutil.rmtree(replaced, ignore_errors=True)
    with contextlib.suppress(OSError):  # not empty, or gone already
        staged.parent.rmdir()
    return final


def rotate(checkpoints: Path, limit: int | None, best: Path | None = None) -> None:
    """Remove the oldest checkpoints beyond `limit`; never the newest whole one, never the best one.

    Args:
        checkpoints: The folder of the sealed checkpoints.
        limit: How many may stay; no limit where it is None or 0.
        best: The checkpoint that `load_best_model_at_end` will want.
    """
    whole, _ = survey(checkpoints)
    if not limit or limit < 0:
        return
    kept = {whole[-1]} if whole else set()
    kept |= {path for path in whole if best is not None and path.name == best.name}
    surplus = [path for path in whole if path not in kept][: max(0, len(whole) - max(limit, len(kept)))]
    for path in surplus:
        (path / SEAL).unlink()  # first, so that an interrupted removal leaves nothing that looks whole
        shutil.rmtree(path, ignore_errors=True)
