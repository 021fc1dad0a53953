"""Load a data set: local JSONL, JSON, CSV and Parquet files, or one of the hub.

Text files are read by Trainwright's own reader and given to `datasets` with column types that hold every row, because
the readers of `datasets` change values without a word: a text `2025-03-03 16:15:00` becomes a timestamp, and in a CSV
file `007` becomes 7 and `NA` becomes nothing. What is cached is keyed by the files' content, never by their time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainwright.config.models import DataSource, RunConfig
from trainwright.config.words import suggestion
from trainwright.data.hub import load_hub, resolved_revision
from trainwright.data.images import open_images
from trainwright.data.rows import read_rows
from trainwright.data.sources import file_format, is_local, local_files
from trainwright.data.typed import TypedRows
from trainwright.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset, IterableDataset


def load_split(source: DataSource, config: RunConfig, key: str = "data.train") -> Dataset | IterableDataset:
    """Load the rows of a source, renamed and limited as it says.

    Args:
        source: The source.
        config: The run's config; relative paths are sought beside it, then in the working folder.
        key: The dotted key of the source. A hub data set's split is `train` for `data.train`, else `test`, unless the
            source names one.

    Returns:
        A `datasets.Dataset`, or an `IterableDataset` of a streamed hub data set. Local rows keep every column and
        every value; a column whose rows differ in type or in keys is of the type `Json`.

    Raises:
        DataError: Files that are missing or broken (each row with its place), a hub data set that cannot be had, no
            rows, or `columns` that are not there.
    """
    with quietly(), _errors(source, config.where(f"{key}.path")):
        if is_local(source, config):
            data = _load_files(local_files(source, config, key), config.where(f"{key}.path"))
        else:
            data = load_hub(source, config.where(key), default_split="train" if key == "data.train" else "test")
        data = _rename(data, source, config, key)
        return data if source.limit is None else first_rows(data, source.limit)


def first_rows(data: Dataset | IterableDataset, limit: int) -> Dataset | IterableDataset:
    """The first `limit` rows, or all where there are fewer (`Dataset.take` of datasets before 5.2 raises then)."""
    return data.take(min(limit, len(data)) if hasattr(data, "__len__") else limit)


def fingerprint(source: DataSource, config: RunConfig, key: str = "data.train") -> dict[str, Any]:
    """What identifies the rows of a source, for the manifest and for the check against drift.

    Args:
        source: The source.
        config: The run's config.
        key: The dotted key of the source, for errors.

    Returns:
        For local files `{"files": [{"path", "sha256", "bytes", "rows"}, …]}`; for a hub data set
        `{"hub", "name", "split", "revision"}`, with the commit where the hub tells it.

    Raises:
        DataError: A local file is missing or cannot be read.
    """
    if not is_local(source, config):
        identity = {"hub": source.path, "name": source.name, "split": source.split}
        return {**identity, "revision": resolved_revision(source)}
    return {"files": [_file_identity(file) for file in local_files(source, config, key)]}


def _file_identity(file: Path) -> dict[str, Any]:
    return {
        "path": file.resolve().as_posix(),  # the same from a resumed run, whose config lies elsewhere
        "sha256": content_hash([file]),
        "bytes": file.stat().st_size,
        "rows": sum(1 for _ in read_rows(file, ())),
    }


def content_hash(files: Sequence[Path]) -> str:
    """SHA-256 of files' contents one after another, in hexadecimal.

    Raises:
        DataError: A file cannot be read.
    """
    digest = hashlib.sha256()
    for file in files:
        try:
            with file.open("rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
        except OSError as error:
            raise DataError(f"{file} cannot be read: {error.strerror}") from error
    return digest.hexdigest()


def _load_files(files: list[Path], where: str) -> Dataset:
    import datasets

    content = content_hash(files)
    if file_format(files[0]) == "parquet":
        # The configuration's name is part of the cache's key; without it the key is the files' times alone.
        names = [str(file) for file in files]
        return datasets.load_dataset("parquet", f"sha256-{content}", data_files=names, split="train")
    rows = TypedRows(files)
    if not rows.count:
        raise DataError(f"{files[0]} holds no rows", where=where, remedy="Give at least one row.")
    arguments = {"rows": rows, "content": content}
    data = datasets.Dataset.from_generator(_generate, features=rows.features(), gen_kwargs=arguments)
    return open_images(data, files[0].parent, where)


def _generate(rows: TypedRows, content: str) -> Iterator[dict[str, Any]]:
    """The rows; `content` keys what `datasets` caches of them."""
    yield from rows


def _rename(data: Any, source: DataSource, config: RunConfig, key: str) -> Any:
    """Give columns the method's names; a column that is in the way of a new name is refused, not overwritten."""
    present = data.column_names or ()  # a streamed data set may not know its columns before it is read
    for new, old in source.columns.items() if present else ():
        where = config.where(f"{key}.columns.{new}")
        if old not in present:
            raise DataError(f"the data have no column `{old}`", where=where, remedy=suggestion(old, present))
        if new in present and new not in source.columns.values():
            remedy = f"Rename it, too, e.g. `columns: {{{new}_before: {new}}}`."
            raise DataError(f"the data have a column `{new}` already", where=where, remedy=remedy)
    return data.rename_columns({old: new for new, old in source.columns.items()}) if source.columns else data


@contextmanager
def quietly() -> Iterator[None]:
    """Within it, `datasets` shows no progress bars."""
    import datasets

    shown = datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if not shown:
            datasets.enable_progress_bars()


@contextmanager
def _errors(source: DataSource, where: str) -> Iterator[None]:
    """Within it, what `datasets` raises becomes one `DataError` with the first cause."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        # datasets, pyarrow and fsspec raise kin of OSError, ValueError, KeyError and of nothing else in common.
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        if isinstance(cause, DataError):
            raise cause from None
        text = " ".join(str(cause).split())[:600]
        raise DataError(f"`{source.path}` cannot be loaded: {type(cause).__name__}: {text}", where=where) from error
