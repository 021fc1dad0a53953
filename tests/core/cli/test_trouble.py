"""What is raised inside a verb becomes messages on stderr and an exit code; only bugs show a traceback."""

from __future__ import annotations

import errno
import re
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from trainwright import cli
from trainwright.cli.trouble import Verbs, describe
from trainwright.errors import ConfigError, Problem, TrainwrightError, UsageError

TWO = ConfigError(
    [
        Problem("unknown key 'trainng'", "run.yaml:4: trainng", "did you mean 'training'?"),
        Problem("must be positive", "run.yaml:7: lora.r", origin="rules"),
    ]
)


def test_what_a_template_renders_is_shown_in_colour(monkeypatch):
    shown = TrainwrightError("the mask is wrong: a ⟦b⟧ c", where="run.yaml")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "a \x1b[32m⟦b⟧\x1b[0m c" in describe(shown)
    assert "a \x1b[32m⟦b⟧\x1b[0m c" in describe(ConfigError([*shown.problems, *TWO.problems]))
    monkeypatch.setenv("NO_COLOR", "1")
    assert "a ⟦b⟧ c" in describe(shown)


@pytest.fixture
def raising():
    """Run a verb that raises what it is given."""

    def run(raised: BaseException):
        app = typer.Typer(cls=Verbs, pretty_exceptions_enable=False, rich_markup_mode=None)
        app.callback()(lambda: None)

        @app.command()
        def verb() -> None:
            print("a result")
            raise raised

        return CliRunner().invoke(app, ["verb"])

    return run


def test_a_problem_is_place_message_and_remedy_without_traceback(raising):
    result = raising(TrainwrightError("no such file", where="run.yaml:3: data.train", remedy="Check the path."))
    assert result.exit_code == 1
    assert result.stdout == "a result\n"
    assert result.stderr == "error: run.yaml:3: data.train: no such file\n  → Check the path.\n"


def test_several_problems_are_all_printed_and_numbered(raising):
    result = raising(TWO)
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "error: 2 problems",
        "1. run.yaml:4: trainng: unknown key 'trainng'",
        "   → did you mean 'training'?",
        "2. run.yaml:7: lora.r: must be positive [plugin rules]",
    ]


def test_usage_errors_exit_with_2(raising):
    assert raising(UsageError("that makes no sense")).exit_code == 2


def test_traceback_of_a_problem_on_request(raising, monkeypatch):
    monkeypatch.setenv("TRAINWRIGHT_TRACEBACK", "1")
    stderr = raising(TWO).stderr
    assert "Traceback (most recent call last)" in stderr
    assert stderr.endswith("2. run.yaml:7: lora.r: must be positive [plugin rules]\n")


def test_ctrl_c_is_one_line_and_130(raising):
    result = raising(KeyboardInterrupt())
    assert (result.exit_code, result.stderr) == (130, "interrupted\n")


def test_ranks_other_than_the_first_say_who_they_are(monkeypatch):
    assert describe(TWO).startswith("error:")
    monkeypatch.setenv("RANK", "3")
    assert describe(TWO).startswith("[rank 3] error:")


def test_a_bug_keeps_its_traceback_and_says_how_to_report_it(monkeypatch, capsys):
    def broken(*_arguments, **_keywords):
        raise ZeroDivisionError("no user can cause this")

    monkeypatch.setattr("trainwright.cli.plugins.list_plugins", broken)
    assert cli.main(["plugins"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "ZeroDivisionError: no user can cause this" in captured.err
    assert "in broken" in captured.err
    assert not re.search(r"site-packages.(click|typer)", captured.err), "the command line's library is of no use"
    assert "this is a fault in Trainwright or in a plugin" in captured.err
    assert "trainwright 0." in captured.err
    assert "Python 3." in captured.err


def test_ctrl_c_while_the_command_line_is_imported(monkeypatch, capsys):
    def interrupted(_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_run", interrupted)
    assert cli.main([]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_a_reader_that_goes_away_ends_the_command_quietly():
    command = [sys.executable, "-m", "trainwright", "--help"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()  # as `| head -0` would
        assert process.stderr.read() == ""
        assert process.wait() == 141


def test_a_full_disk_is_not_a_closed_pipe(raising):
    result = raising(OSError(errno.ENOSPC, "No space left on device"))
    assert isinstance(result.exception, OSError)
