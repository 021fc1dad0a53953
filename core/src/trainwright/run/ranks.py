"""What several ranks agree on, without waiting for their devices: a process group of its own on the CPUs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from trainwright.errors import RunError
from trainwright.run.files import main_process

_T = TypeVar("_T")


class Ranks:
    """Agreement among the ranks of this run; alone, every question answers itself.

    All ranks must construct one and ask the same questions in the same order.
    """

    def __init__(self) -> None:
        import torch.distributed as dist

        several = dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
        self._group: Any = dist.new_group(backend="gloo") if several else None
        self._asked: Any = None

    def any(self, flag: bool) -> bool:
        """Whether any rank says yes; waits for all."""
        return self.largest(int(flag)) > 0

    def largest(self, value: int) -> int:
        """The largest value of all ranks; waits for all."""
        if self._group is None:
            return value
        tensor, work = self._reduce(value)
        work.wait()
        return int(tensor.item())

    def any_by_now(self, flag: bool) -> bool:
        """Whether any rank said yes the last time; the same answer on all ranks, and nobody waits for this time's."""
        if self._group is None:
            return flag
        asked, self._asked = self._asked, self._reduce(int(flag))
        if asked is None:
            return False
        asked[1].wait()
        return bool(asked[0].item())

    def from_first(self, ask: Callable[[], _T]) -> _T:
        """What the first rank answers, the only one that is asked; waits for it.

        Raises:
            Exception: What the first rank met there; on the others a `RunError`.
        """
        import torch.distributed as dist

        answer: list[Any] = [None, False]
        failure: Exception | None = None
        if main_process():
            try:
                answer = [ask(), True]
            except Exception as error:
                failure = error
        if self._group is not None:
            dist.broadcast_object_list(answer, src=0, group=self._group)
        if not answer[1]:
            raise failure or RunError("the first rank has failed; its own message says why")
        result: _T = answer[0]
        return result

    def wait(self) -> None:
        """Wait until every rank is here."""
        self.any(False)

    def _reduce(self, value: int) -> tuple[Any, Any]:
        import torch
        import torch.distributed as dist

        tensor = torch.tensor([value])
        return tensor, dist.all_reduce(tensor, op=dist.ReduceOp.MAX, group=self._group, async_op=True)


def take_leave() -> None:
    """End the process group, if there is one, once every rank is done: one that merely exits may cut another off."""
    import torch.distributed as dist

    if dist.is_available() and dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()
