"""How long until a command answers? Whole processes, files in the page cache.

python benchmarks/start.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from turns import in_turns, machine, table


def main() -> None:
    rng = np.random.default_rng(0)
    q = rng.dirichlet(np.ones(10), 1000)
    command = str(Path(sys.executable).with_name("pandq"))
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "preds.parquet"
        lists = pa.FixedSizeListArray.from_arrays(q.ravel(), 10)
        pq.write_table(pa.table({"label": rng.integers(0, 10, 1000), "probs": lists}), file)

        def run(*words: str) -> object:
            return subprocess.run([*words], check=True, capture_output=True)

        jobs = {
            "python -c pass": lambda: run(sys.executable, "-c", "pass"),
            "python -c 'import numpy'": lambda: run(sys.executable, "-c", "import numpy"),
            "pandq --help": lambda: run(command, "--help"),
            "pandq audit, 1,000 rows": lambda: run(command, "audit", str(file)),
        }
        table("start", in_turns(jobs, 7), "python -c pass")


if __name__ == "__main__":
    main()
