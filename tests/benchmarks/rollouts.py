"""How long a batch of slow rollouts takes, beside TRL's own adapter in the same run.

    python tests/benchmarks/rollouts.py [--rollouts 16] [--seconds 1] [--json]

Each rollout has a set-up and three tool calls, of `--seconds` each, on a server of the SDK `openreward` that the
benchmark starts. TRL's trainer drives all of it, on a tiny model whose words are given; the trainers are made before
the clock starts. Exit code 1 when ours misses the goal.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
GOAL = 6.0  # seconds for 16 rollouts of four seconds each
CALLS = 3
OWN, PEER = "ours, TRL's trainer", "TRL's adapter"
SERVER = """
import asyncio, sys
from openreward.environments import Environment, Server, TextBlock, ToolOutput, tool

class Slow(Environment):
    @classmethod
    def list_splits(cls):
        return ["train"]

    @classmethod
    def list_tasks(cls, split):
        return [{"number": number} for number in range(64)]

    async def setup(self):
        await asyncio.sleep(float(sys.argv[2]))

    def get_prompt(self):
        return [TextBlock(text="Wait.")]

    @tool
    async def wait(self) -> ToolOutput:
        '''Wait.'''
        await asyncio.sleep(float(sys.argv[2]))
        return ToolOutput(blocks=[TextBlock(text="waited")], reward=1.0, finished=False)

Server([Slow]).run(host="127.0.0.1", port=int(sys.argv[1]))
"""


@contextmanager
def server(seconds: float) -> Iterator[str]:
    """The slow environment in a process of its own; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [sys.executable, "-c", SERVER, str(port), str(seconds)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{url}/health", timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)
        else:
            raise RuntimeError("the server did not start")
        yield url
    finally:
        process.kill()
        process.wait()


def make(kind: str, url: str, rollouts: int, folder: str) -> tuple[Any, Any]:
    """A trainer of a kind, `ours`, `ours, TRL's trainer` or `TRL's adapter`, and its data set."""
    from ors_scripted import say, trainer
    from trl import GRPOTrainer

    from trainwright.trainer.episodes import Episodes
    from trainwright_ors.spec import OrsSpec

    def script(_prompt: str, turn: int) -> str:
        return say("wait") if turn < CALLS else "done"

    sizes = {"batch": rollouts, "generations": 4}
    if kind == PEER:
        from trl.experimental.openreward import OpenRewardSpec

        os.environ["OPENREWARD_API_URL"] = os.environ["OPENREWARD_SESSION_URL"] = url
        peer = OpenRewardSpec(url, num_tasks=rollouts)
        slots = {
            "train_dataset": peer.train_dataset, "environment_factory": peer.environment_factory,
            "reward_funcs": peer.reward_funcs,
        }  # fmt: skip
        made = trainer(GRPOTrainer, script, OrsSpec(url), folder, **sizes, **slots)
        return made, peer.train_dataset
    base = GRPOTrainer if kind == OWN else type("SideBySide", (Episodes, GRPOTrainer), {})
    spec = OrsSpec(url, shuffle=False)
    return trainer(base, script, spec, folder, **sizes), spec.dataset


def measure(rollouts: int, seconds: float, peer: bool) -> dict[str, float]:
    """Wall time of a batch's rollouts with their scores, by kind, seconds."""
    kinds = ["ours", OWN, *([PEER] if peer else [])]
    taken = {}
    with server(seconds) as url, tempfile.TemporaryDirectory() as folder:
        for kind in kinds:
            trainer, dataset = make(kind, url, rollouts, folder)
            start = time.perf_counter()
            rows = dataset.__getitems__(list(range(rollouts)))  # as a data loader reads a batch
            trainer._generate_and_score_completions(rows)
            taken[kind] = time.perf_counter() - start
            rewards = {reward for row in trainer.rewards_seen for reward in row}
            if rewards != {1.0 if kind == PEER else float(CALLS)}:  # TRL's adapter keeps the last reward
                raise RuntimeError(f"{kind}: not every rollout made its {CALLS} calls: rewards {rewards}")
    return taken


def main() -> int:
    """Print the figures; return 1 where the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rollouts", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--no-peer", action="store_true", help="leave TRL's adapter out")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    sys.path.append(str(ROOT / "plugins" / "ors" / "tests" / "train"))
    taken = measure(given.rollouts, given.seconds, not given.no_peer)
    goal = GOAL * given.seconds
    if given.json:
        print(json.dumps({"seconds": taken, "goal": goal}))
    else:
        print(f"{given.rollouts} rollouts, each a set-up and {CALLS} calls of {given.seconds:g} s")
        for kind, wall in taken.items():
            print(f"  {kind:<22}{wall:6.1f} s")
        print(f"goal: ours at most {goal:g} s, {'met' if taken['ours'] <= goal else 'missed'}")
    return int(taken["ours"] > goal)


if __name__ == "__main__":
    sys.exit(main())
