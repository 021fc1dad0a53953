"""Images that rows of a local text file name by their paths."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainwright.errors import DataError, Problem

if TYPE_CHECKING:
    from datasets import Dataset, IterableDataset

COLUMNS = ("image", "images")
_MOST_PROBLEMS = 20


def open_images(data: Dataset, folder: Path, where: str) -> Dataset:
    """Make images of the columns `image` and `images` where they hold paths; nothing else is changed.

    Args:
        data: Rows of local text files.
        folder: What relative paths are relative to: the folder of the file.
        where: The place of the source, for errors.

    Raises:
        DataError: Files that are not there, the first 20 with their rows.
    """
    import datasets

    for column in COLUMNS:
        if column not in data.column_names:
            continue
        feature = data.features[column]
        many = isinstance(feature, datasets.List)
        if getattr(feature.feature if many else feature, "dtype", None) != "string":
            continue
        data = data.map(_absolute, fn_kwargs={"column": column, "folder": str(folder)})
        _refuse_missing(data, column, where)
        data = data.cast_column(column, datasets.List(datasets.Image()) if many else datasets.Image())
    return data


def decoding(data: Dataset | IterableDataset, decode: bool) -> Dataset | IterableDataset:
    """The data with images that are decoded when a row is read, or are left as they are stored; streams are left alone.

    Args:
        data: Rows with or without images.
        decode: Whether they are decoded.
    """
    import datasets

    for column in COLUMNS if isinstance(data, datasets.Dataset) else ():
        feature = data.features.get(column)
        if isinstance(getattr(feature, "feature", feature), datasets.Image):
            image = datasets.Image(decode=decode)
            data = data.cast_column(column, image if isinstance(feature, datasets.Image) else datasets.List(image))
    return data


def _absolute(row: dict[str, Any], column: str, folder: str) -> dict[str, Any]:
    named = row[column]
    if isinstance(named, list):
        return {column: [str(Path(folder, name)) for name in named]}
    return {column: None if named is None else str(Path(folder, named))}


def _refuse_missing(data: Dataset, column: str, where: str) -> None:
    problems = [
        Problem(f"row {number}: there is no image {name}", where)
        for number, named in enumerate(data[column], start=1)
        for name in (named if isinstance(named, list) else [named])
        if name is not None and not Path(name).is_file()
    ]
    if problems:
        raise DataError.together(problems[:_MOST_PROBLEMS])
