"""A head whose weight is sharded over two ranks (DTensor), as FSDP2 leaves it outside the module's own forward."""

from __future__ import annotations

from pathlib import Path

import torch.multiprocessing as mp
from ops_ranks import check


def test_gradient_of_a_sharded_weight_is_the_mean_over_ranks(tmp_path: Path):
    mp.spawn(check, (str(tmp_path / "store"),), nprocs=2)
