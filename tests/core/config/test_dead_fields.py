"""No key of a config is read by nothing: each is read as an attribute, somewhere in core, from its section."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import trainwright
from trainwright.config.models import RunConfig
from trainwright.config.reference import _sections

CORE = Path(trainwright.__file__).parent
SECTIONS = {RunConfig: ["config"], **_sections()}
CHECKS_ONLY = ("config", "cli")
"""Packages whose reading of a key does not count: they check and print it, and do nothing with it."""

READ_BY_CHECKS = {("RunConfig", "plugins"), ("PluginsSection", "disable"), ("PluginsSection", "pin")}
"""Keys that have done their work before the run: they decide which plugins are loaded."""


def reads(folder: Path) -> set[tuple[str, str]]:
    """(name before the dot, attribute) of each attribute that is read: `self.config.lora.r` → `("lora", "r")`.

    Where a file reads `getattr(section, name)`, its texts count as names.
    """
    found = set()
    for file in folder.rglob("*.py"):
        if file.relative_to(folder).parts[0] in CHECKS_ONLY:
            continue
        nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
        texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        for node in nodes:
            match node:
                case ast.Call(func=ast.Name(id="getattr"), args=[ast.Name(id=name), ast.Name(), *_]):
                    found |= {(name, text) for text in texts}
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                owner = node.value
                name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
                found.add((name, node.attr))
    return found


READS = reads(CORE)


@pytest.mark.parametrize(
    ("model", "field"),
    [
        (model, field)
        for model in SECTIONS
        for field in model.model_fields
        if (model.__name__, field) not in READ_BY_CHECKS
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_key_is_read_by_what_does_the_work(model: type[RunConfig], field: str) -> None:
    names = {key.split(".")[-1] for key in SECTIONS[model]} | {"section", "source", "choice", model.__name__.lower()}
    assert any((name, field) in READS for name in names), f"nothing in core reads `{field}` of {model.__name__}"


def test_the_gate_sees_a_key_that_nothing_reads(tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text("def f(self): return self.config.lora.r + lora.alpha\n")
    (tmp_path / "table.py").write_text("for key in ['bias']: getattr(section, key)\n")
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "check.py").write_text("lora.dora")
    assert reads(tmp_path) == {
        ("lora", "r"),
        ("config", "lora"),
        ("self", "config"),
        ("lora", "alpha"),
        ("section", "bias"),
    }
