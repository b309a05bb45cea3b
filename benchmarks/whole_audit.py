"""What does a whole audit cost, stage by stage, beside reading its file?

    python benchmarks/whole_audit.py [CIFAR10H.parquet] [--before REVISION] [--only TEXT]

Of parquet, "decode" is pyarrow's read of the same two columns of the whole table, with nothing done
with them: in the process that audits, and alone in one that does nothing else, which finds its
memory where it left it. Of npy and feather, "streaming" reads the files' bytes into one buffer.
Every other job runs in a process of its own that has done it before: pandq on all cores, on one,
and another revision, which is built and run beside. CIFAR10H.parquet is CIFAR-10H (Peterson,
Battleday, Griffiths and Russakovsky 2019) with columns `counts` and `crossval`, also named by the
variable CIFAR10H; without it that job is left out.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import feather
from revision import Answers, revision
from turns import in_turns, machine, table

from pandq.core.kernels import build_name

if TYPE_CHECKING:
    from collections.abc import Callable

    Job = dict[str, Any]

WORKER = """
import json, sys, time
import pandq
import pyarrow.parquet as pq

for line in sys.stdin:
    job, began = json.loads(line), {}
    if "decode" in job:
        pq.read_table(job["decode"], columns=job["columns"])
        print("{}", flush=True)
        continue
    def told(done):
        began.setdefault(done.what, time.perf_counter())
    rows = pandq.scan(job["files"], p=job["p"], q=job["q"])
    what = pandq.audit if isinstance(job["q"], str) else pandq.compare
    what(rows, decompose=job["decompose"], progress=told)
    began["end"] = time.perf_counter()
    ends = [*began.values()]
    print(json.dumps({x: b - a for x, a, b in zip(began, ends, ends[1:])}), flush=True)
"""
COLUMNS = ["label", "logits"]
LARGE = ((5_000_000, 10, 500_000), (100_000, 1000, 10_000))


def write(path: Path, n: int, k: int, group: int, *, votes: int = 0) -> None:
    """Labels or votes of a truth, and two models' logits that are a little off, in parquet."""
    rng = np.random.default_rng(0)
    wide = pa.list_(pa.float32(), k)
    given = ("votes", pa.list_(pa.int16(), k)) if votes else ("label", pa.int64())
    kind = pa.schema([given, ("logits", wide), ("other", wide)])
    with pq.ParquetWriter(path, kind) as writer:
        for _ in range(0, n, group):
            x = rng.standard_normal((group, k), dtype=np.float32) * 2
            y = rng.standard_normal((group, k), dtype=np.float32) + x
            drawn = [(x + rng.gumbel(size=x.shape)).argmax(axis=1) for _ in range(max(1, votes))]
            first: Any = drawn[0]
            if votes:
                counts = sum(np.eye(k, dtype=np.int16)[label] for label in drawn)
                first = pa.FixedSizeListArray.from_arrays(counts.ravel(), k)
            lists = (pa.FixedSizeListArray.from_arrays(z.ravel(), k) for z in (x, y))
            writer.write_table(pa.table([first, *lists], schema=kind))


def streaming(files: list[str]) -> Callable[[], object]:
    buffer = bytearray(1 << 23)

    def read() -> None:
        for file in files:
            with Path(file).open("rb", buffering=0) as stream:
                while stream.readinto(buffer):
                    pass

    return read


def jobs_of(folder: Path, cifar10h: Path | None, only: str) -> list[tuple[str, Job, Any]]:
    """Each job's title, what is asked, and what reading its files is."""
    found: list[tuple[str, Job, Any]] = []

    def add(title: str, make: Callable[[], tuple[Job, Any]]) -> None:
        if only in title:
            found.append((title, *make()))

    for n, k, group in LARGE:

        def parquet(n: int = n, k: int = k, group: int = group) -> tuple[Job, Any]:
            file = str(folder / f"{k}.parquet")
            write(Path(file), n, k, group)
            alone = ("decode, alone", lambda: pq.read_table(file, columns=COLUMNS))
            return {"files": [file], "p": "labels:label", "q": "logits:logits"}, alone

        def npy(n: int = n, k: int = k, group: int = group) -> tuple[Job, Any]:
            write(folder / "x.parquet", n, k, group)
            rows = pq.read_table(folder / "x.parquet", columns=COLUMNS).combine_chunks()
            (part := folder / f"npy{k}").mkdir()
            np.save(part / "label.npy", rows["label"].to_numpy())
            np.save(part / "logits.npy", rows["logits"].chunk(0).flatten().to_numpy().reshape(n, k))
            files = [str(part / f"{name}.npy") for name in COLUMNS]
            job = {"files": files, "p": "labels:label", "q": "logits:logits"}
            return job, ("streaming", streaming(files))

        def feathered(n: int = n, k: int = k, group: int = group) -> tuple[Job, Any]:
            write(folder / "x.parquet", n, k, group)
            rows = pq.read_table(folder / "x.parquet", columns=COLUMNS)
            file = str(folder / f"{k}.feather")
            feather.write_feather(rows, file, compression="uncompressed", chunksize=group)
            job = {"files": [file], "p": "labels:label", "q": "logits:logits"}
            return job, ("streaming", streaming([file]))

        add(f"labels, {n:,} x {k:,}, parquet", parquet)
        add(f"labels, {n:,} x {k:,}, npy", npy)
        add(f"labels, {n:,} x {k:,}, feather", feathered)

    def few(n: int, k: int, votes: int) -> tuple[Job, Any]:
        file = str(folder / f"few{n}.parquet")
        write(Path(file), n, k, n, votes=votes)
        p = "counts:votes" if votes else "labels:label"
        return {"files": [file], "p": p, "q": "logits:logits"}, None

    add("three votes, 10,000 x 10", lambda: few(10_000, 10, 3))
    add("labels, 1,000 x 10", lambda: few(1_000, 10, 0))
    if cifar10h is not None:
        job = {"files": [str(cifar10h)], "p": "counts:counts", "q": "probs:crossval"}
        add("CIFAR-10H, all votes, crossval", lambda: (job, None))
    return found


def timed(
    title: str, job: Job, reading: Any, workers: dict[str, Answers | None], rounds: int
) -> None:
    """One job's tables: times in turns, and the stages of the last whole audit."""
    stages: dict[str, float] = {}

    def ask(who: Answers, job: Job) -> Callable[[], object]:
        return lambda: stages.update(who(job)) if who is workers["now"] else who(job)

    whole, averages = ({**job, "decompose": x} for x in (True, False))
    jobs: dict[str, Callable[[], object]] = {}
    parquet = reading is not None and reading[0] == "decode, alone"
    if parquet:
        jobs["decode"] = ask(workers["now"], {"decode": job["files"], "columns": COLUMNS})
    if reading is not None:
        jobs[reading[0]] = reading[1]
    jobs["averages (--no-decompose)"] = ask(workers["now"], averages)
    jobs["whole audit"] = ask(workers["now"], whole)
    jobs["whole audit, one core"] = ask(workers["one core"], whole)
    if workers["before"] is not None:
        jobs["averages, the revision before"] = ask(workers["before"], averages)
        jobs["whole audit, the revision before"] = ask(workers["before"], whole)
    if job["p"] == "labels:label":
        two = {**job, "q": [job["q"], "logits:other"]}
        if parquet:
            jobs["pandq compare, two Q"] = ask(workers["now"], {**two, "decompose": True})
    table(title, in_turns(jobs, rounds), next(iter(jobs)) if reading else "whole audit")
    stages.clear()
    jobs["whole audit"]()
    print("\n| stage | ms |\n|---|---|")
    for stage, seconds in stages.items():
        print(f"| {stage} | {1000 * seconds:.0f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cifar10h", type=Path, nargs="?", default=os.environ.get("CIFAR10H"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--before", help="a revision that is built and run beside")
    parser.add_argument("--only", default="", help="jobs whose title has this text")
    given = parser.parse_args()
    print(f"{machine()}; build {build_name()}; pyarrow {pa.__version__}")
    with ExitStack() as left:
        folder = Path(left.enter_context(tempfile.TemporaryDirectory()))
        workers = {
            "before": left.enter_context(revision(given.before, folder, WORKER)),
            "now": left.enter_context(Answers(WORKER)),
            "one core": left.enter_context(Answers(WORKER, alone=True)),
        }
        for title, job, reading in jobs_of(folder, given.cifar10h, given.only):
            timed(title, job, reading, workers, given.rounds)


if __name__ == "__main__":
    main()
