import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))  # for ors_raw


@pytest.fixture
def raw():
    """A server whose answers the test decides, running."""
    from ors_raw import Raw

    from trainwright_ors.client import close_all

    with Raw() as server:
        yield server
        close_all()
