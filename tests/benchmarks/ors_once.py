"""Whether a tool is ever executed twice: calls to both real servers over connections that are cut at random points.

    python tests/benchmarks/ors_once.py [--calls 1000] [--seed 1] [--json]

A server of ors-sdk and one of openreward, on loopback, count how often each call was executed. Exit code 1 when one was
executed twice, a result was given for one that was not executed, or a session was left.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

TESTS = Path(__file__).parents[2] / "plugins/ors/tests"
sys.path += [str(TESTS / "servers"), str(TESTS / "client")]


def measure(kind: str, calls: int, seed: int) -> dict[str, float]:
    """What came of the calls to one server."""
    from ors_cuts import call_through_cuts
    from ors_real import RealServer

    from trainwright_ors.client import close_all

    with RealServer(kind) as server:
        begun = time.perf_counter()
        tally = call_through_cuts(server.url, calls, seed)
        taken = time.perf_counter() - begun
        close_all()
        executed = server.executions()
        return {
            "calls": calls,
            "seconds": round(taken, 1),
            "connections cut": tally.cut,
            "streams resumed": tally.resumed,
            "answered": len(tally.answered),
            "given up, outcome unknown": len(tally.unknown),
            "of these executed": len([nonce for nonce in tally.unknown if executed[nonce]]),
            "never sent": len(tally.refused),
            "executed twice": len([nonce for nonce, count in executed.items() if count > 1]),
            "answered, not executed": len(tally.answered - set(executed)),
            "never sent, yet executed": len(tally.refused & set(executed)),
            "sessions left": server.alive(),
        }


def main() -> int:
    """Print the figures of both servers; 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print JSON instead of lines")
    given = parser.parse_args()
    found = {kind: measure(kind, given.calls, given.seed) for kind in ("ors", "openreward")}
    if given.json:
        print(json.dumps(found, indent=2))
    else:
        for kind, figures in found.items():
            print(kind, *(f"  {name}: {value:,}" for name, value in figures.items()), sep="\n")
    wrong = ("executed twice", "answered, not executed", "never sent, yet executed", "sessions left")
    return int(any(figures[name] for figures in found.values() for name in wrong))


if __name__ == "__main__":
    sys.exit(main())
