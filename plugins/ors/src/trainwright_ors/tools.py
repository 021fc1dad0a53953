"""The server's tools as TRL finds them: schemas verbatim, any name, nothing evaluated.

TRL lists the functions of an environment's class and takes each from an instance by its attribute. So a descriptor is a
function on the class, and on an instance a `dict` (which chat templates are shown as it is) that can be called.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from trainwright_ors.client import OrsError, Place, Toolset, ToolSpec

MAX_SCHEMA = 2**20  # characters of one tool's JSON: no model reads more
Begin = Callable[[str, Mapping[str, Any]], "Future[Any]"]


class Tool(dict[str, Any]):
    """One tool of one episode: its JSON Schema, and the call.

    Args:
        spec: The tool as the server describes it.
        begin: Starts a call by the tool's name and input.
        waits: Told before each call that is waited for, which keeps others from beginning.
    """

    def __init__(self, spec: ToolSpec, begin: Begin, waits: Callable[[], None]) -> None:
        super().__init__(schema(spec))
        self.__name__ = spec.name
        self._begin, self._waits = begin, waits

    def begin(self, /, **arguments: Any) -> Future[Any]:
        """Start a call; the result is what the model is shown.

        Args:
            **arguments: The tool's input.
        """
        return self._begin(self.__name__, arguments)

    def __call__(self, /, **arguments: Any) -> Any:
        """Call it and wait.

        Raises:
            OrsError: It failed; the text is fit to be shown to a model.
        """
        self._waits()
        return self.begin(**arguments).result()


def schema(spec: ToolSpec) -> dict[str, Any]:
    """A tool as chat templates take it; the server's schema verbatim.

    A boolean schema has no form that templates know, so `true` becomes the schema of any object, and `false` and none
    that of an empty one.
    """
    parameters: Any = spec.input_schema
    if not isinstance(parameters, Mapping):
        parameters = {"type": "object"} if parameters is True else {"type": "object", "properties": {}}
    function = {"name": spec.name, "description": spec.description, "parameters": dict(parameters)}
    return {"type": "function", "function": function}


def checked(toolset: Toolset, place: Place) -> Toolset:
    """A toolset that models can be shown.

    Raises:
        OrsError: Two tools have one name, or one has none or is too large.
    """
    seen: set[str] = set()
    for spec in toolset.tools:
        shown = repr(spec.name[:80])
        if not spec.name or spec.name in seen:
            raise OrsError(f"two tools are named {shown}" if spec.name else "a tool has no name", place)
        seen.add(spec.name)
        if (length := len(json.dumps(schema(spec)))) > MAX_SCHEMA:
            raise OrsError(f"tool {shown} has a schema of {length:,} characters; {MAX_SCHEMA:,} are the most", place)
    return toolset


class _OnClass:
    """A tool as an attribute of an environment's class."""

    def __init__(self, spec: ToolSpec) -> None:
        self._spec = spec

    def __get__(self, episode: Any, owner: type | None = None) -> Any:
        if episode is None:
            return _listed
        return Tool(self._spec, episode._begin_call, episode._waits)


def _listed() -> None:
    """Stands for a tool where TRL lists the functions of a class; never called."""


def attributes(specs: Sequence[ToolSpec]) -> dict[str, Any]:
    """The tools as attributes for a class; their names are ours, so that none shadows anything."""
    return {f"tool_{number:04d}": _OnClass(spec) for number, spec in enumerate(specs)}
