"""The suite passes servers that keep to the protocol, and each planted fault fails the cases that are about it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))

from ors_planted import PLANTED, environments, serving

from trainwright_ors.testing import FakeServer

CALL = ("--ors-tool", "add", "--ors-input", json.dumps({"a": 1}))


class Outcomes:
    """A pytest plugin that notes what became of each case."""

    def __init__(self):
        self.of = {}

    def pytest_runtest_logreport(self, report):
        if report.when == "call" or report.outcome != "passed":
            self.of[report.nodeid.rpartition("::")[2]] = report.outcome


BY_PACKAGE = pytest.mark.skipif(
    pytest.version_tuple < (8, 2), reason="this pytest does not find tests in a package below a folder with a dot"
)


def cases(url, *options):
    """What becomes of each case, against a server."""
    outcomes = Outcomes()
    plain = ("-q", "--no-header", "--no-summary", "--show-capture=no", "--tb=no", "--noconftest", "-c", os.devnull)
    pytest.main(
        ["--pyargs", "trainwright_ors.conformance", "-p", "no:cacheprovider", *plain, "--ors-url", url, *options],
        plugins=[outcomes],
    )
    assert len(outcomes.of) > 40
    return outcomes.of


def failed(outcomes):
    return {name for name, outcome in outcomes.items() if outcome == "failed"}


@pytest.mark.slow
@pytest.mark.parametrize("environment", ["mathenv", "slowenv", "richenv", "tasktoolenv", "terminalenv"])
def test_real_servers_pass(real, environment):
    if environment == "terminalenv" and real.kind == "ors":
        pytest.skip("ors-sdk has no terminal tools")
    call = CALL if environment == "mathenv" else ()
    outcomes = cases(real.url, "--ors-environment", environment, *call)
    assert not failed(outcomes)
    assert real.all_gone()


@pytest.mark.parametrize("generation", ["ors", "openreward"])
def test_the_fake_server_passes_and_no_session_is_left(generation):
    with FakeServer(environments(), generation=generation) as server:
        assert not failed(cases(server.url, *CALL))
        assert not server.sessions


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.name)
def test_a_fault_fails_its_cases_and_no_others(planted):
    with serving(planted) as server:
        assert failed(cases(server.url, *CALL)) == planted.found_by


def test_every_case_finds_some_fault():
    with serving() as server:
        every = set(cases(server.url, *CALL))
    assert every == set().union(*(planted.found_by for planted in PLANTED))


@BY_PACKAGE
def test_it_runs_as_its_documentation_says(tmp_path):
    with serving() as server:
        words = ["-m", "pytest", "--pyargs", "trainwright_ors.conformance", "--ors-url", server.url, *CALL]
        done = subprocess.run([sys.executable, *words], capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert done.returncode == 0, done.stdout


@BY_PACKAGE
def test_without_a_server_it_says_what_it_needs(tmp_path):
    words = ["-m", "pytest", "--pyargs", "trainwright_ors.conformance"]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert done.returncode != 0
    assert "which server? Give --ors-url" in done.stdout
