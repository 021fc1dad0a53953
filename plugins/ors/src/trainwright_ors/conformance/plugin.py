"""The suite's options and fixtures, which pytest finds by this distribution's entry point."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from trainwright_ors.conformance.probe import Probe

_HERE = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the suite's options."""
    group = parser.getgroup("ors", "conformance to the Open Reward Standard (trainwright_ors.conformance)")
    group.addoption("--ors-url", help="the server to test: its base URL")
    group.addoption("--ors-environment", help="which of its environments; by default the first that it lists")
    group.addoption("--ors-split", help="which split of tasks; by default the first that it lists")
    group.addoption("--ors-tool", help="a tool that may be called, for the cases that need one to run")
    group.addoption("--ors-input", default="{}", help="that tool's input, in JSON")
    group.addoption("--ors-api-key-env", help="the name of the environment variable that holds the key")
    group.addoption("--ors-timeout", type=float, default=120.0, help="seconds for one request, setups included")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Keep the suite out of runs that meet it by searching folders, and name no server."""
    inside = collection_path == _HERE or _HERE in collection_path.parents
    return True if inside and not config.getoption("--ors-url") and not _asked_for(config) else None


def _asked_for(config: pytest.Config) -> bool:
    return any("conformance" in argument for argument in config.invocation_params.args)


@pytest.fixture
def ors(pytestconfig: pytest.Config) -> Iterator[Probe]:
    """The server, with sessions that end with the test."""
    from trainwright_ors.conformance.probe import Probe

    url, variable = pytestconfig.getoption("--ors-url"), pytestconfig.getoption("--ors-api-key-env")
    if not url:
        raise pytest.UsageError("which server? Give --ors-url http://…")
    if variable and variable not in os.environ:
        raise pytest.UsageError(f"--ors-api-key-env names {variable}, which is not set")
    key = os.environ[variable] if variable else None
    named = pytestconfig.getoption("--ors-environment"), pytestconfig.getoption("--ors-split")
    with Probe.at(url, *named, key, pytestconfig.getoption("--ors-timeout")) as probe:
        yield probe


@pytest.fixture
def sid(ors: Probe) -> str:
    """A session for the split's first task."""
    return ors.open()


@pytest.fixture
def tool(pytestconfig: pytest.Config) -> tuple[str, dict[str, object]]:
    """A tool that may be called, and its input; the case is skipped where none was named."""
    name = pytestconfig.getoption("--ors-tool")
    if not name:
        pytest.skip("needs a tool that may be called: --ors-tool NAME --ors-input JSON")
    return name, json.loads(pytestconfig.getoption("--ors-input"))
