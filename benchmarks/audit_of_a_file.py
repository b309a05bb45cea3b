"""What does an audit of a parquet file cost beyond decoding it?

    python benchmarks/audit_of_a_file.py

Decoding is pyarrow's read of the same two columns, with nothing done with them: of the whole table
with all its threads, and batch by batch in constant memory, as an audit must.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from turns import in_turns, machine, table

import pandq
from pandq.core.kernels import build_name
from pandq.read.chunks import chunk_rows


def write(path: Path, n: int, k: int, group: int) -> None:
    rng = np.random.default_rng(0)
    kind = pa.schema([("label", pa.int64()), ("logits", pa.list_(pa.float32(), k))])
    with pq.ParquetWriter(path, kind) as writer:
        for _ in range(0, n, group):
            x = rng.standard_normal((group, k), dtype=np.float32) * 2
            label = (x + rng.gumbel(size=x.shape)).argmax(axis=1)
            lists = pa.FixedSizeListArray.from_arrays(x.ravel(), k)
            writer.write_table(pa.table({"label": label, "logits": lists}, schema=kind))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    print(f"{machine()}; build {build_name()}; pyarrow {pa.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        for n, k, group in ((5_000_000, 10, 500_000), (100_000, 1000, 10_000)):
            file = Path(folder) / f"{k}.parquet"
            write(file, n, k, group)

            def audit(*, decompose: bool, file: Path = file) -> object:
                rows = pandq.scan(file, p="labels:label", q="logits:logits")
                return pandq.audit(rows, decompose=decompose)

            def batches(file: Path = file, k: int = k) -> None:
                with pq.ParquetFile(file, pre_buffer=False) as stored:
                    for _ in stored.iter_batches(chunk_rows(k), columns=["label", "logits"]):
                        pass

            jobs = {
                "decode, batch by batch": batches,
                "decode": lambda file=file: pq.read_table(file, columns=["label", "logits"]),
                "audit, averages (--no-decompose)": lambda audit=audit: audit(decompose=False),
                "audit with decomposition": lambda audit=audit: audit(decompose=True),
            }
            table(f"{n:,} rows of {k:,} classes, parquet", in_turns(jobs, rounds), "decode")


if __name__ == "__main__":
    main()
