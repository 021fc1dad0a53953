"""`schema`: the JSON Schema of a config."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trainwright.cli.prepare import load_plugins, switched_off
from trainwright.cli.quiet import quiet
from trainwright.cli.screen import put_json


def schema(output: Path | None, no_plugin: Sequence[str], *, verbose: bool) -> None:
    """Print the schema of a config, or write it to a file.

    Raises:
        TrainwrightError: When the file cannot be written; what it held stays.
    """
    quiet(verbose)
    from trainwright.config.schema import build_schema
    from trainwright.errors import TrainwrightError
    from trainwright.run.files import write_json

    built = build_schema(load_plugins(switched_off(no_plugin)))
    if output is None:
        put_json(built)
        return
    try:
        write_json(output, built)
    except OSError as error:
        remedy = "Name a file in a folder that exists and may be written to."
        raise TrainwrightError(
            f"the schema cannot be written: {error.strerror}", where=str(output), remedy=remedy
        ) from error
