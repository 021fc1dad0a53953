"""The rows of a local file one after another, each with its place, and what is wrong with how the file is written."""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainwright.data.sources import file_format

_UTF8 = "Save the file as UTF-8."


@dataclass(frozen=True)
class Row:
    """One row, or why there is none.

    Attributes:
        where: `file:line`; `file: row N` in a Parquet file.
        value: The row, of any JSON type.
        error: Why it cannot be read; empty where it can.
        remedy: What to do about that.
        columns: All columns of a Parquet file, of which `value` holds those asked for.
    """

    where: str
    value: Any = None
    error: str = ""
    remedy: str = ""
    columns: tuple[str, ...] = ()


def read_rows(path: Path, columns: Collection[str] | None = None) -> Iterator[Row]:
    """The rows of a file. A row that cannot be read is given with its error; so is a file that cannot be.

    Args:
        path: A file of one of `sources.FORMATS`.
        columns: Of a Parquet file, read these columns only (those that it has).
    """
    readers = {"jsonl": _jsonl, "json": _json, "csv": _csv}
    name = file_format(path)
    try:
        yield from _parquet(path, columns) if name == "parquet" else readers[str(name)](path)
    except UnicodeDecodeError as error:
        yield Row(f"{path}", error=f"not text: {error.reason} (byte 0x{error.object[error.start]:02x})", remedy=_UTF8)
    except OSError as error:
        yield Row(f"{path}", error=f"cannot be read: {error.strerror or error}")


def _jsonl(path: Path) -> Iterator[Row]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield _json_line(line.removeprefix(b"\xef\xbb\xbf"), f"{path}:{number}")


def _json_line(line: bytes, where: str) -> Row:
    try:
        return Row(where, json.loads(line))
    except UnicodeDecodeError as error:
        return Row(where, error=f"not text: byte 0x{line[error.start]:02x} is no UTF-8", remedy=_UTF8)
    except json.JSONDecodeError as error:
        remedy = "Each line of a JSONL file is one JSON object."
        return Row(where, error=f"not JSON: {error.msg} (column {error.colno})", remedy=remedy)


def _json(path: Path) -> Iterator[Row]:
    """The items of a JSON array, read one at a time to keep track of lines; a file of JSON lines will do too."""
    text = path.read_text(encoding="utf-8-sig")
    start = len(text) - len(text.lstrip())
    if text[start : start + 1] == "[":
        yield from _items(path, text, start + 1)
    elif text.strip():
        yield from _jsonl_or_object(path, text)


def _items(path: Path, text: str, position: int) -> Iterator[Row]:
    decoder, line, counted = json.JSONDecoder(), 1, 0
    position = _past_space(text, position)
    while text[position : position + 1] != "]":
        line, counted = line + text.count("\n", counted, position), position
        try:
            value, end = decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            remedy = "Is the file cut off? It must end in `]`." if not text[error.pos :].strip() else ""
            yield Row(f"{path}:{error.lineno}", error=f"not JSON: {error.msg} (column {error.colno})", remedy=remedy)
            return
        yield Row(f"{path}:{line}", value)
        position = _past_space(text, end)
        if text[position : position + 1] == ",":
            position = _past_space(text, position + 1)
        elif text[position : position + 1] != "]":
            where = f"{path}:{text.count(chr(10), 0, end) + 1}"
            yield Row(where, error="not JSON: expected `,` or `]` after this item", remedy="Is the file cut off?")
            return


def _past_space(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position


def _jsonl_or_object(path: Path, text: str) -> Iterator[Row]:
    rows = list(_jsonl(path))
    if rows and rows[0].error:
        try:
            json.loads(text)
        except json.JSONDecodeError as error:
            yield Row(f"{path}:{error.lineno}", error=f"not JSON: {error.msg} (column {error.colno})")
        else:
            yield Row(f"{path}:1", error="a JSON data set is a list of objects", remedy="Write `[{...}, {...}]`.")
        return
    yield from rows


def _csv(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        header = next(reader, [])
        line = reader.line_num + 1
        for values in reader:
            where, line = f"{path}:{line}", reader.line_num + 1
            if len(values) == len(header):
                yield Row(where, {name: value or None for name, value in zip(header, values, strict=True)})
            elif values:
                error = f"{len(values)} values for {len(header)} columns"
                yield Row(where, error=error, remedy="Put values that hold commas or line ends in double quotes.")


def _parquet(path: Path, columns: Collection[str] | None) -> Iterator[Row]:
    import pyarrow  # type: ignore[import-untyped]
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
        wanted = None if columns is None else [name for name in file.schema_arrow.names if name in columns]
        number = 0
        for batch in file.iter_batches(batch_size=1024, columns=wanted):
            for value in batch.to_pylist():
                number += 1
                yield Row(f"{path}: row {number}", value, columns=tuple(file.schema_arrow.names))
    except pyarrow.ArrowInvalid as error:
        yield Row(str(path), error=f"no sound Parquet file: {error}", remedy="Write or copy the file again.")
