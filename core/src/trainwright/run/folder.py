"""The run's folder: claimed by one run, holding everything that the run leaves behind.

runs/first/
  config.yaml      the config, resolved            manifest.json   what the result depends on
  metrics.jsonl    one object a log event          run.log         what the libraries had to say
  checkpoints/     sealed checkpoints              model/          the trained model
  answers.json     before and after                result.json     how it ended
  report.html      all of it, to read
"""

from __future__ import annotations

import contextlib
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from trainwright.errors import RunError
from trainwright.run.files import main_process

_FILES = ("config.yaml", "manifest.json", "metrics.jsonl", "run.log", "answers.json", "result.json", "report.html")
_FOLDERS = ("checkpoints", "model")
STAGING = ".partial"  # below checkpoints/: what is being written


@dataclass(frozen=True)
class RunFolder:
    """The paths of one run.

    Attributes:
        path: The folder itself.
        made: The folders that claiming it had to make, innermost first; what `discard` may remove.
    """

    path: Path
    made: tuple[Path, ...] = field(default=(), compare=False)

    @property
    def config(self) -> Path:
        """The resolved config."""
        return self.path / "config.yaml"

    @property
    def manifest(self) -> Path:
        """What the result depends on."""
        return self.path / "manifest.json"

    @property
    def metrics(self) -> Path:
        """One JSON object a log event."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        """The sealed checkpoints; `output_dir` of the TRL config."""
        return self.path / "checkpoints"

    @property
    def model(self) -> Path:
        """The trained model."""
        return self.path / "model"

    @property
    def log(self) -> Path:
        """What the libraries had to say."""
        return self.path / "run.log"

    @property
    def answers(self) -> Path:
        """The held-out questions and what the model answered before and after training."""
        return self.path / "answers.json"

    @property
    def result(self) -> Path:
        """How the run ended; written when it does."""
        return self.path / "result.json"

    @property
    def report(self) -> Path:
        """The report."""
        return self.path / "report.html"

    @property
    def resume_command(self) -> str:
        """What to type to continue the run."""
        return f"trainwright resume {shlex.quote(str(self.path))}"

    @classmethod
    def claim(cls, output: Path, config_text: str) -> RunFolder:
        """Make a folder this run's own and write `config.yaml`; ranks other than the first touch nothing.

        Of two processes that claim one folder at once, the one that creates `config.yaml` wins.

        Args:
            output: The folder; it may exist if it is empty.
            config_text: The resolved config, as YAML.

        Raises:
            RunError: The folder holds another run or foreign files, is a file, or cannot be made.
        """
        output = output.expanduser().absolute()
        if not main_process():
            return cls(output)
        try:
            _refuse_occupied(output)
            folder = cls(output, made=_make(output))
            with folder.config.open("x", encoding="utf-8") as file:
                file.write(config_text)
            for name in _FOLDERS:
                (output / name).mkdir()
        except FileExistsError:
            raise _holds_a_run(cls(output)) from None
        except OSError as error:
            raise RunError(f"the run's folder cannot be made: {error}", where="output") from error
        return folder

    @classmethod
    def open(cls, folder: Path) -> RunFolder:
        """The folder of a run that was started before.

        Raises:
            RunError: There is no run in it.
        """
        run = cls(folder.expanduser().absolute())
        if not run.path.is_dir():
            raise RunError(f"there is no folder {folder}", remedy="Name the `output:` folder of a run.")
        missing = [path.name for path in (run.config, run.manifest) if not path.is_file()]
        if missing:
            message = f"{folder} holds no run that can be resumed: {' and '.join(missing)} missing"
            remedy = "Name the `output:` folder of a run; start a new one with `trainwright train`."
            if missing == [run.manifest.name]:
                remedy = "That run was ended before it began: remove the folder, and start it again."
            raise RunError(message, remedy=remedy)
        return run

    @contextmanager
    def provisional(self) -> Iterator[Callable[[], None]]:
        """Within it, an error before the yielded function was called removes what `claim` made."""
        kept = False

        def keep() -> None:
            nonlocal kept
            kept = True

        try:
            yield keep
        except BaseException:
            if not kept:
                self.discard()
            raise

    def discard(self) -> None:
        """Remove the files of a run that never took a step and the folders that `claim` made; nobody else's."""
        if not main_process():
            return
        for name in _FILES:
            (self.path / name).unlink(missing_ok=True)
        shutil.rmtree(self.checkpoints / STAGING, ignore_errors=True)
        for folder in (*(self.path / name for name in _FOLDERS), *self.made):
            with contextlib.suppress(OSError):  # not empty: somebody else's files are in it
                folder.rmdir()


def _refuse_occupied(output: Path) -> None:
    if output.is_dir():
        names = {path.name for path in output.iterdir()}
        if names & {*_FILES, *_FOLDERS}:
            raise _holds_a_run(RunFolder(output))
        if names:
            listed = ", ".join(sorted(names)[:3]) + (", …" if len(names) > 3 else "")
            raise RunError(f"{output} is not empty ({listed})", where="output", remedy="Choose another `output:`.")
    elif output.exists() or output.is_symlink():
        raise RunError(f"{output} is not a folder", where="output", remedy="Choose another `output:`.")


def _holds_a_run(folder: RunFolder) -> RunError:
    remedy = f"Continue that run with `{folder.resume_command}`, or choose another `output:`."
    return RunError(f"{folder.path} holds another run", where="output", remedy=remedy)


def _make(output: Path) -> tuple[Path, ...]:
    """Make a folder and its parents; return those that were not there, innermost first."""
    missing = [folder for folder in (output, *output.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
    return tuple(missing)
