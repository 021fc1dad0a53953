"""Check built distributions: `python tests/distributions.py dist core plugins/ops ...`, exit code 1 on any fault.

Each folder must have given one wheel and one source archive, with valid metadata, the README as description, the
licence, and every file of `src/`.
"""

from __future__ import annotations

import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

from packaging.metadata import Metadata


def faults(dist: Path, folder: Path) -> Iterator[str]:
    """What is wrong with the wheel and the source archive of one folder."""
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    stem = f"{project['name'].replace('-', '_')}-{project['version']}"
    wheel, archive = dist / f"{stem}-py3-none-any.whl", dist / f"{stem}.tar.gz"
    missing = [path.name for path in (wheel, archive) if not path.is_file()]
    if missing:
        yield f"not built: {', '.join(missing)}"
        return
    with zipfile.ZipFile(wheel) as opened:
        inside = set(opened.namelist())
        raw = opened.read(f"{stem}.dist-info/METADATA")
    yield from metadata_faults(raw, folder)
    expected = {path.relative_to(folder / "src").as_posix() for path in sources(folder)}
    yield from (f"{name} is not in the wheel" for name in sorted(expected - inside))
    if f"{stem}.dist-info/licenses/LICENSE" not in inside:
        yield "the wheel has no LICENSE"
    with tarfile.open(archive) as opened:
        packed = set(opened.getnames())
    wanted = {"LICENSE", "README.md", "pyproject.toml", *(f"src/{name}" for name in expected)}
    yield from (f"{name} is not in the source archive" for name in sorted(wanted) if f"{stem}/{name}" not in packed)


def metadata_faults(raw: bytes, folder: Path) -> Iterator[str]:
    """What an index would refuse, or what a reader of the index would miss."""
    try:
        metadata = Metadata.from_email(raw, validate=True)
    except ExceptionGroup as group:
        yield from (f"metadata: {error}" for error in group.exceptions)
        return
    if (metadata.description or "").strip() != (folder / "README.md").read_text(encoding="utf-8").strip():
        yield "the description is not README.md"
    if metadata.license_expression != "Apache-2.0":
        yield f"the licence is {metadata.license_expression!r}, not Apache-2.0"


def sources(folder: Path) -> list[Path]:
    """Every file of a folder's package."""
    return [path for path in (folder / "src").rglob("*") if path.is_file() and "__pycache__" not in path.parts]


def main(dist: str, *folders: str) -> int:
    """Print the faults of each folder's distributions; 1 where there are any."""
    found = [f"{folder}: {fault}" for folder in folders for fault in faults(Path(dist), Path(folder))]
    print("\n".join(found) or f"{len(folders)} wheels and source archives are as they should be")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
