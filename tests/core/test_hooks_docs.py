"""The hooks' reference says what the hookspecs say, and every hook is tested by name."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from trainwright import hooks
from trainwright.plugins.docs import reference

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "hooks.md").read_text(encoding="utf-8")


def test_the_committed_page_is_the_generated_one():
    assert reference() == PAGE, "run: python -m trainwright.plugins.docs > docs/hooks.md"


def test_every_hookspec_is_listed_and_of_one_kind():
    specified = {name for name in dir(hooks) if hasattr(getattr(hooks, name), "trainwright_spec")}
    assert specified == set(hooks.HOOKS)
    assert not set(hooks.SLOTS) & set(hooks.BROADCASTS)
    first = {name for name in specified if getattr(hooks, name).trainwright_spec["firstresult"]}
    assert first == set(hooks.SLOTS)


@pytest.mark.parametrize("hook", hooks.HOOKS)
def test_a_hook_is_a_heading_with_its_exact_arguments(hook):
    arguments = ", ".join(inspect.signature(getattr(hooks, hook)).parameters)
    assert PAGE.count(f"\n## {hook}({arguments})\n") == 1


@pytest.mark.parametrize("hook", hooks.HOOKS)
def test_a_hook_says_since_kind_when_and_every_argument(hook):
    body = PAGE.split(f"\n## {hook}(")[1].split("\n## ")[0]
    for section in ("Since", "Kind", "When", "Returns"):
        assert f"* **{section}:** " in body
    for argument in inspect.signature(getattr(hooks, hook)).parameters:
        assert f"* **Argument `{argument}`:** " in body


@pytest.mark.parametrize(
    "kind", [kind for kind in vars(hooks).values() if is_dataclass(kind)], ids=lambda kind: kind.__name__
)
def test_every_attribute_of_what_passes_through_is_described(kind):
    body = PAGE.split(f"\n### {kind.__name__}\n")[1].split("\n##")[0]
    for field in fields(kind):
        assert re.search(rf"^\| `{field.name}` \| `.+` \| .*\| \S.+ \|$", body, re.MULTILINE), field.name


@pytest.mark.parametrize("hook", hooks.HOOKS)
def test_a_hook_has_a_test_of_its_name(hook):
    files = [*(ROOT / "tests").rglob("test_*.py"), *(ROOT / "plugins").glob("*/tests/**/test_*.py")]
    pattern = re.compile(rf"^\s*def test_hook_{hook}", re.MULTILINE)
    assert any(pattern.search(file.read_text(encoding="utf-8")) for file in files)
