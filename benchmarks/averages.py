"""What do the averages of a file cost beside reading it, and what bounds them?

    python benchmarks/averages.py

Times are of all cores (user and system), which other work beside them moves less than the clock.
"Streaming" reads the bytes of npy and feather into one buffer, "decode" is pyarrow's read of the
two columns of parquet. The second tables take one chunk apart, as it goes through the passes of one
thread: what is read of it lies where the stage before has left it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from turns import in_turns, machine, table
from whole_audit import COLUMNS, LARGE, jobs_of

import pandq
from pandq.core.kernels import build_name
from pandq.core.threads import THREADS
from pandq.estimate.averages.rowsums import extreme_rows
from pandq.estimate.firstpass import AuditSums
from pandq.read.chunks import chunk_rows, views_scan
from pandq.rows import measure_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from pandq.estimate.averages.rowsums import RowSums
    from pandq.read.chunks import Chunk
    from pandq.rows import RowMeasures

FORMATS = ("parquet", "npy", "feather")


def averages(job: dict[str, Any], threads: int | None = None) -> None:
    """The averages of a job of `whole_audit.py`."""
    os.environ.pop(THREADS, None)
    if threads is not None:
        os.environ[THREADS] = str(threads)
    pandq.audit(pandq.scan(job["files"], p=job["p"], q=job["q"]), decompose=False)


def worst(rows: RowSums, m: RowMeasures, chunk: Chunk) -> None:
    """The worst rows of a chunk and those of infinite loss."""
    finite, row = np.isfinite(m.cross_entropy), np.arange(len(chunk))
    extreme_rows(rows.worst, finite, m, row, chunk)
    extreme_rows(rows.infinite, ~finite, m, row, chunk)


def stages(folder: Path, k: int, rounds: int) -> None:
    """Where the time of one chunk goes, in one thread."""
    os.environ[THREADS] = "1"
    n = chunk_rows(k)
    files = [folder / f"npy{k}" / f"{name}.npy" for name in COLUMNS]
    arrays = [np.load(file)[:n] for file in files]
    kept = [folder / f"{name}.bin" for name in COLUMNS]
    for file, array in zip(kept, arrays, strict=True):
        array.tofile(file)
    blank = AuditSums.empty()
    rows, total = blank.rows, None
    times: dict[str, list[float]] = {}

    def timed(name: str, task: Callable[[], Any]) -> Any:
        began = time.thread_time()
        found = task()
        times.setdefault(name, []).append(time.thread_time() - began)
        return found

    for _ in range(rounds + 1):
        given = zip(kept, arrays, strict=True)
        y, x = timed("reading", lambda g=given: [np.fromfile(file, a.dtype) for file, a in g])
        views = timed("checking", lambda y=y, x=x: (pandq.Labels(y), pandq.Logits(x.reshape(n, k))))
        chunk = timed("numbering", lambda v=views: views_scan(*v).whole())
        m = timed("measures of each row", lambda c=chunk: measure_rows(c.p, c.q))
        loss = m.columns(*rows.means.losses.names), m.columns(*rows.means.others.names)
        timed("means and products", lambda x=loss: rows.means.of_only(*x))
        timed("histogram of KL", lambda m=m: rows.divergence.of_only(m.kl))
        timed("worst rows", partial(worst, rows, m, chunk))
        by_class = partial(rows.classes.of_only_by_top, chunk.p, m.p_class, *loss)
        timed("means by class", by_class)
        timed("rows that come again", lambda c=chunk, m=m: blank.seen.of_only(c, m))
        timed("frequencies", lambda c=chunk: blank.frequencies.of_only(c))
        found = blank.of_only(chunk, blank.sample)
        total = timed("merging", partial((total or found).merge, found))
    ms = {name: 1000 * statistics.median(found[1:]) for name, found in times.items()}
    whole = sum(ms.values())
    print(f"\n### one chunk, {n:,} x {k:,}\n\n| stage | ms | share |\n|---|---|---|")
    for name, found in ms.items():
        print(f"| {name} | {found:.2f} | {found / whole:.0%} |")
    print(f"| all | {whole:.2f} | 100% |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    print(f"{machine()}; build {build_name()}")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for kind in FORMATS:
            for title, job, (reading, read) in jobs_of(folder, None, kind):
                tasks: dict[str, Callable[[], object]] = {
                    reading: read,
                    "averages": partial(averages, job),
                    "averages, one thread": partial(averages, job, 1),
                }
                table(title, in_turns(tasks, rounds, time.process_time), reading)
        for _, k, _ in LARGE:
            stages(folder, k, 10 * rounds)


if __name__ == "__main__":
    main()
