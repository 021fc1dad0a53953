"""Files that are whole or absent: atomic writes, and writes that have reached the disk."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any


def main_process() -> bool:
    """Whether this process writes the run's files: rank 0 of a launcher, or the only process there is."""
    return os.environ.get("RANK", "0") == "0"


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Replace a file's content; a reader, or a crash at any moment, meets the old content or the new one, never a part.

    Args:
        path: The file.
        write: Writes the new content.

    Raises:
        OSError: Where it cannot be written; the old content stays.
    """
    draft = path.with_name(f"{path.name}.tmp-{os.getpid()}")  # two processes may write the same file of a cache
    try:
        with draft.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    sync(path.parent)


def write_atomically(path: Path, text: str) -> None:
    """`write_whole` of text, as UTF-8."""
    write_whole(path, lambda file: file.write(text.encode("utf-8")))


def write_json(path: Path, value: Any) -> None:
    """`write_atomically` of indented JSON."""
    write_atomically(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def sync(path: Path) -> None:
    """Make what was written to a file, or the names in a folder, survive a power cut."""
    if os.name == "nt" and path.is_dir():  # Windows has no handle on folders to flush
        return
    descriptor = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sizes(folder: Path) -> dict[str, int]:
    """Path relative to the folder (with `/`) → bytes, of every file below it, sorted."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


def human(size: float) -> str:
    """Bytes as text: `1.5 GiB`."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
