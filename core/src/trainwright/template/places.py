"""Where the rows of a data set stand, for messages."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from itertools import chain, islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainwright.config.models import DataSource, RunConfig

Places = Callable[[Collection[int]], Mapping[int, str]]
"""Row numbers, from 0 → the place of each that is known."""


def place(key: str, index: int) -> str:
    """A row by its number, counted from 1 as an editor counts the lines of a JSONL file."""
    return f"{key}: row {index + 1}"


def file_places(source: DataSource, config: RunConfig, key: str) -> Places:
    """Finds the `file:line` of rows of a local source; of a hub data set it knows none.

    Args:
        source: The source, as `trainwright.data.load.load_split` reads it.
        config: The run's config.
        key: The source's dotted key.
    """

    def find(wanted: Collection[int]) -> Mapping[int, str]:
        from trainwright.data.rows import read_rows
        from trainwright.data.sources import is_local, local_files

        if not wanted or not is_local(source, config):
            return {}
        rows = chain.from_iterable(read_rows(file, ()) for file in local_files(source, config, key))
        return {index: row.where for index, row in enumerate(islice(rows, max(wanted) + 1)) if index in wanted}

    return find
