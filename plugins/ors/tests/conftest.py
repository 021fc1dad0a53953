import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent / "servers"))  # for ors_real


@pytest.fixture(scope="session")
def _running():
    """The real servers that tests of this process share, by kind, each started when first asked for."""
    from contextlib import ExitStack

    from ors_real import RealServer

    with ExitStack() as stack:
        started = {}

        def get(kind):
            if kind not in started:
                started[kind] = stack.enter_context(RealServer(kind))
            return started[kind]

        yield get


@pytest.fixture(params=["ors", "openreward"])
def real(request, _running):
    """A real server, of each kind in turn."""
    return _running(request.param)


@pytest.fixture
def ors_server(_running):
    """The server of ors-sdk."""
    return _running("ors")


@pytest.fixture
def openreward_server(_running):
    """The server of openreward."""
    return _running("openreward")
