"""`run.log`: what Trainwright and the libraries underneath have to say, whatever the terminal shows of it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from trainwright.run.files import main_process
from trainwright.run.scrub import scrub

LOGGERS = ("trainwright", "accelerate", "datasets", "peft", "transformers", "trl", "py.warnings")
_FORM = "%(asctime)s %(levelname)s %(name)s: %(message)s"


@contextmanager
def run_log(path: Path) -> Iterator[None]:
    """Within it, log records from INFO on and all warnings go into a file as well; the first rank's only.

    What reaches the terminal stays as it was: a logger that was set to ERROR still shows errors only.

    Args:
        path: The file; it is appended to.
    """
    if not main_process():
        yield
        return
    _let_libraries_configure_themselves()
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(_Redacting(_FORM))
    with ExitStack() as stack:
        stack.callback(handler.close)
        for name in LOGGERS:
            stack.enter_context(_also_to(handler, logging.getLogger(name)))
        stack.enter_context(_warnings_to(logging.getLogger("py.warnings")))
        yield


def _let_libraries_configure_themselves() -> None:
    """Their first import sets their loggers' levels; later it would undo what is set here."""
    import datasets
    from transformers.utils import logging as transformers_logging

    transformers_logging.get_verbosity()
    datasets.logging.get_verbosity()


class _Redacting(logging.Formatter):
    """Formats a record, tracebacks included, without the secrets in it."""

    def format(self, record: logging.LogRecord) -> str:
        return scrub(super().format(record))


@contextmanager
def _also_to(handler: logging.Handler, logger: logging.Logger) -> Iterator[None]:
    """Give a logger one more handler and let INFO through; its other handlers keep what they showed before."""
    level, propagate = logger.level, logger.propagate
    shown = logger.getEffectiveLevel()
    others = [(other, other.level) for other in logger.handlers]
    for other, own in others:
        other.setLevel(max(own, shown))
    logger.addHandler(handler)
    logger.setLevel(min(logging.INFO, shown))
    passing = _Passing(shown)
    logger.propagate = False
    if propagate:
        logger.addHandler(passing)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.removeHandler(passing)
        logger.setLevel(level)
        logger.propagate = propagate
        for other, own in others:
            other.setLevel(own)


class _Passing(logging.Handler):
    """Hands records from a level on to the root logger, as propagation would."""

    def emit(self, record: logging.LogRecord) -> None:
        root = logging.getLogger()
        last_resort = [logging.lastResort] if logging.lastResort else []
        for handler in root.handlers or last_resort:
            if record.levelno >= handler.level:
                handler.handle(record)


@contextmanager
def _warnings_to(logger: logging.Logger) -> Iterator[None]:
    """Log every warning once; show it as well where the filters in force would have shown it."""
    hidden = warnings.filters[:1] == [("ignore", None, Warning, None, 0)]
    with warnings.catch_warnings():
        if hidden:
            warnings.simplefilter("default")
        show = warnings.showwarning

        def record(message: Any, category: Any, filename: str, lineno: int, *rest: Any, **named: Any) -> None:
            logger.warning("%s:%s: %s: %s", filename, lineno, category.__name__, message)
            if not hidden:
                show(message, category, filename, lineno, *rest, **named)

        warnings.showwarning = record
        yield
