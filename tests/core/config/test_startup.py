"""Reading, checking and describing a config imports nothing heavy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from trainwright.config.fields import trl_fields

HEAVY = ("torch", "transformers", "trl", "datasets", "accelerate", "peft", "numpy", "pandas", "pyarrow")
CHECK = """
from trainwright.config.check import check_config
from trainwright.config.load import load_config
from trainwright.plugins.manager import PluginManager
config = load_config(Path(sys.argv[1]))
check_config(config, PluginManager.discover(distributions=[metadata.distribution("trainwright")]))
"""
SCHEMA = "from trainwright.config.schema import build_schema\nbuild_schema()"
RESOLVED = """
from trainwright.config.load import load_config
from trainwright.config.resolved import dump_resolved
dump_resolved(load_config(Path(sys.argv[1])))
"""


@pytest.mark.parametrize("code", [CHECK, SCHEMA, RESOLVED], ids=["check", "schema", "resolved"])
def test_nothing_heavy_is_imported(folder: Path, code: str) -> None:
    trl_fields("sft")  # the cache is warm
    config = folder / "run.yaml"
    config.write_text("model: acme/tiny\ndata: {train: train.jsonl}\ntraining: {max_steps: 3}\noutput: x\n")
    head = "import sys\nfrom importlib import metadata\nfrom pathlib import Path\n"
    tail = f"\nprint([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", head + code + tail, str(config)], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
