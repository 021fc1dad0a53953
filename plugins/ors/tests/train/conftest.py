import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))  # for ors_scripted


@pytest.fixture
def spec_of():
    """Makes specs, and closes them at the end."""
    from trainwright_ors.spec import OrsSpec

    made = []

    def make(server, environment=None, **settings):
        own = {} if environment is None else {"environment": environment}
        made.append(OrsSpec(server.url, **own, **settings))
        return made[-1]

    yield make
    for spec in made:
        spec.close()
