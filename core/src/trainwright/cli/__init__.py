"""The command `trainwright`. Importing this package imports nothing; each verb imports what it needs when it runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence

INTERRUPTED = 130  # what a shell reports of a program that Ctrl-C ended: 128 + SIGINT


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line.

    Args:
        arguments: The words after `trainwright`; default `sys.argv[1:]`.

    Returns:
        The exit code: 0 fine, 1 the run or the config has problems (or a bug, with its traceback), 2 usage,
        130 interrupted, 141 whoever read the output closed it.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # data holds any character, a terminal's encoding may not
            stream.reconfigure(errors="backslashreplace")
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        from trainwright.cli.trouble import hang_up

        return hang_up()
    except Exception as bug:
        from trainwright.cli.trouble import report_bug

        return report_bug(bug)


def _run(arguments: Sequence[str] | None) -> int:
    from trainwright.cli.app import app

    try:
        app(arguments, prog_name="trainwright")
    except SystemExit as end:
        sys.stdout.flush()  # so that a closed pipe is met here, not while the interpreter shuts down
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0
