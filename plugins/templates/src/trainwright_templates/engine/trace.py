"""A template that tells which message it is writing: its loops print a mark at each step that is bound to a message.

Messages are known by identity, so it does not matter how a template comes by them: slices, reversed lists, filters,
indices, namespaces. What is copied into a new dict is not recognised; the marks of leaves serve there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import Any

import jinja2
from jinja2 import nodes

from trainwright_templates.render.template import Template

ENTER, STEP, LEAVE = "trainwright_enter", "trainwright_step", "trainwright_leave"


class Tracer:
    """Follows one rendering.

    Args:
        messages: The messages, the same objects that the template gets.
        marks: A mark for each message.
        nowhere: The mark for text of no message.
    """

    def __init__(self, messages: Sequence[Mapping[str, Any]], marks: Sequence[str], nowhere: str) -> None:
        self._index = {id(message): number for number, message in enumerate(messages)}
        self._marks, self._nowhere = marks, nowhere
        self._now: int | None = None
        self._around: list[int | None] = []

    def enter(self) -> str:
        """A loop begins."""
        self._around.append(self._now)
        return ""

    def step(self, *values: Any) -> str:
        """A name is bound: the message's mark, where one is bound."""
        found = [self._index[id(value)] for value in values if id(value) in self._index]
        if not found:
            return ""
        self._now = found[0]
        return self._marks[found[0]]

    def leave(self) -> str:
        """A loop ends: what follows belongs to the message around it."""
        before, self._now = self._now, self._around.pop() if self._around else None
        if self._now == before:
            return ""
        return self._nowhere if self._now is None else self._marks[self._now]


TRACER: ContextVar[Tracer] = ContextVar("tracer of the rendering under way")


def traced(template: Template) -> jinja2.Template:
    """The template with marks at its loops' steps; render it while `TRACER` is set.

    Raises:
        TemplateError: It cannot be compiled so.
    """
    tree = template.tree()
    _instrument(tree, inside=False)
    # Filters, because the sandbox inspects each call of a function; of the context, so that none is run when compiling.
    template.environment.filters |= {ENTER: _enter, STEP: _step, LEAVE: _leave}
    return template.compile(tree)


@jinja2.pass_context
def _enter(_: Any, __: Any) -> str:
    return TRACER.get().enter()


@jinja2.pass_context
def _step(_: Any, values: tuple[Any, ...]) -> str:
    return TRACER.get().step(*values)


@jinja2.pass_context
def _leave(_: Any, __: Any) -> str:
    return TRACER.get().leave()


def _instrument(node: nodes.Node, inside: bool) -> None:
    """Add what prints marks below a node; `inside` a loop, assignments bind messages too."""
    within = inside or isinstance(node, nodes.For)
    for name in node.fields:
        value = getattr(node, name)
        if isinstance(value, nodes.Node):
            _instrument(value, within)
        elif isinstance(value, list):
            for each in value:
                if isinstance(each, nodes.Node):
                    _instrument(each, within)
            if any(isinstance(each, nodes.Stmt) for each in value):
                setattr(node, name, [added for each in value for added in _around(each, within)])
    if isinstance(node, nodes.For) and not node.recursive:
        node.body.insert(0, _printed(STEP, _names(node.target), node.lineno))


def _around(statement: nodes.Node, inside: bool) -> list[nodes.Node]:
    line = statement.lineno
    if isinstance(statement, nodes.For) and not statement.recursive:
        return [_printed(ENTER, [], line), statement, _printed(LEAVE, [], line)]
    if inside and isinstance(statement, nodes.Assign) and isinstance(statement.target, nodes.Name):
        return [statement, _printed(STEP, [statement.target.name], line)]
    return [statement]


def _names(target: nodes.Node) -> list[str]:
    return [name.name for name in ([target] if isinstance(target, nodes.Name) else target.find_all(nodes.Name))]


def _printed(event: str, names: Sequence[str], line: int) -> nodes.Output:
    values = nodes.Tuple([nodes.Name(name, "load") for name in names], "load")
    output = nodes.Output([nodes.Filter(values, event, [], [], None, None)])
    for node in (output, *output.find_all(nodes.Node)):
        node.set_lineno(line)
        node.environment = None
    return output
