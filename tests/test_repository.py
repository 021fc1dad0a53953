"""The repository's structure: what every package has, what no file may hold, and links that lead somewhere."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PLUGINS = sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))
PACKAGES = [ROOT / "core", *PLUGINS]
LICENCE = (ROOT / "LICENSE").read_text(encoding="utf-8")


def tracked() -> list[Path]:
    """Every text file of the repository that is, or could be, committed."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git working tree")
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file() and b"\0" not in path.read_bytes()[:4096]]


def project(folder: Path) -> dict:
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def name_of(folder: Path) -> str:
    return str(folder.relative_to(ROOT))


@pytest.fixture(params=PACKAGES, ids=name_of)
def package(request):
    return request.param


def test_every_folder_of_plugins_is_a_package():
    folders = [path for path in (ROOT / "plugins").iterdir() if path.is_dir() and not path.name.startswith(".")]
    assert sorted(folders) == PLUGINS


def test_a_package_has_what_its_readers_look_for(package):
    for name in ("README.md", "CHANGELOG.md", "LICENSE"):
        assert (package / name).is_file(), name
    assert len((package / "README.md").read_text(encoding="utf-8").splitlines()) >= 10
    assert (package / "LICENSE").read_text(encoding="utf-8") == LICENCE
    assert f"## {project(package)['version']}" in (package / "CHANGELOG.md").read_text(encoding="utf-8")


def test_a_package_is_one_typed_module_named_as_its_folder(package):
    name = "trainwright" if package.name == "core" else f"trainwright-{package.name}"
    assert project(package)["name"] == name
    (module,) = (path for path in (package / "src").iterdir() if path.is_dir() and not path.name.endswith(".egg-info"))
    assert module.name == name.replace("-", "_")
    assert (module / "py.typed").is_file()


def test_the_metadata_of_a_package(package):
    metadata = project(package)
    assert metadata["license"] == "Apache-2.0"
    assert metadata["requires-python"] == ">=3.11"
    assert metadata["readme"] == "README.md"
    assert metadata["description"].endswith(".")


def test_a_package_asks_for_ranges_with_a_lower_end(package):
    metadata = project(package)
    groups = [metadata["dependencies"], *metadata.get("optional-dependencies", {}).values()]
    for requirement in (requirement for group in groups for requirement in group):
        assert ">=" in requirement, requirement
        assert "==" not in requirement, requirement


@pytest.mark.parametrize("plugin", PLUGINS, ids=name_of)
def test_plugins_never_import_each_other(plugin):
    others = {f"trainwright_{other.name.replace('-', '_')}" for other in PLUGINS if other != plugin}
    allowed = {"trainwright_ops"}
    words = "\n".join(path.read_text(encoding="utf-8") for path in plugin.rglob("src/**/*.py"))
    imported = set(re.findall(r"^\s*(?:from|import) (trainwright\w*)", words, re.MULTILINE))
    assert not imported & (others - allowed)
    if plugin.name == "ops":
        assert imported <= {"trainwright_ops"}


def test_core_imports_no_plugin_but_ops():
    words = "\n".join(path.read_text(encoding="utf-8") for path in ROOT.glob("core/src/**/*.py"))
    assert set(re.findall(r"^\s*(?:from|import) (trainwright_\w+)", words, re.MULTILINE)) <= {"trainwright_ops"}


def test_the_oldest_versions_are_the_lower_ends_of_the_ranges():
    pinned = constraints("oldest")
    metadata = project(ROOT / "core")
    groups = [metadata["dependencies"], metadata["optional-dependencies"]["testing"]]
    for requirement in (requirement for group in groups for requirement in group):
        name, lowest = re.match(r"([\w.-]+?)>=([\d.]+)", requirement).groups()
        if name not in ("torch", "trainwright-ops"):  # of torch, PyPI has no older build for CPUs
            assert (pinned[name] + ".0.0").startswith(f"{lowest}."), f"{requirement}, and oldest.txt has {pinned[name]}"


@pytest.mark.parametrize("name", ["ci", "oldest"])
def test_constraints_are_exact(name):
    assert constraints(name)["trl"] == "1.16.0"


def constraints(name: str) -> dict[str, str]:
    """Distribution → version of a file whose every line pins one."""
    lines = (ROOT / "constraints" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    pins = [re.fullmatch(r"([\w.-]+)==([\w.]+)", line) for line in lines if not line.startswith("#")]
    return {pin[1].lower().replace("_", "-"): pin[2] for pin in pins}


def test_no_file_names_a_place_on_somebody_s_machine():
    places = re.compile(r"(?<![\w.:-])/(?:home(?!/me/)|Users|root|work|mnt|workspace|opt)/\w|[A-Z]:\\Users\\")
    named = {
        f"{path.relative_to(ROOT)}:{number}"
        for path in tracked()
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if places.search(line) and path != Path(__file__)
    }
    assert not named


def test_links_between_pages_lead_somewhere():
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in tracked()
        if page.suffix == ".md"
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert not broken


def test_every_page_of_the_documentation_is_listed():
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")} - {"index.md"}
    assert pages <= set(re.findall(r"\]\(([^)]+)\)", index))
