"""Agreement of ranks on their plugins, with two real processes over gloo."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from trainwright.plugins.agreement import agree, differences
from trainwright.plugins.manager import Fingerprint

WORKER = """
import importlib.metadata, os, sys
import torch.distributed as dist
from trainwright.errors import RunError
from trainwright.plugins import PluginManager
from trainwright.plugins.agreement import agree

dist.init_process_group("gloo")
installed = list(importlib.metadata.distributions(path=[sys.argv[1]]))
for disable in ([], ["simpo"] if dist.get_rank() == 1 else []):
    try:
        agree(PluginManager.discover(disable, environ={}, distributions=installed))
        print("agreed")
    except RunError as error:
        print(error)
dist.destroy_process_group()
"""


def run_ranks(site):
    """Run the worker as two ranks; returns the lines that each printed."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(site)],
            env=os.environ | common | {"RANK": str(rank), "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    return [rank.communicate(timeout=120)[0].splitlines() for rank in ranks]


def test_equal_ranks_agree_and_a_difference_is_raised_on_every_rank(site, install_loss):
    install_loss("acme", "simpo", "cpo")
    first, second = run_ranks(site)
    assert first == second
    agreed, difference, remedy = first
    assert agreed == "agreed"
    assert difference == "the ranks have different plugins: simpo (acme): 1.0 on rank 0, absent on rank 1"
    assert "install the same packages on every machine" in remedy


def test_one_process_alone_agrees_without_loading_anything(install, discover):
    install("acme", {"compute_loss": "simpo = acme_mod"}, acme_mod="raise KeyboardInterrupt")
    agree(discover())


@pytest.mark.parametrize(
    ("ranks", "told"),
    [
        (["1.0", "1.0"], []),
        (["1.0", "2.0", "1.0"], ["simpo (acme): 1.0 on ranks 0, 2, 2.0 on rank 1"]),
        (["1.0", None, None], ["simpo (acme): 1.0 on rank 0, absent on ranks 1, 2"]),
    ],
)
def test_differences_name_plugins_versions_and_ranks(ranks, told):
    fingerprints = [Fingerprint((("simpo", "acme", version),) if version else (), "") for version in ranks]
    assert differences(fingerprints) == told
