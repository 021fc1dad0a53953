"""The jinja2 environment of chat templates: what transformers gives them, in bounds.

A chat template is a program from the internet. It gets transformers' filters, globals and tags, and nothing else: no
loader (so `include` and `import` fail), no attributes that lead out of the sandbox, no unbounded loops or strings.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from datetime import datetime
from functools import partial
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from trainwright.errors import DataError, ModelError

STEPS = 1_000_000
"""Steps that the loops of one rendering may take together."""
SIZE = 50_000_000
"""Characters that one rendering may write, and that one operation on a text may make."""


class TemplateError(ModelError):
    """A chat template that is no template."""


class RenderError(DataError):
    """A conversation that a chat template does not render."""


class BoundError(jinja2.TemplateError):
    """A template that does more than any chat template needs."""


_TEXT = frozenset(dir(str))

_steps: ContextVar[list[int]] = ContextVar("steps of the rendering under way")


class _Generation(Extension):
    """`{% generation %}`: a block that is called, as in transformers, so that its `set` statements end with it."""

    tags = {"generation"}  # noqa: RUF012 (jinja2's own spelling)

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_called"), [], [], body).set_lineno(line)

    def _called(self, caller: Callable[[], str]) -> str:
        return caller()


class _Names(Namespace):
    """A namespace without names that begin with an underscore, as in transformers.

    The names are in a dictionary of its own, where the environment finds them without asking for attributes.
    """

    def __init__(*given: Any, **names: Any) -> None:
        object.__setattr__(given[0], "held", dict(*given[1:], **names))

    def __getattribute__(self, name: str) -> Any:
        if name == "__class__":
            return object.__getattribute__(self, name)
        try:
            return _held(self)[name]
        except KeyError:
            raise AttributeError(name) from None

    def __setitem__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            raise jinja2.exceptions.SecurityError(f"a namespace has no attribute {name!r}")
        _held(self)[name] = value

    def __repr__(self) -> str:
        return f"<Namespace {_held(self)!r}>"


def _held(names: _Names) -> dict[str, Any]:
    found: dict[str, Any] = object.__getattribute__(names, "held")
    return found


class ChatEnvironment(ImmutableSandboxedEnvironment):
    """The environment that compiles chat templates.

    Args:
        now: The time that `strftime_now` tells; default: the time at which it is asked.
    """

    intercepted_binops = frozenset(("*", "**", "%"))

    def __init__(self, now: datetime | None = None) -> None:
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols])
        self.filters |= {"tojson": _to_json, COUNTED: counted}
        for name in ("center", "indent", "wordwrap", "truncate"):
            self.filters[name] = _in_bounds(self.filters[name])
        self.globals |= {
            "raise_exception": _raise,
            "strftime_now": partial(_time, now),
            "namespace": _Names,
            "dict": dict,
        }

    def getattr(self, obj: Any, attribute: str) -> Any:
        """An attribute, as the sandbox allows it; of a namespace at once, for templates that scan the past ask most."""
        if type(obj) is _Names and not attribute.startswith("_"):
            held = _held(obj)
            return held[attribute] if attribute in held else self.undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """An item, as the sandbox allows it; at once where a text, which has no parts, is asked for one by name."""
        if type(obj) is str and type(argument) is str and argument not in _TEXT:
            return self.undefined(obj=obj, name=argument)
        return super().getitem(obj, argument)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """One of the operators that make much of little.

        Raises:
            BoundError: The result would be too large.
        """
        _check_operands(operator, left, right)
        return super().call_binop(context, operator, left, right)

    def call(self, context: Any, function: Any, /, *args: Any, **named: Any) -> Any:
        """A function or method, unless it is to make a text of a gigantic width."""
        _check_numbers([*args, *named.values()])
        return super().call(context, function, *args, **named)


COUNTED = "trainwright_counted"
"""The filter around what a loop runs over."""


def counted(values: Iterable[Any]) -> list[Any]:
    """What a loop runs over, as a list whose steps are counted.

    Raises:
        BoundError: All loops together take more than `STEPS`.
    """
    found, left = list(values), _steps.get()
    left[0] -= len(found)
    if left[0] < 0:
        raise BoundError(f"its loops take more than {STEPS:,} steps")
    return found


def count_loops(tree: nodes.Template) -> None:
    """Put `counted` around what every loop of a template runs over."""
    for loop in tree.find_all(nodes.For):
        if not loop.recursive:
            loop.iter = nodes.Filter(loop.iter, COUNTED, [], [], None, None).set_lineno(loop.lineno)


def run(compiled: jinja2.Template, variables: dict[str, Any]) -> str:
    """Render within bounds.

    Raises:
        Exception: Whatever the template raises; it is a program.
    """
    token = _steps.set([STEPS])
    try:
        parts, size = [], 0
        for part in compiled.generate(variables):
            size += len(part)
            if size > SIZE:
                raise BoundError(f"it writes more than {SIZE:,} characters")
            parts.append(part)
        return "".join(parts)
    finally:
        _steps.reset(token)


def _time(now: datetime | None, form: str) -> str:
    return (now or datetime.now()).strftime(form)


def _raise(message: str) -> None:
    raise jinja2.TemplateError(message)


def _to_json(
    value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _in_bounds(function: Callable[..., Any]) -> Callable[..., Any]:
    def checked(*args: Any, **named: Any) -> Any:
        _check_numbers([*args[1:], *named.values()])
        return function(*args, **named)

    for mark in ("jinja_pass_arg",):
        if hasattr(function, mark):
            setattr(checked, mark, getattr(function, mark))
    return checked


def _check_numbers(values: Iterable[Any]) -> None:
    if any(isinstance(value, int) and abs(value) > SIZE for value in values):
        raise BoundError("it asks for a text of a gigantic width")


def _check_operands(operator: str, left: Any, right: Any) -> None:
    for sequence, times in ((left, right), (right, left)) if operator == "*" else ():
        repeated = isinstance(sequence, (str, list, tuple)) and isinstance(times, int)
        if repeated and len(sequence) * times > SIZE:
            raise BoundError("it repeats a text too often")
    if operator == "%" and isinstance(left, str) and any(len(digits) > 7 for digits in _runs_of_digits(left)):
        raise BoundError("it asks for a text of a gigantic width")
    if operator == "**" and isinstance(right, int) and right > 64:
        raise BoundError("it raises a number to a gigantic power")


def _runs_of_digits(text: str) -> list[str]:
    return "".join(each if each.isdigit() else " " for each in text).split()
