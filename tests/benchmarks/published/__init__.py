"""Published chat templates that benchmarks measure: a JSON file that maps names to `{"template": …}`."""

from __future__ import annotations

import json
import os
from pathlib import Path

BESIDE = Path(__file__).resolve().parents[4] / "shared" / "corpus" / "chat_templates.json"


def published(given: str | None = None) -> dict[str, str]:
    """The templates by name; none, and a line that says so, where the file is not at hand.

    Args:
        given: The file; default: what TRAINWRIGHT_CORPUS names, or `../shared/corpus/chat_templates.json` beside the
            checkout.
    """
    path = Path(given or os.environ.get("TRAINWRIGHT_CORPUS", BESIDE))
    if given is None and not path.is_file():
        print(f"skipped: no published templates at {path}; TRAINWRIGHT_CORPUS may name another file")
        return {}
    return {name: entry["template"] for name, entry in json.loads(path.read_text(encoding="utf-8")).items()}
