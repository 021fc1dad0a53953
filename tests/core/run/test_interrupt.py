"""Ctrl-C: the first one asks, the second one ends."""

from __future__ import annotations

import os
import signal
from types import SimpleNamespace
from typing import Any

import pytest

from trainwright.run import interrupt as module
from trainwright.run.interrupt import Interrupt
from trainwright.run.ranks import Ranks


@pytest.fixture
def trainer() -> Any:
    return SimpleNamespace(ranks=Ranks(), run=SimpleNamespace(resume_command="trainwright resume runs/first"))


def control() -> Any:
    return SimpleNamespace(should_training_stop=False, should_save=False, should_log=True, should_evaluate=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_for_a_checkpoint_and_the_end(
    number: signal.Signals, trainer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupt, flags = Interrupt(trainer), control()
    with interrupt.listening():
        interrupt.on_step_end(None, SimpleNamespace(epoch=0.5), flags)
        assert not flags.should_training_stop
        os.kill(os.getpid(), number)
        interrupt.on_step_end(None, SimpleNamespace(epoch=0.5), flags)
    assert flags.should_training_stop
    assert flags.should_save
    assert interrupt.interrupted
    assert "press Ctrl-C again" in capsys.readouterr().err
    interrupt.on_train_end(None, SimpleNamespace(global_step=7), flags)
    assert "stopped after step 7, which is saved\n  → trainwright resume runs/first" in capsys.readouterr().err


def test_a_second_signal_ends_at_once(trainer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ECHO", -1.0)
    with Interrupt(trainer).listening():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_a_launcher_that_repeats_the_signal_does_not_end_at_once(trainer: Any) -> None:
    with Interrupt(trainer).listening():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)


def test_handlers_are_put_back(trainer: Any) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Interrupt(trainer).listening():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_signal_in_the_last_step_interrupts_nothing(trainer: Any) -> None:
    interrupt, flags = Interrupt(trainer), control()
    flags.should_training_stop = True
    with interrupt.listening():
        os.kill(os.getpid(), signal.SIGINT)
        interrupt.on_step_end(None, SimpleNamespace(epoch=2.0), flags)
    assert not interrupt.interrupted


class _Busy:
    """A stream that is being written to when the signal comes."""

    def write(self, text: str) -> None:
        raise RuntimeError("reentrant call inside <_io.BufferedWriter name='<stderr>'>")

    flush = write


def test_a_signal_in_the_middle_of_a_line_is_answered_too(
    trainer: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr", _Busy())
    with Interrupt(trainer).listening():
        os.kill(os.getpid(), signal.SIGINT)
    assert "stopping after this step" in capfd.readouterr().err
