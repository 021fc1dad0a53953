"""`docs/environments.md` names every setting, with its default, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from trainwright_ors.settings import Settings

PAGE = Path(__file__).parents[4].joinpath("docs/environments.md").read_text(encoding="utf-8")
TABLE = PAGE.split("## All settings")[1].split("## ")[0]
ROWS = [line.strip("| ").split(" | ") for line in TABLE.splitlines() if line.startswith("| `")]


def test_the_settings_of_the_page_are_those_of_the_plugin() -> None:
    assert [key for row in ROWS for key in re.findall(r"`(\w+)`", row[0])] == list(Settings.model_fields)


def test_the_defaults_of_the_page_are_those_of_the_plugin() -> None:
    shown = {row[0].strip("`"): row[1] for row in ROWS if re.fullmatch(r"`\w+`|[\d.]+", row[1])}
    assert len(shown) >= 8
    for key, default in shown.items():
        assert str(Settings.model_fields[key].default).lower() == default.strip("`"), key
