"""A folder is claimed by one run, and given back by one that never took a step."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from trainwright.errors import RunError
from trainwright.run.folder import RunFolder


def test_claiming_makes_the_folder_with_its_parents(tmp_path: Path) -> None:
    run = RunFolder.claim(tmp_path / "a/b/run", "method: sft\n")
    assert run.config.read_text() == "method: sft\n"
    assert run.checkpoints.is_dir()
    assert run.model.is_dir()
    assert run.made == (tmp_path / "a/b/run", tmp_path / "a/b", tmp_path / "a")


def test_an_empty_folder_may_be_there(tmp_path: Path) -> None:
    assert RunFolder.claim(tmp_path, "").made == ()


@pytest.mark.parametrize("trace", ["config.yaml", "manifest.json", "checkpoints/checkpoint-1/x", "metrics.jsonl"])
def test_a_folder_of_another_run_is_refused_with_the_command_that_continues_it(trace: str, tmp_path: Path) -> None:
    (tmp_path / trace).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / trace).write_text("mine")
    with pytest.raises(RunError, match="holds another run") as caught:
        RunFolder.claim(tmp_path, "")
    assert f"`trainwright resume {tmp_path}`" in str(caught.value)
    assert "another `output:`" in str(caught.value)
    assert (tmp_path / trace).read_text() == "mine"


def test_a_folder_with_foreign_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(RunError, match=r"is not empty \(thesis.tex\)"):
        RunFolder.claim(tmp_path, "")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("mine")
    with pytest.raises(RunError, match="is not a folder"):
        RunFolder.claim(tmp_path / "run", "")
    with pytest.raises(RunError, match="cannot be made"):
        RunFolder.claim(tmp_path / "run" / "below", "")


def test_a_path_with_a_space_is_quoted_in_the_command(tmp_path: Path) -> None:
    assert RunFolder(tmp_path / "my run").resume_command == f"trainwright resume '{tmp_path}/my run'"


def claim(output: Path, start: object, won: object) -> None:
    start.wait()  # type: ignore[attr-defined]
    try:
        RunFolder.claim(output, "")
        won.put(True)  # type: ignore[attr-defined]
    except RunError:
        won.put(False)  # type: ignore[attr-defined]


def test_of_many_claims_at_once_one_wins(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    for number in range(10):
        start, won = context.Event(), context.Queue()
        processes = [context.Process(target=claim, args=(tmp_path / str(number), start, won)) for _ in range(4)]
        for process in processes:
            process.start()
        start.set()
        outcomes = [won.get(timeout=30) for _ in processes]
        for process in processes:
            process.join()
        assert sum(outcomes) == 1


def test_another_rank_touches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    RunFolder.claim(tmp_path / "run", "").discard()
    assert not (tmp_path / "run").exists()


def test_a_run_that_never_took_a_step_leaves_nothing_behind(tmp_path: Path) -> None:
    run = RunFolder.claim(tmp_path / "runs/first", "")
    (run.checkpoints / ".partial/checkpoint-1").mkdir(parents=True)
    run.manifest.write_text("{}")
    with pytest.raises(KeyboardInterrupt), run.provisional():
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_took_a_step_keeps_its_folder(tmp_path: Path) -> None:
    run = RunFolder.claim(tmp_path / "run", "")
    provisional = run.provisional()
    provisional.__enter__()()
    assert not provisional.__exit__(KeyError, KeyError(), None)
    assert run.config.exists()


def test_giving_back_spares_what_the_user_put_there(tmp_path: Path) -> None:
    empty = tmp_path / "runs"
    empty.mkdir()
    run = RunFolder.claim(empty, "")
    (run.model / "notes.txt").write_text("mine")
    (run.path / "notes.txt").write_text("mine")
    run.discard()
    assert sorted(path.relative_to(empty).as_posix() for path in empty.rglob("*")) == [
        "model",
        "model/notes.txt",
        "notes.txt",
    ]


def test_giving_back_spares_a_folder_that_was_there_before(tmp_path: Path) -> None:
    RunFolder.claim(tmp_path, "").discard()
    assert list(tmp_path.iterdir()) == []


def test_opening_what_is_no_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="there is no folder"):
        RunFolder.open(tmp_path / "nowhere")
    with pytest.raises(RunError, match=r"holds no run that can be resumed: config.yaml and manifest.json missing"):
        RunFolder.open(tmp_path)
