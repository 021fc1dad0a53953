"""Start the server, train against it, and say what came of the reward: `python run.py [KEY.SUB=VALUE]...`."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import mean

FOLDER = Path(__file__).parent
OUTPUT = "runs/ors-local"


def main(overrides: Sequence[str]) -> int:
    """Train; return the exit code of `trainwright train`."""
    with server() as url:
        words = ["train", str(FOLDER / "config.yaml"), f"env.url={url}", f"output={OUTPUT}", *overrides]
        code = subprocess.run([sys.executable, "-m", "trainwright", *words], check=False).returncode
    if code == 0:
        given = [word.removeprefix("output=") for word in overrides if word.startswith("output=")]
        metrics = Path([OUTPUT, *given][-1]) / "metrics.jsonl"
        trained, held_out = rewards(metrics, "reward"), rewards(metrics, "eval_reward")
        quarter = max(1, len(trained) // 4)
        first, last = mean(trained[:quarter]), mean(trained[-quarter:])
        print(f"mean reward of the first quarter {first:.3f}, of the last {last:.3f}")
        if held_out:
            print(f"cities not trained on: {held_out[0]:.3f} before, {held_out[-1]:.3f} after")
    return code


@contextmanager
def server() -> Iterator[str]:
    """The environment's server in a process of its own; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [sys.executable, str(FOLDER / "server.py"), str(port)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        await_health(process, f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def await_health(process: subprocess.Popen[bytes], url: str, seconds: float = 60) -> None:
    """Wait until a server answers.

    Raises:
        RuntimeError: It ended, or took too long.
    """
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end:
        try:
            urllib.request.urlopen(f"{url}/health", timeout=5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"the server did not start; see what `python {FOLDER / 'server.py'}` says")


def rewards(metrics: Path, name: str) -> list[float]:
    """The mean rewards in a run's record, in the order of the steps: `reward` of those trained on, or `eval_reward`."""
    return [row[name] for row in map(json.loads, metrics.read_text().splitlines()) if name in row]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
