"""Is anything a third slower than a revision before? `make bench-short`, two minutes.

    python benchmarks/guard.py --before origin/main

Both trees run the same jobs in turns, each in a process of its own, so that the machine's moods and
kind cancel; the median of the rounds' ratios is what counts. Exits with 1 where a job does less
than two thirds of what it did in the same time.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path

from revision import Answers, revision
from turns import in_turns, machine, milli, ratio

SLOWER = 1.5
ROUNDS = 7
WORKER = """
import json, sys
import numpy as np
import pandq
from pandq import Counts, Labels, Logits

rng = np.random.default_rng(0)


def drawn(n, k):
    x = rng.standard_normal((n, k), dtype=np.float32) * 2
    return x, x + rng.standard_normal((n, k), dtype=np.float32)


x, y = drawn(500_000, 10)
labels = x.argmax(axis=1)
few, many = (Labels(labels), Logits(y)), tuple(map(Logits, drawn(5_000, 1_000)))
votes = Counts(rng.multinomial(3, np.exp(x[:2_000]) / np.exp(x[:2_000]).sum(1, keepdims=True)))
JOBS = {
    "labels against logits, 500,000 x 10": lambda: pandq.cross_entropy(*few),
    "logits against logits, 5,000 x 1,000": lambda: pandq.kl_divergence(*many),
    "audit, averages, 500,000 x 10": lambda: pandq.audit(*few, decompose=False),
    "whole audit, 100,000 x 10": lambda: pandq.audit(few[0][:100_000], few[1][:100_000]),
    "whole audit of three votes, 2,000 x 10": lambda: pandq.audit(votes, Logits(y[:2_000])),
}
for line in sys.stdin:
    asked = json.loads(line)
    if asked is None:
        print(json.dumps(list(JOBS)), flush=True)
    else:
        JOBS[asked]()
        print("{}", flush=True)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", required=True, help="a revision that is built and run beside")
    before = parser.parse_args().before
    print(f"{machine()}\n\n| job | now | before | now / before |\n|---|---|---|---|")
    slower = []
    with (
        tempfile.TemporaryDirectory() as folder,
        revision(before, Path(folder), WORKER) as earlier,
        Answers(WORKER) as now,
    ):
        for job in now(None):
            jobs = {"now": partial(now, job), "before": partial(earlier, job)}
            times = in_turns(jobs, ROUNDS)
            slow = ratio(times["now"], times["before"])
            print(f"| {job} | {milli(times['now'])} | {milli(times['before'])} | {slow:.2f} |")
            if slow > SLOWER:
                slower.append(job)
    if slower:
        sys.exit(f"slower by more than a third: {'; '.join(slower)}")


if __name__ == "__main__":
    main()
