"""run.log gets what the terminal does not show, and nothing secret."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import pytest

from trainwright.run.log import run_log


def test_records_go_into_the_file_and_the_terminal_stays_as_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = logging.getLogger("trl")
    logger.setLevel(logging.ERROR)
    before = (logger.level, logger.propagate, list(logger.handlers))
    with run_log(tmp_path / "run.log"):
        logging.getLogger("trl.trainer").info("a detail")
        logging.getLogger("transformers.trainer").info("***** Running training *****")
        logging.getLogger("trl").error("a failure")
        logging.getLogger("trainwright.run").warning("hub_token=hf_abcdefghijklmnopqrst")
    text = (tmp_path / "run.log").read_text()
    for part in ("INFO trl.trainer: a detail", "Running training", "ERROR trl: a failure", "hub_token=***"):
        assert part in text
    shown = capsys.readouterr().err
    assert "a detail" not in shown
    assert "Running training" not in shown
    assert (logger.level, logger.propagate, logger.handlers) == before
    logger.setLevel(logging.NOTSET)


def test_a_traceback_is_kept_without_its_secrets(tmp_path: Path) -> None:
    with run_log(tmp_path / "run.log"):
        try:
            raise ValueError("token=abc")
        except ValueError:
            logging.getLogger("trainwright").exception("it failed")
    text = (tmp_path / "run.log").read_text()
    assert "ValueError: token=***" in text
    assert "Traceback" in text


def test_warnings_are_kept_where_the_terminal_hides_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with run_log(tmp_path / "run.log"):
            warnings.warn("mind this", UserWarning, stacklevel=1)
    assert "UserWarning: mind this" in (tmp_path / "run.log").read_text()
    assert "mind this" not in capsys.readouterr().err


def test_warnings_are_shown_too_where_the_terminal_shows_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        with run_log(tmp_path / "run.log"):
            warnings.warn("mind this", UserWarning, stacklevel=1)
    assert [str(each.message) for each in shown] == ["mind this"]
    assert "mind this" in (tmp_path / "run.log").read_text()


def test_a_second_session_goes_on_in_the_same_file(tmp_path: Path) -> None:
    for word in ("first", "second"):
        with run_log(tmp_path / "run.log"):
            logging.getLogger("trainwright").info(word)
    text = (tmp_path / "run.log").read_text()
    assert text.index("first") < text.index("second")


def test_another_rank_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    with run_log(tmp_path / "run.log"):
        logging.getLogger("trainwright").warning("x")
    assert not (tmp_path / "run.log").exists()
