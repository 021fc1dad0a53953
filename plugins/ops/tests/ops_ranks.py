"""What each of two processes does in `test_sharded.py`; a module that spawned processes can import."""

from __future__ import annotations

import torch
import torch.distributed as dist
from ops_problems import Problem, make
from torch.distributed.tensor import Shard, distribute_tensor, init_device_mesh

from trainwright_ops import linear_nll, linear_nll_reference


def of_rank(rank: int) -> Problem:
    """The same weight on each rank, other tokens."""
    problem = make(seed=rank)
    problem.weight = make().weight.detach().requires_grad_()
    return problem


def check(rank: int, store: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    mesh = init_device_mesh("cpu", (2,))
    problem = of_rank(rank)
    problem.weight = distribute_tensor(problem.weight.detach(), mesh, [Shard(0)]).requires_grad_()
    problem.run(linear_nll).loss.backward()
    gradient = problem.weight.grad.full_tensor()
    each = [torch.autograd.grad(p.run(linear_nll_reference).loss, p.weight)[0] for p in map(of_rank, range(2))]
    torch.testing.assert_close(gradient, (each[0] + each[1]) / 2)
    dist.destroy_process_group()
