"""What does a Dask cluster gain on this machine, what does a task cost, what would many take?

    python benchmarks/cluster.py [--rows 20000000] [--write docs/about/scale.md]

Files of logits over 10 classes are audited on a cluster of one worker process and of two, in turns
in one run, and by this process. The cost of a task is that of parts that have next to nothing in
them, less what they take in this process. From both follows what other clusters would take.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import textwrap
import time
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from turns import machine

import pandq
from pandq.engines import Local
from pandq.engines.dask import cluster
from pandq.engines.run import Run

# what pyarrow makes of a table, nearly
GROUP = 1_000_000
SMALL = 2_000
FUTURE_ROWS, FUTURE_WORKERS = 10_000_000_000, 100


def write(folder: Path, rows: int, *, files: int, group: int, k: int = 10) -> str:
    rng = np.random.default_rng(0)
    kind = pa.schema([("label", pa.int8()), ("logits", pa.list_(pa.float32(), k))])
    for i in range(files):
        with pq.ParquetWriter(folder / f"{i:03d}.parquet", kind) as writer:
            for start in range(0, rows // files, group):
                n = min(group, rows // files - start)
                x = rng.standard_normal((n, k), dtype=np.float32) * 2
                label = (x + rng.gumbel(size=x.shape)).argmax(axis=1).astype(np.int8)
                lists = pa.FixedSizeListArray.from_arrays(x.ravel(), k)
                table = pa.table({"label": label, "logits": lists}, schema=kind)
                writer.write_table(table, row_group_size=group)
    return str(folder / "*.parquet")


def passes(files: str, engine: object) -> dict[str, float]:
    """Seconds that each pass of an audit over the rows took."""
    ended: dict[str, float] = {}

    def told(done: object) -> None:
        ended[done.what] = time.monotonic() - done.began

    rows = pandq.scan(files, p="labels:label", q="logits:logits")
    pandq.audit(rows, engine=engine, progress=told)
    return {what: ended[what] for what in ("measuring", "decomposing")}


class Count:
    """The least that a Summary can be."""

    def __init__(self, n: int) -> None:
        self.n = n

    def merge(self, other: Count) -> Count:
        """Both together."""
        return Count(self.n + other.n)


def per_task(files: str, engine: object) -> float:
    """Seconds of a part with next to nothing in it."""
    rows = pandq.scan(files, p="labels:label", q="logits:logits")
    rows.parts()
    run, of = Run(engine), partial(counted, of=None)
    began = time.monotonic()
    assert run.summarise("x", rows, of, Count(0)).n == rows.n_rows
    return (time.monotonic() - began) / len(rows.parts())


def counted(chunk: object, of: None) -> Count:
    del of
    return Count(len(chunk))


def middle(found: list[float]) -> str:
    return f"{statistics.median(found):.2f} ({min(found):.2f} to {max(found):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        large, small = Path(place, "large"), Path(place, "small")
        large.mkdir()
        small.mkdir()
        files = write(large, asked.rows, files=20, group=GROUP)
        size = sum(file.stat().st_size for file in large.iterdir())
        few = write(small, SMALL * 10, files=20, group=10)
        times: dict[str, list[dict[str, float]]] = {"one": [], "two": [], "local": []}
        tasks: dict[str, list[float]] = {"one": [], "local": []}
        for turn in range(asked.rounds + 1):
            for name, workers in (("one", 1), ("two", 2)):
                with cluster(workers=workers) as engine:
                    warm = write(Path(place), 1000, files=1, group=1000) if not turn else few
                    per_task(warm, engine)
                    found = passes(files, engine)
                    if name == "one":
                        task = per_task(few, engine)
                if turn:
                    times[name].append(found)
                    tasks.get(name, []).append(task)
            found, task = passes(files, Local()), per_task(few, Local(1))
            if turn:
                times["local"].append(found)
                tasks["local"].append(task)
            print(f"round {turn}", flush=True)
    text = report(asked.rows, size, times, tasks)
    print(text)
    if asked.write is not None:
        # what another script wrote stays
        _, head, rest = asked.write.read_text(encoding="utf-8").partition(
            "\n## Answers of people\n"
        )
        asked.write.write_text(text + head + rest, encoding="utf-8")


def report(
    rows: int, size: int, times: dict[str, list[dict[str, float]]], tasks: dict[str, list[float]]
) -> str:
    """docs/about/scale.md."""

    def both(name: str) -> list[float]:
        return [sum(found.values()) for found in times[name]]

    ratio = [a / b for a, b in zip(both("one"), both("two"), strict=True)]
    near = [a / b for a, b in zip(both("one"), both("local"), strict=True)]
    overhead = statistics.median(tasks["one"]) - statistics.median(tasks["local"])
    second = statistics.median(both("one")) / 2
    rate = rows / second
    parts = FUTURE_ROWS / GROUP
    busy = GROUP / rate + overhead
    working, handing = parts * busy / FUTURE_WORKERS, parts * overhead
    worker, future = f"{FUTURE_WORKERS} workers", f"{FUTURE_ROWS:,} rows"
    blocks = [
        "# When it outgrows one machine: what was measured, and what follows",
        f"""Written by `benchmarks/cluster.py` on {machine()}: {rows:,} rows of 10 logits and a
        label in 20 parquet files ({size / 1e6:,.0f} MB), {GROUP:,} rows to a row group, so
        {rows // GROUP} tasks in each of an audit's two passes. A cluster of one worker process, one
        of two, and this process took turns in one run of {len(ratio)} rounds, after one to warm up.
        Scheduler and client share the two cores with the workers. Times are medians, with the
        range.""",
        f"""| | seconds for both passes | against one worker |
        |---|---|---|
        | Dask, one worker process | {middle(both("one"))} | 1 |
        | Dask, two worker processes | {middle(both("two"))} | {middle(ratio)} times as fast |
        | `--engine local`, all cores | {middle(both("local"))} | {middle(near)} times as fast |""",
        f"""A worker goes through {rate:,.0f} rows or {size / second / 1e6:,.0f} MB a second. A task
        costs {overhead * 1000:.1f} ms more than its part takes in this process: submitting,
        scheduling, sending and fetching, measured with {SMALL:,} tasks of ten rows each on one
        worker.""",
        f"## {worker}, {future}",
        """A model, not a measurement: n rows in row groups of g are n / g tasks; W workers take
        n / g (g / r + c) / W seconds for a pass, with r rows a second and c seconds a task from
        above; scheduler and client hand out and fetch 1 / c tasks a second at most. Reading is
        taken to be as fast as here, where the files were in memory already: with a store that
        gives each worker fewer bytes a second, that is what counts.""",
        f"""- {parts:,.0f} tasks in a pass: {working:,.0f} seconds of work for {worker}.
        - Handing out and fetching them one after the other takes {handing:,.0f} seconds, so that
          a pass takes {max(working, handing):,.0f} seconds, and an audit's two
          {2 * max(working, handing) / 60:.1f} minutes.
        - The scheduler is what limits from {busy / overhead:,.0f} workers on. With row groups of
          a quarter of the rows that is from {(busy + 3 * overhead) / 4 / overhead:,.0f} workers on,
          and an audit takes
          {2 * max(working + 3 * handing / FUTURE_WORKERS, 4 * handing) / 60:.1f} minutes.""",
    ]
    return "\n\n".join(_filled(block) for block in blocks) + "\n"


def _filled(block: str) -> str:
    """A paragraph in lines of 100 characters; tables and lists line by line."""
    lines = [line.strip() for line in block.splitlines()]
    if lines[0].startswith("|"):
        return "\n".join(lines)
    items = " ".join(lines).replace(" - ", "\n- ").split("\n")
    filled = [textwrap.fill(x, 100, subsequent_indent="  " * (x[0] == "-")) for x in items]
    return "\n".join(filled)


if __name__ == "__main__":
    main()
