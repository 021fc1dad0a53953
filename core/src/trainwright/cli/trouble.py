"""What a user sees when something goes wrong: problems without a traceback, bugs with one, and the exit codes."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import typer

from trainwright.cli import INTERRUPTED
from trainwright.cli.screen import highlight, paint, rank_prefix
from trainwright.cli.verbs import WithInstalled
from trainwright.errors import TrainwrightError

HUNG_UP = 141  # 128 + SIGPIPE


class Verbs(WithInstalled):
    """The group of all verbs; turns what they raise into messages and exit codes."""

    def make_context(self, *args: Any, **extra: Any) -> Any:
        """Read the command line up to the verb; `--help` and `--version` print here."""
        with exit_codes():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Run the verb that the command line names."""
        with exit_codes():
            return super().invoke(ctx)


@contextmanager
def exit_codes() -> Iterator[None]:
    """Print what a user can mend and end with its exit code; let bugs through.

    Raises:
        typer.Exit: For a `TrainwrightError`, Ctrl-C, and a closed pipe.
    """
    try:
        yield
    except TrainwrightError as error:
        if os.environ.get("TRAINWRIGHT_TRACEBACK", "0") not in ("", "0"):
            traceback.print_exception(error)
        print(describe(error), file=sys.stderr)
        raise typer.Exit(error.exit_code) from error
    except KeyboardInterrupt as signal:
        print("interrupted", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from signal
    except BrokenPipeError as signal:
        raise typer.Exit(hang_up()) from signal


def describe(error: TrainwrightError) -> str:
    """All problems of an error as `file:line: key: message`, each remedy on a line of its own, numbered if several."""
    label = paint("error:", "red", sys.stderr)
    problems = error.problems
    if len(problems) == 1:
        return f"{rank_prefix()}{label} {highlight(str(problems[0]), sys.stderr)}"
    width = len(str(len(problems)))
    lines = [f"{rank_prefix()}{label} {len(problems)} problems"]
    for number, problem in enumerate(problems, 1):
        lines.append(f"{number:>{width}}. " + highlight(str(problem), sys.stderr).replace("\n", "\n" + " " * width))
    return "\n".join(lines)


def hang_up() -> int:
    """Stop writing to a reader that is gone (`trainwright plugins | head -1`); return the exit code."""
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)  # what is still buffered goes nowhere, so the interpreter ends without a message
    os.close(sink)
    return HUNG_UP


def report_bug(bug: Exception) -> int:
    """Print the traceback of what no user can have caused, and how to report it; return the exit code."""
    traceback.print_exception(type(bug), bug, _below_the_command_line(bug.__traceback__))
    label = paint("bug:", "red", sys.stderr)
    print(
        f"\n{rank_prefix()}{label} this is a fault in Trainwright or in a plugin, not in what you typed.\n"
        f"  {versions()}\n"
        "  → Report the traceback above with these versions, the command and the config.",
        file=sys.stderr,
    )
    return 1


def _below_the_command_line(frames: TracebackType | None) -> TracebackType | None:
    """The frames from the verb on, without typer's; all where no verb was reached."""
    found = frames
    while found is not None and found.tb_frame.f_globals.get("__name__") != "trainwright.cli.app":
        found = found.tb_next
    return found or frames


def versions() -> str:
    """The versions that a bug report needs, on one line, from installed metadata."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    found = []
    for name in ("trainwright", "trl", "transformers", "torch"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} missing")
    return ", ".join([*found, f"Python {platform.python_version()}", platform.platform(terse=True)])
