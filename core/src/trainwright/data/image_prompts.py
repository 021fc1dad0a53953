"""Which rows with images have one prompt: told from its text and from marks of its images, which are not decoded.

Of images in memory or on disk the mark is the path and the number of bytes, so that gigabytes need not be read to pair
rows; of images that a stream has decoded already, the size and a checksum.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trainwright.data.images import COLUMNS

if TYPE_CHECKING:
    from datasets import Dataset


def identities(dataset: Dataset) -> NDArray[np.int64]:  # (rows,)
    """A number for each row's prompt with its images, equal where they are, the same in every process.

    Args:
        dataset: Rows with `prompt`, and `image` or `images`.
    """
    names = [name for name in ("prompt", *COLUMNS) if name in dataset.column_names]
    found: list[int] = []
    for table in dataset.select_columns(names).with_format("arrow").iter(batch_size=1000):
        for batch in table.combine_chunks().to_batches():
            marks = [_marks(batch.column(name)) for name in names[1:]]
            found += _numbers(zip(batch.column("prompt").to_pylist(), *marks, strict=True))
    return np.array(found, dtype=np.int64)


def identities_of(batch: Mapping[str, list[Any]]) -> NDArray[np.int64]:  # (rows,)
    """The same of some rows of a stream."""
    marks = [[_mark(value) for value in batch[name]] for name in COLUMNS if name in batch]
    return np.array(list(_numbers(zip(batch["prompt"], *marks, strict=True))), dtype=np.int64)


def _numbers(prompts: Any) -> Iterator[int]:
    for prompt in prompts:
        text = json.dumps(prompt, sort_keys=True, default=str)
        yield int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)


def _marks(values: Any) -> list[Any]:  # one a row
    """Of an Arrow array of images, or of lists of them."""
    import pyarrow as pa  # type: ignore[import-untyped]
    from pyarrow import compute

    if pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        each = iter(_marks(values.flatten()))
        return [list(islice(each, count or 0)) for count in values.value_lengths().to_pylist()]
    paths, sizes = compute.struct_field(values, "path"), compute.binary_length(compute.struct_field(values, "bytes"))
    return list(zip(paths.to_pylist(), sizes.to_pylist(), strict=True))


def _mark(value: Any) -> Any:
    """Of an image that a stream yields, or of a list of them."""
    if isinstance(value, list):
        return [_mark(each) for each in value]
    if value is None or isinstance(value, Mapping):
        return value and [value.get("path"), len(value.get("bytes") or b"")]
    return [value.size, zlib.crc32(value.tobytes())]
