"""Reward functions by reference: `module:function` or `file.py:function`."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from trainwright.config.models import RunConfig
from trainwright.config.paths import split_reward
from trainwright.config.words import suggestion
from trainwright.errors import ConfigError, Problem

Reward = Callable[..., list[float | None]]


def load_reward(reference: str, config: RunConfig) -> Reward:
    """Import a reward function.

    Args:
        reference: `module:function`, the module installed, beside the config or in the working folder; or
            `file.py:function`, the file relative to the config, then to the working folder.
        config: The run's config.

    Returns:
        The function, called as TRL calls it: `f(prompts=[...], completions=[...], **columns) -> list[float | None]`.

    Raises:
        ConfigError: Nothing can be imported from there, or it is no plain function that takes keywords.
    """
    index = config.rewards.index(reference) if reference in config.rewards else 0
    where = config.where(f"rewards.{index}")
    place, name = split_reward(reference)
    if not place or not name.isidentifier():
        raise _error(f"`{reference}` names no function", where, "Write `module:function` or `file.py:function`.")
    module = _import(place, config, where)
    if not hasattr(module, name):
        functions = [known for known, value in vars(module).items() if inspect.isroutine(value)]
        raise _error(f"`{place}` has no `{name}`", where, suggestion(name, functions))
    function = getattr(module, name)
    _check(function, reference, where)
    return function  # type: ignore[no-any-return]


def _error(message: str, where: str, remedy: str) -> ConfigError:
    return ConfigError([Problem(message, where, remedy)])


def _import(place: str, config: RunConfig, where: str) -> ModuleType:
    is_file = place.endswith(".py") or "/" in place
    file = config.resolve(place)
    if is_file and not file.is_file():
        raise _error(f"no such file: {file}", where, "Relative paths are sought beside the config, then from here.")
    try:
        with _importable(config.folder, Path.cwd()):
            return _import_file(file) if is_file else importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name and (place == error.name or place.startswith(f"{error.name}.")):
            raise _error(f"there is no module `{place}`", where, "Install it, or give its file.") from error
        remedy = f"pip install {error.name}, or mend the import."
        raise _error(f"importing `{place}` fails: {error}{_at(error)}", where, remedy) from error
    except Exception as error:  # a user's module may raise anything
        message = f"importing `{place}` fails: {type(error).__name__}: {error}{_at(error)}"
        raise _error(message, where, "Mend the module.") from error


def _at(error: Exception) -> str:
    """Where in the user's code an import failed."""
    frames = traceback.extract_tb(error.__traceback__)
    last = next((frame for frame in reversed(frames) if "importlib" not in frame.filename), None)
    return f" ({last.filename}:{last.lineno})" if last and last.filename != __file__ else ""


def _import_file(file: Path) -> ModuleType:
    """Import a file under a name of its own, once a process, so that what it defines can be pickled."""
    name = f"trainwright_reward_{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no Python file")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


@contextmanager
def _importable(*folders: Path) -> Iterator[None]:
    """Within it these folders are searched first, as by `python -m`; afterwards last, for what is imported later."""
    wanted = [str(folder) for folder in folders]
    sys.path[:0] = wanted
    try:
        yield
    finally:
        del sys.path[: len(wanted)]
        sys.path += [folder for folder in wanted if folder not in sys.path]


def _check(function: Any, reference: str, where: str) -> None:
    if inspect.isclass(function) or not callable(function) or not hasattr(function, "__name__"):
        what = "a class" if inspect.isclass(function) else f"an object of {type(function).__name__}"
        raise _error(f"`{reference}` is {what}", where, "Give a plain function; wrap the object in one.")
    kinds = {parameter.kind for parameter in inspect.signature(function).parameters.values()}
    if inspect.Parameter.VAR_KEYWORD not in kinds:
        message = f"`{reference}` does not take `**kwargs`, and TRL passes it every column of the data"
        raise _error(message, where, "Write `def f(completions, **kwargs)`.")
