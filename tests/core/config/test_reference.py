"""docs/config.md is what the models say, and every key says what it is for."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainwright.config.models import RunConfig
from trainwright.config.reference import _sections, render

PAGE = Path(__file__).parents[3] / "docs" / "config.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "python -m trainwright.config.reference > docs/config.md"


@pytest.mark.parametrize("model", [RunConfig, *_sections()], ids=lambda model: model.__name__)
def test_every_key_is_described(model: type[RunConfig]) -> None:
    lacking = [name for name, field in model.model_fields.items() if not field.description]
    assert not lacking
