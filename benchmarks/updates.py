"""What does an update of an Auditor cost, beside an audit of the same arrays and beside torch?

    pip install torch==2.13.0 torchmetrics
    python benchmarks/updates.py

Each job goes through the same batches of labels and float32 logits, which are in memory. The audit
has them in one array, and is whole, with all that is trained; so the loop is given its result too.
torch takes one mean of cross entropies for each batch, and torchmetrics (where it is installed)
perplexity, accuracy and the expected calibration error together, which an audit all has. The first
row of the second table is the update alone. Times are of all cores (user and system). torch has one
thread: more cost no less of that, and beside other work their waiting would be counted.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from turns import in_turns, machine, table

import pandq

SIZES = [(32, 10, 3000), (512, 10, 400), (8192, 10, 30)]
SIZES += [(32, 1000, 300), (512, 1000, 40), (8192, 1000, 4)]
SIZES += [(32, 128_256, 4), (512, 128_256, 1)]

Batches = list[tuple[np.ndarray, np.ndarray]]


def made(rows: int, k: int, n: int) -> Batches:
    rng = np.random.default_rng(0)
    return [
        (rng.integers(k, size=rows), rng.normal(size=(rows, k)).astype(np.float32))
        for _ in range(n)
    ]


def fed(batches: Batches) -> pandq.Auditor:
    auditor = pandq.Auditor()
    for y, x in batches:
        auditor.update(pandq.Labels(y), pandq.Logits(x))
    return auditor


def summed(batches: Batches) -> float:
    total = 0.0
    for y, x in batches:
        loss = torch.nn.functional.cross_entropy(torch.from_numpy(x), torch.from_numpy(y))
        total += float(loss) * len(y)
    return total


def metrics(batches: Batches, k: int) -> list[float]:
    from torchmetrics import MetricCollection
    from torchmetrics.classification import MulticlassAccuracy, MulticlassCalibrationError
    from torchmetrics.text import Perplexity

    perplexity = Perplexity()
    others = MetricCollection(
        [MulticlassAccuracy(k, average="micro"), MulticlassCalibrationError(k)]
    )
    for y, x in batches:
        labels, logits = torch.from_numpy(y), torch.from_numpy(x)
        perplexity.update(logits[None], labels[None])
        others.update(logits, labels)
    return [float(perplexity.compute()), *map(float, others.compute().values())]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    print(f"{machine()}; torch {torch.__version__}")
    for rows, k, n in SIZES:
        batches = made(rows, k, n)
        y, x = (np.concatenate(column) for column in zip(*batches, strict=True))
        jobs = {
            "audit": lambda y=y, x=x: pandq.audit(pandq.Labels(y), pandq.Logits(x)),
            "loop and result": lambda batches=batches: fed(batches).result(),
        }
        title = f"{n} batches of {rows:,} rows by {k:,} classes"
        table(title, in_turns(jobs, rounds, time.process_time), "audit")
        jobs = {
            "updates": lambda batches=batches: fed(batches),
            "torch cross entropy": lambda batches=batches: summed(batches),
        }
        try:
            import torchmetrics  # noqa: F401
        except ImportError:
            pass
        else:
            jobs["torchmetrics"] = lambda batches=batches, k=k: metrics(batches, k)
        times = in_turns(jobs, rounds, time.process_time)
        table(title, times, "updates")
        print(f"\none update: {1000 * np.median(times['updates']) / n:.3f} ms")


if __name__ == "__main__":
    main()
