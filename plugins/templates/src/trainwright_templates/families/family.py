"""What is known of a family of chat templates, and how one of its templates is recognised."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2.nodes import Node

_SPACE = re.compile(r"\s+")


@dataclass(frozen=True)
class Family:
    """A family of chat templates. What it says is verified for every conversation like anything else.

    A template belongs to it where its constant texts (what it writes, and what it compares with) hold all of `marks`
    and none of `absent`, and its statements read all of `reads`. White space, comments, line ends, the order of
    branches and the names of variables do not count.

    Attributes:
        name: As `template: {name: derived, family: …}` gives it.
        models: Whose templates these are, for people.
        marks: Constant texts that every template of the family has; white space is removed before they are sought.
        absent: Constant texts that none has.
        reads: Attributes and keys of messages that every template reads (`reasoning_content`).
        stops: Texts of the tokens that end a turn, besides what the model's generation config names.
        response: Name of the response format that its models write (`trainwright_response_formats`); None: found by
            parsing what the template renders.
        quirks: What its templates do that others do not, one sentence each.
    """

    name: str
    models: str
    marks: tuple[str, ...]
    absent: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    stops: tuple[str, ...] = ()
    response: str | None = None
    quirks: tuple[str, ...] = ()

    def recognises(self, source: str) -> bool:
        """Whether a template belongs to the family.

        Args:
            source: A Jinja template that parses.
        """
        text, names = structure(source)
        held = all(_squeeze(mark) in text for mark in self.marks) and not any(
            _squeeze(mark) in text for mark in self.absent
        )
        return held and set(self.reads) <= names


@lru_cache(maxsize=32)
def structure(source: str) -> tuple[str, frozenset[str]]:
    """A template's constant texts, without white space and apart from each other; and the attributes that it reads."""
    from jinja2 import nodes

    from trainwright_templates.render.sandbox import ChatEnvironment

    tree = ChatEnvironment(None).parse(source)
    texts = [_squeeze(text) for text in _constants(tree)]
    read = {node.attr for node in tree.find_all(nodes.Getattr)}
    read |= {node.arg.value for node in tree.find_all(nodes.Getitem) if isinstance(node.arg, nodes.Const)}
    compared = {value for node in tree.find_all(nodes.Const) if isinstance(value := node.value, str)}
    return "\0".join(text for text in texts if text), frozenset(map(str, read | compared))


def _constants(tree: Node) -> Iterator[str]:
    from jinja2 import nodes

    for node in tree.find_all((nodes.TemplateData, nodes.Const)):
        text = node.data if isinstance(node, nodes.TemplateData) else node.value  # type: ignore[attr-defined]
        if isinstance(text, str):
            yield text


def _squeeze(text: str) -> str:
    return _SPACE.sub("", text)
