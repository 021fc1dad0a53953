"""`schema`: the JSON Schema of a config."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from trainwright.cli.prepare import load_plugins, switched_off
from trainwright.cli.quiet import quiet
from trainwright.cli.screen import put_json


def schema(output: Path | None, no_plugin: Sequence[str], *, verbose: bool) -> None:
    """Print the schema of a config, or write it to a file.

    Raises:
        TrainwrightError: When the file cannot be written.
    """
    quiet(verbose)
    from trainwright.config.schema import build_schema
    from trainwright.errors import TrainwrightError

    built = build_schema(load_plugins(switched_off(no_plugin)))
    if output is None:
        put_json(built)
        return
    try:
        output.write_text(json.dumps(built, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise TrainwrightError(
            f"cannot write the schema: {error.strerror}",
            where=str(output),
            remedy="Name a file in a folder that exists.",
        ) from error
