"""What do many answers take? Whole processes on files of one row an answer, ten an item.

python benchmarks/answers.py [--items 20000 200000 2000000]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from turns import machine

EACH, PEOPLE, STEP = 10, 2000, 100_000
CLASSES = np.array(["cat", "dog", "cow", "fox"])


def write(path: Path, n_items: int) -> None:
    """Answers in any order within some thousand items, each with a model's probabilities."""
    rng = np.random.default_rng(0)
    names = ("item", "annotator", "label", *(f"prob_{x}" for x in CLASSES))
    kinds = [pa.string()] * 3 + [pa.float64()] * len(CLASSES)
    with pq.ParquetWriter(path, pa.schema(list(zip(names, kinds, strict=True)))) as writer:
        for start in range(0, n_items, STEP):
            k = min(STEP, n_items - start)
            item = np.repeat(np.arange(start, start + k), EACH)
            q = rng.dirichlet(np.ones(len(CLASSES)), k)[item - start]
            own = np.where(rng.random(k * EACH) < 0.6, item % 4, rng.integers(0, 4, k * EACH))
            who = (item * 7 + np.tile(np.arange(EACH), k) * 13) % PEOPLE
            text = [np.char.add(c, x.astype(str)) for c, x in (("im", item), ("w", who))]
            columns = [*text, CLASSES[own], *q.T]
            table = pa.table(dict(zip(names, columns, strict=True)))
            writer.write_table(table.take(pa.array(rng.permutation(k * EACH))))


def measured(words: list[str]) -> tuple[float, float, float]:
    """A process's wall time, processor time and peak of resident memory, in seconds and MiB."""
    start = time.perf_counter()
    quiet = os.open(os.devnull, os.O_WRONLY)
    to = [(os.POSIX_SPAWN_DUP2, quiet, 1), (os.POSIX_SPAWN_DUP2, quiet, 2)]
    child = os.posix_spawn(words[0], words, os.environ, file_actions=to)
    _, status, used = os.wait4(child, 0)
    os.close(quiet)
    if status:
        sys.exit(f"{' '.join(words)} ended with {status}")
    wall = time.perf_counter() - start
    return wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, nargs="+", default=[20_000, 200_000, 2_000_000])
    asked = parser.parse_args()
    print(f"{machine()}\n\n| answers | file | command | wall | processor | peak memory |")
    print("|---|---|---|---|---|---|")
    audit = ("audit", "--no-decompose", "--q", "probs:prob_*")
    with tempfile.TemporaryDirectory() as folder:
        for n in asked.items:
            file = Path(folder) / "answers.parquet"
            write(file, n)
            size = f"{n * EACH:,} | {file.stat().st_size / 1e6:.0f} MB"
            for name, *more in (("votes",), audit):
                words = [sys.executable, "-m", "pandq", name, str(file), "--layout", "long", *more]
                wall, spent, peak = measured(words)
                told = f"`{name} --layout long`"
                print(f"| {size} | {told} | {wall:.0f} s | {spent:.0f} s | {peak:,.0f} MiB |")


if __name__ == "__main__":
    main()
