"""How soon a split of many tasks is ready to train on, and what it adds to the process's memory.

    python tests/benchmarks/tasks.py [--json]

Both real servers, in processes of their own, offer 100,000 tasks; the client's process has imported all that it needs
before the clock starts. Exit code 1 where a goal is missed.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
SECONDS, MEGABYTES = 3.0, 150.0
READ = 64  # rows, as a trainer's first batches


def resident() -> float:
    """Resident memory of this process, MB."""
    import psutil

    return float(psutil.Process().memory_info().rss / 1e6)


def ready(url: str) -> dict[str, float]:
    """Tasks, seconds until the first rows are read, and resident memory above the start, MB."""
    import datasets  # noqa: F401  (before the clock starts)

    from trainwright_ors.spec import OrsSpec

    before, start = resident(), time.perf_counter()
    spec = OrsSpec(url, environment="bigenv", ahead=0)
    rows = spec.dataset
    first = [rows[number]["task_index"] for number in range(READ)]
    seconds = time.perf_counter() - start
    if len(set(first)) != READ:
        raise RuntimeError("tasks came twice")
    return {"tasks": len(rows), "seconds": seconds, "megabytes": resident() - before}


def measure(kind: str) -> dict[str, float]:
    """`ready` in a fresh process against one server."""
    from ors_real import RealServer

    with RealServer(kind) as server, multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(ready, (server.url,))


def main() -> int:
    """Print the figures; return 1 where a goal is missed."""
    sys.path.append(str(ROOT / "plugins" / "ors" / "tests" / "servers"))
    found = {kind: measure(kind) for kind in ("ors", "openreward")}
    if "--json" in sys.argv:
        print(json.dumps(found))
    else:
        for kind, each in found.items():
            print(f"{kind:<12}{each['tasks']:,} tasks ready in {each['seconds']:.2f} s, {each['megabytes']:+.0f} MB")
        print(f"goals: {SECONDS:g} s, {MEGABYTES:g} MB")
    return int(any(each["seconds"] > SECONDS or each["megabytes"] > MEGABYTES for each in found.values()))


if __name__ == "__main__":
    sys.exit(main())
