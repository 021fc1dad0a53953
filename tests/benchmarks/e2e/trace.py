"""A profiler's trace, taken apart: each kernel with the operators and ranges inside which it was launched.

On a CPU, which has no kernels, an operator's own time, without that of the operators inside it, takes their place.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_RANGES = ("cpu_op", "user_annotation")
_LAUNCHES = ("cuda_runtime", "cuda_driver")
_KERNELS = ("kernel", "gpu_memcpy", "gpu_memset")
_WHOLE_STEP = "ProfilerStep"


@dataclass(frozen=True)
class Piece:
    """A kernel, or an operator's own time on a CPU.

    Attributes:
        name: Its name.
        duration: How long it took, µs.
        stack: Names of the operators and ranges around it, outermost first.
    """

    name: str
    duration: float
    stack: tuple[str, ...]


@dataclass(frozen=True)
class _Frame:
    """An operator or a range on one thread, µs."""

    name: str
    start: float
    end: float


def read_trace(file: Path) -> list[Piece]:
    """The pieces of a trace that `torch.profiler` exported."""
    events = [event for event in json.loads(file.read_bytes())["traceEvents"] if event.get("ph") == "X"]
    threads: dict[Any, list[_Frame]] = defaultdict(list)
    for event in events:
        if event.get("cat") in _RANGES and not event["name"].startswith(_WHOLE_STEP):
            threads[event["tid"]].append(_Frame(event["name"], event["ts"], event["ts"] + event["dur"]))
    for frames in threads.values():
        frames.sort(key=lambda frame: (frame.start, -frame.end))
    kernels = [event for event in events if event.get("cat") in _KERNELS]
    if not kernels:
        return [piece for frames in threads.values() for piece in _own_times(frames)]
    return _kernels(kernels, events, threads)


def _kernels(
    kernels: Sequence[dict[str, Any]], events: Sequence[dict[str, Any]], threads: dict[Any, list[_Frame]]
) -> list[Piece]:
    """Kernels, each found in its launching thread's frames by the correlation of kernel and launch."""
    launches = {e["args"]["correlation"]: e for e in events if e.get("cat") in _LAUNCHES and "correlation" in e["args"]}
    waiting: dict[Any, list[tuple[float, dict[str, Any]]]] = defaultdict(list)
    for kernel in kernels:
        launch = launches.get(kernel["args"].get("correlation"))
        thread, moment = (launch["tid"], launch["ts"]) if launch else (None, 0.0)
        waiting[thread].append((moment, kernel))
    pieces = []
    for thread, launched in waiting.items():
        launched.sort(key=lambda entry: entry[0])
        stacks = _stacks(threads.get(thread, []), [moment for moment, _ in launched])
        for (_, kernel), stack in zip(launched, stacks, strict=True):
            pieces.append(Piece(kernel["name"], kernel["dur"], stack))
    return pieces


def _stacks(frames: Sequence[_Frame], moments: Sequence[float]) -> list[tuple[str, ...]]:
    """The names of the frames around each moment; frames are sorted by start, moments ascend."""
    stacks = []
    open_frames: list[_Frame] = []
    following = 0
    for moment in moments:
        while following < len(frames) and frames[following].start <= moment:
            frame = frames[following]
            open_frames = [other for other in open_frames if other.end > frame.start]
            open_frames.append(frame)
            following += 1
        open_frames = [frame for frame in open_frames if frame.end >= moment]
        stacks.append(tuple(frame.name for frame in open_frames))
    return stacks


def _own_times(frames: Sequence[_Frame]) -> list[Piece]:
    """The frames of one thread, each without the time of the frames inside it."""
    inner: dict[int, float] = defaultdict(float)
    stacks: list[tuple[int, ...]] = []
    open_frames: list[int] = []
    for number, frame in enumerate(frames):
        open_frames = [other for other in open_frames if frames[other].end > frame.start]
        if open_frames:
            inner[open_frames[-1]] += frame.end - frame.start
        open_frames.append(number)
        stacks.append(tuple(open_frames))
    return [
        Piece(frame.name, max(frame.end - frame.start - inner[number], 0.0), _named(frames, stack))
        for number, (frame, stack) in enumerate(zip(frames, stacks, strict=True))
    ]


def _named(frames: Sequence[_Frame], stack: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(frames[number].name for number in stack)
