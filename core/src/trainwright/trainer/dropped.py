"""Rows that TRL leaves out of preference data: counted, told, never silent."""

from __future__ import annotations

import logging
from typing import Any

from trainwright.errors import DataError
from trainwright.run.files import main_process

_log = logging.getLogger(__name__)


def report_dropped(before: Any, after: Any, key: str, max_length: int | None, *, sequences: int = 1) -> None:
    """Say how many rows TRL has left out; nothing is known of streams.

    Args:
        before: The data as TRL was given them.
        after: The data as TRL has prepared them.
        key: The dotted key of the data.
        max_length: Tokens of a row at most.
        sequences: Rows that TRL makes of each.

    Raises:
        DataError: No row is left.
    """
    if not hasattr(before, "__len__"):
        return
    rows = len(before) * sequences
    why = f"their prompt alone has max_length={max_length} tokens or more"
    if not len(after):
        raise DataError(f"no row of {rows} is left: {why}", where=key, remedy="raise `training.max_length`")
    if len(after) < rows and main_process():
        _log.warning("%s: %d of %d rows are left out: %s", key, rows - len(after), rows, why)
