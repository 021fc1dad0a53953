"""Facts about where a run happens, for its manifest: packages, hardware, git. Nothing of the environment variables."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "trainwright", "trainwright-ops", "torch", "transformers", "trl", "accelerate", "peft", "datasets", "tokenizers",
    "safetensors", "numpy",
)  # fmt: skip
"""What a result depends on besides the plugins that take part."""


def package_versions(also: Iterable[str] = ()) -> dict[str, str]:
    """Distribution → version, sorted, of those installed.

    Args:
        also: Further distributions: those of the plugins that take part.
    """
    found = {}
    for name in sorted({*PACKAGES, *also}, key=str.lower):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def hardware() -> dict[str, Any]:
    """Processor, memory and accelerators of this machine, and the number of ranks."""
    import torch

    cuda = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    properties = [torch.cuda.get_device_properties(device) for device in cuda]
    return {
        "platform": platform.platform(terse=True),
        "python": platform.python_version(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpus": [{"name": each.name, "bytes": each.total_memory} for each in properties],
        "cuda": torch.version.cuda if properties else None,
        "ranks": int(os.environ.get("WORLD_SIZE", "1")),
    }


def git_state(folder: Path) -> dict[str, Any] | None:
    """Commit and cleanliness of the git working tree that a folder is in; None where it is in none."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    changes = _git(folder, "status", "--porcelain")
    return {"commit": commit, "branch": _git(folder, "rev-parse", "--abbrev-ref", "HEAD"), "dirty": bool(changes)}


def peak_memory() -> dict[str, int]:
    """The most memory that this process has used so far, in bytes: `host` and, with a GPU, `gpu`."""
    import torch

    peak = {}
    if os.name == "posix":
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        peak["host"] = used if sys.platform == "darwin" else used * 1024
    if torch.cuda.is_available():
        peak["gpu"] = sum(torch.cuda.max_memory_allocated(device) for device in range(torch.cuda.device_count()))
    return peak


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10, check=True, encoding="utf-8"
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
