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
        first, last = quarters(Path([OUTPUT, *given][-1]) / "metrics.jsonl")
        print(f"mean reward of the first quarter {first:.3f}, of the last {last:.3f}")
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


def quarters(metrics: Path) -> tuple[float, float]:
    """The mean reward over the first quarter of the steps, and over the last."""
    rewards = [row["reward"] for row in map(json.loads, metrics.read_text().splitlines()) if "reward" in row]
    quarter = max(1, len(rewards) // 4)
    return mean(rewards[:quarter]), mean(rewards[-quarter:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
