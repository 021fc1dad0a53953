"""YAML 1.2 into plain values, with the line of every key. Equal keys, unknown tags and self-references are problems."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from trainwright.config.findings import dotted
from trainwright.errors import ConfigError, Problem

_TAG = "tag:yaml.org,2002:"


@dataclass
class Source:
    """What a text of YAML holds.

    Attributes:
        values: Plain values: mappings, lists, texts, numbers, booleans, None.
        places: Dotted key → `file:line`; the empty key is the text itself.
        problems: What is wrong with the text, apart from its syntax.
    """

    values: Any = None
    places: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def read_file(path: Path) -> Source:
    """Read a config file.

    Raises:
        ConfigError: Where the file is missing, not text, not YAML, empty, or no mapping.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError([Problem("no such file", str(path), "Give the path of a config file (YAML).")]) from None
    except OSError as error:
        raise ConfigError([Problem(f"cannot be read: {error.strerror}", str(path))]) from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"not text: byte 0x{data[error.start]:02x} is no UTF-8"
        raise ConfigError([Problem(message, f"{path}:{line}", "Save the file as UTF-8.")]) from None
    source = read_text(text, str(path))
    if not isinstance(source.values, dict):
        what = "the file is empty" if source.values is None else "expected `key: value` lines at the top of the file"
        remedy = "A config needs at least `model:` and `output:`."
        raise ConfigError([*source.problems, Problem(what, source.places[""], remedy)])
    return source


def read_text(text: str, name: str) -> Source:
    """Read a text of YAML; `name` stands for the file in places.

    Raises:
        ConfigError: Where it is not YAML, with line and column.
    """
    try:
        node = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        raise ConfigError([_syntax(error, name)]) from None
    except YAMLError as error:
        position = getattr(error, "position", 0)
        line = text.count("\n", 0, position if isinstance(position, int) else 0) + 1
        message = f"not YAML: {getattr(error, 'reason', error)}"
        raise ConfigError([Problem(message, f"{name}:{line}", "Remove the character.")]) from None
    source = Source(places={"": f"{name}:1"})
    if node is not None:
        source.values = _Builder(source, name).build(node, "")
    return source


def _syntax(error: MarkedYAMLError, name: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
    message = str(error.problem or error.context or error).strip()
    if "'\\t'" in message:
        remedy = "Indent with spaces; YAML does not allow tabs."
    elif "alias" in message:
        remedy = "`*` at the start of a value refers to an anchor: put the value in quotes."
    elif "single document" in str(error.context) or "another document" in message:
        remedy = "Keep one document: remove the `---` line."
    else:
        remedy = "Look for a missing colon, quote or bracket on this line or the one above."
    return Problem(f"not YAML: {message}", where, remedy)


class _Builder:
    """Turns ruamel's nodes into plain values; fills in the places and problems of a `Source`."""

    def __init__(self, source: Source, name: str) -> None:
        self.source = source
        self.name = name
        self.open: set[int] = set()
        self.constructor = YAML(typ="safe", pure=True).constructor

    def build(self, node: Node, key: str) -> Any:
        if id(node) in self.open:
            self._problem(node, key, "an anchor that holds a reference to itself", "Write the value out.")
            return None
        self.open.add(id(node))
        try:
            if isinstance(node, MappingNode):
                return self._mapping(node, key)
            if isinstance(node, SequenceNode):
                return [self._child(child, dotted(key, i)) for i, child in enumerate(node.value)]
            return self._scalar(node, key)
        finally:
            self.open.discard(id(node))

    def _child(self, node: Node, key: str, at: Node | None = None) -> Any:
        self.source.places[key] = self._place(at or node)
        return self.build(node, key)

    def _mapping(self, node: MappingNode, key: str) -> dict[str, Any]:
        values: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for name_node, value_node in node.value:
            if name_node.tag == f"{_TAG}merge":
                inherited = self.build(value_node, key)
                merged = inherited if isinstance(inherited, list) else [inherited]
                for part in merged:  # what stands here, and earlier parts, win over later ones
                    values = {**part, **values} if isinstance(part, dict) else values
                continue
            if not isinstance(name_node, ScalarNode):
                self._problem(name_node, key, "a key must be text", "Write `key: value`.")
                continue
            name = str(name_node.value)
            line = name_node.start_mark.line + 1
            if name in lines:
                message = f"key `{name}` is given twice, in lines {lines[name]} and {line}"
                self._problem(name_node, dotted(key, name), message, "Keep one of them.")
                continue
            lines[name] = line
            values[name] = self._child(value_node, dotted(key, name), name_node)
        return values

    def _scalar(self, node: Node, key: str) -> Any:
        kind = str(node.tag).removeprefix(_TAG)
        if kind in ("str", "timestamp", "value"):
            return str(node.value)
        if kind in ("null", "bool", "int", "float"):
            return getattr(self.constructor, f"construct_yaml_{kind}")(node)
        self._problem(node, key, f"unknown YAML tag `{node.tag}`", "Write plain values.")
        return None

    def _place(self, node: Node) -> str:
        return f"{self.name}:{node.start_mark.line + 1}"

    def _problem(self, node: Node, key: str, message: str, remedy: str) -> None:
        where = f"{self._place(node)}: {key}" if key else self._place(node)
        self.source.problems.append(Problem(message, where, remedy))
