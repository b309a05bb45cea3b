"""What do divergences of logits cost that are never stored, beside the matrix products alone?

    python benchmarks/linear.py

KL both ways, entropy, cross entropy and the top classes of 1,024 tokens of 1,024 numbers under two
heads of 151,936 classes: pandq.compare's measures, and those of KL(P||Q) alone. Times are of CPU;
each row is a process of its own, so that its peak of memory is its own.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
from threadpoolctl import threadpool_limits
from turns import machine

import pandq
from pandq.rows import both_ways

MIB = 1 << 20
ROUNDS = 3


def data(rows: int, width: int, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """States and two heads whose distributions are close, as a copy's are."""
    rng = np.random.default_rng(0)
    hidden = rng.standard_normal((rows, width), dtype=np.float32)
    weight = rng.standard_normal((classes, width), dtype=np.float32) * np.float32(2 / width**0.5)
    other = rng.standard_normal((classes, width), dtype=np.float32)
    other *= np.float32(0.1 / width**0.5)
    other += weight
    return hidden, weight, other


def products(hidden: np.ndarray, *weights: np.ndarray) -> Callable[[], None]:
    """The two matrix products, in memory that is used again."""
    step = max(1, (1 << 23) // len(weights[0]))
    out = np.empty((step, len(weights[0])), np.float32)

    def run() -> None:
        for start in range(0, len(hidden), step):
            some = hidden[start : start + step]
            for weight in weights:
                np.matmul(some, weight.T, out=out[: len(some)])

    return run


def job(name: str, sizes: tuple[int, int, int]) -> Callable[[], object]:
    hidden, weight, other = data(*sizes)
    if name == "the two products alone":
        return products(hidden, weight, other)
    p, q = pandq.Linear(hidden, weight), pandq.Linear(hidden, other)
    if name == "KL(P||Q)":
        return lambda: pandq.kl_divergence(p, q)
    return lambda: both_ways(p, q)


JOBS = ("the two products alone", "KL(P||Q)", "KL both ways and top classes")


def one(name: str, sizes: tuple[int, int, int]) -> None:
    """CPU seconds, wall seconds and MiB above the inputs of one job: the best of some rounds."""
    run = job(name, sizes)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cpu, wall = [], []
    for _ in range(ROUNDS):
        start, began = time.process_time(), time.perf_counter()
        run()
        cpu.append(time.process_time() - start)
        wall.append(time.perf_counter() - began)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(min(cpu), min(wall), (after - before) / 1024)


def accuracy(rows: int, width: int, classes: int) -> float:
    """The largest error of a row's KL, against products in double precision."""
    hidden, weight, other = data(rows, width, classes)
    p, q = pandq.Linear(hidden, weight), pandq.Linear(hidden, other)
    exact = [pandq.Linear(hidden.astype(np.float64), w) for w in (weight, other)]
    return float(np.abs(pandq.kl_divergence(p, q) - pandq.kl_divergence(*exact)).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1024)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--classes", type=int, default=151_936)
    parser.add_argument("--job", choices=JOBS)
    asked = parser.parse_args()
    sizes = asked.rows, asked.width, asked.classes
    if asked.job:
        with threadpool_limits(limits=1, user_api="blas"):
            one(asked.job, sizes)
        return
    print(f"{machine()}; {sizes[0]:,} rows, {sizes[1]:,} numbers a state, {sizes[2]:,} classes\n")
    print("| | CPU | times the products | wall | peak above the inputs |\n|---|---|---|---|---|")
    base = 0.0
    same = [f"--{name}={n}" for name, n in zip(("rows", "width", "classes"), sizes, strict=True)]
    for name in JOBS:
        command = [sys.executable, __file__, "--job", name, *same]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        cpu, wall, peak = map(float, told.split())
        base = base or cpu
        print(f"| {name} | {cpu:.2f} s | {cpu / base:.2f} | {wall:.2f} s | {peak:.0f} MiB |")
    print(f"\nLargest error of KL(P||Q), 64 rows: {accuracy(64, *sizes[1:]):.1e} nat.")


if __name__ == "__main__":
    main()
