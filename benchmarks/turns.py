"""Times in turns: each competitor once a round, so that the machine's moods meet all alike."""

from __future__ import annotations

import os
import platform
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

REST = 0.1


def in_turns(
    jobs: dict[str, Callable[[], object]],
    rounds: int = 7,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Seconds of each job in each round by a clock, after one round that does not count."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(rounds + 1):
        for name, job in jobs.items():
            # thread pools go on spinning for a while after their work, and would slow the next job
            time.sleep(REST)
            start = clock()
            job()
            if turn:
                times[name].append(clock() - start)
    return times


def table(title: str, times: dict[str, list[float]], base: str) -> None:
    """A Markdown table: median seconds, and the median of each round's ratio to `base`."""
    print(f"\n### {title}\n\n| | median | times {base} (min to max) |\n|---|---|---|")
    for name, own in times.items():
        each = [a / b for a, b in zip(own, times[base], strict=True)]
        spread = f"{min(each):.2f} to {max(each):.2f}"
        print(f"| {name} | {milli(own)} | {ratio(own, times[base]):.2f} ({spread}) |")


def ratio(own: list[float], base: list[float]) -> float:
    """The median of each round's ratio."""
    return statistics.median(a / b for a, b in zip(own, base, strict=True))


def milli(seconds: list[float]) -> str:
    """The median in milliseconds."""
    return f"{1000 * statistics.median(seconds):.1f} ms"


def machine() -> str:
    """What this was measured on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if "model name" in line), "")
    wide = "AVX-512" if any("avx512f" in line for line in lines) else "no AVX-512"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    python = platform.python_version()
    return f"{model or platform.processor()}, {cores} cores, {wide}, Python {python}"
