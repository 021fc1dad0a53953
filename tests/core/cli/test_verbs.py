"""Verbs that other distributions bring, as whole processes, with distributions that are installed for the test."""

from __future__ import annotations

import pytest

GREET = """\
import typer
from trainwright.errors import DataError

app = typer.Typer(help="Greets.")

@app.command()
def hello(name: str) -> None:
    if name == "nobody":
        raise DataError("there is nobody", where="NAME", remedy="Name somebody.")
    print(f"hello {name}")

@app.command()
def bye() -> None:
    print("bye")
"""
LOUD = "raise SystemExit('imported')"


@pytest.fixture
def bring(tmp_path):
    """Install a verb: metadata and one module; returns the `PYTHONPATH` that finds it."""

    def install(verb, code, *, distribution="acme-verbs", value=""):
        site, module = tmp_path / "site", distribution.replace("-", "_")
        info = site / f"{module}-1.0.dist-info"
        info.mkdir(parents=True)
        about = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\nSummary: Says hello.\n"
        (info / "METADATA").write_text(about)
        (info / "entry_points.txt").write_text(f"[trainwright_verbs]\n{verb} = {value or module + ':app'}\n")
        (site / f"{module}.py").write_text(code)
        return str(site)

    return install


def test_an_installed_verb_runs(command, bring):
    site = bring("greet", GREET)
    done = command("greet", "hello", "you", PYTHONPATH=site)
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello you\n", "")
    assert "Greets." in command("greet", "--help", PYTHONPATH=site).stdout


def test_its_help_is_as_that_of_other_verbs(command, bring):
    shown = command("greet", "--help", PYTHONPATH=bring("greet", GREET)).stdout
    assert shown.startswith("Usage: trainwright greet ")  # no boxes in a pipe
    assert "completion" not in shown


def test_its_errors_are_messages_and_its_usage_errors_name_it(command, bring):
    site = bring("greet", GREET)
    done = command("greet", "hello", "nobody", PYTHONPATH=site)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == ["error: NAME: there is nobody", "  → Name somebody."]
    wrong = command("greet", "hullo", PYTHONPATH=site)
    assert wrong.returncode == 2
    assert "trainwright greet" in wrong.stderr


def test_help_names_it_and_whose_it_is_without_importing_it(command, bring):
    done = command("--help", PYTHONPATH=bring("greet", LOUD), COLUMNS="120")
    assert done.returncode == 0
    (line,) = (line for line in done.stdout.splitlines() if "greet" in line)
    assert "Says hello (acme-verbs 1.0)" in line
    assert "imported" not in done.stdout + done.stderr


def test_other_verbs_do_not_import_it(command, bring):
    done = command("plugins", PYTHONPATH=bring("greet", LOUD))
    assert (done.returncode, done.stderr) == (0, "")


def test_a_verb_of_cores_name_does_not_replace_it(command, bring):
    done = command("plugins", PYTHONPATH=bring("plugins", LOUD))
    assert done.returncode == 0
    assert "trl" in done.stdout


def test_a_verb_that_two_bring_is_nobodys(command, bring):
    bring("greet", GREET)
    site = bring("greet", GREET, distribution="rival-verbs")
    done = command("greet", "bye", PYTHONPATH=site)
    assert (done.returncode, done.stdout) == (1, "")
    assert "acme-verbs 1.0" in done.stderr
    assert "rival-verbs 1.0" in done.stderr


def test_an_import_that_fails_is_told_and_traced_on_request(command, bring):
    site = bring("greet", "import a_package_that_nobody_has\n")
    done = command("greet", "bye", PYTHONPATH=site)
    assert done.returncode == 1
    assert "acme-verbs 1.0 cannot be imported: ModuleNotFoundError" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Traceback" in command("greet", "bye", PYTHONPATH=site, TRAINWRIGHT_TRACEBACK="1").stderr


def test_what_is_no_typer_app_is_refused(command, bring):
    done = command("greet", PYTHONPATH=bring("greet", "app = print"))
    assert done.returncode == 1
    assert "not a typer.Typer" in done.stderr


def test_an_unknown_verb_is_a_usage_error(command, bring):
    done = command("great", PYTHONPATH=bring("greet", LOUD))
    assert done.returncode == 2
    assert "great" in done.stderr
