"""A scheduler and workers as processes of their own on loopback, and files for them to read."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

QUIET = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}


@dataclass
class Cluster:
    """Processes that a test may kill; `workers` are in the order in which they were started."""

    folder: Path
    options: tuple[str, ...] = ()
    scheduler: subprocess.Popen | None = None
    address: str = ""
    workers: list[subprocess.Popen] = field(default_factory=list)
    started: int = 0

    def start(self):
        told = self.folder / f"scheduler-{self.started}.json"
        self.started += 1
        options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-jupyter"]
        self.scheduler = _python("dask_scheduler", *options, "--scheduler-file", str(told))
        deadline = time.monotonic() + 30
        while not self.address:
            assert time.monotonic() < deadline
            time.sleep(0.05)
            if told.exists() and told.stat().st_size:
                self.address = json.loads(told.read_text())["address"]

    def add_worker(self):
        options = ["--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1"]
        options += ["--local-directory", str(self.folder / "spill"), *self.options]
        self.workers.append(_python("dask_worker", self.address, *options))

    def kill_scheduler(self):
        _kill(self.scheduler)
        for worker in self.workers:
            _kill(worker)
        self.workers.clear()
        self.address = ""

    def kill_worker(self, place=0):
        _kill(self.workers.pop(place))


def _python(module, *options):
    return subprocess.Popen(
        [sys.executable, "-m", f"distributed.cli.{module}", *options],
        env={**os.environ, **QUIET},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait()


@contextmanager
def cluster(folder, *, workers=2, options=("--no-nanny", "--memory-limit", "0")):
    found = Cluster(folder, tuple(options))
    try:
        found.start()
        for _ in range(workers):
            found.add_worker()
        yield found
    finally:
        for process in found.workers:
            process.terminate()
        for process in (*found.workers, found.scheduler):
            try:
                process.wait(timeout=5 if process in found.workers else 0.1)
            except subprocess.TimeoutExpired:
                _kill(process)


def write_votes(folder, *, files=3, rows=6000, group=1000, seed=0):
    """Files of three votes, logits, another model's logits, features and a site."""
    rng = np.random.default_rng(seed)

    def column(x):
        return pa.FixedSizeListArray.from_arrays(x.ravel(), x.shape[1])

    for i in range(files):
        z = rng.normal(size=(rows, 4))
        drawn = [np.argmax(1.5 * z + rng.gumbel(size=z.shape), axis=1) for _ in range(3)]
        table = pa.table(
            {
                "votes": column(sum(np.eye(4, dtype=np.int32)[x] for x in drawn)),
                "label": drawn[0],
                "logits": column(z),
                "other": column(z + rng.normal(0, 0.2, z.shape)),
                "x": column(z),
                "site": rng.choice(["a", "b"], rows),
            }
        )
        pq.write_table(table, folder / f"part-{i}.parquet", row_group_size=group)
    return str(folder / "part-*.parquet")
