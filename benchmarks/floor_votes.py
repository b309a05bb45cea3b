"""How good is the certified floor on real votes? CIFAR-10H, thinned to a few votes per image.

    python benchmarks/floor_votes.py CIFAR10H.parquet

About 51 people voted on each of 10,000 images, which fixes the floor at 0.181 nat to about a
hundredth. From them m votes per image are drawn without replacement, and the audit is asked for
the floor with nothing but these.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pyarrow.parquet as pq

import pandq
from pandq.core.hashing import fold_of, hash_ids
from pandq.estimate.averages.means import Means
from pandq.estimate.floor.certificate import train_certificate

FLOOR = 0.181


def interval(votes: np.ndarray, q: np.ndarray, seed: int) -> tuple[float, float, float, float]:
    """Low, middle, high, and the model-based mean, as an audit makes them."""
    n = len(votes)
    halves = fold_of(hash_ids(np.arange(n), seed=seed), 2)
    rows = np.empty((n, 3))
    for half in (0, 1):
        here = halves == half
        certificate = train_certificate(votes[~here], q[~here])
        rows[here, :2] = np.stack(certificate.row_bounds(votes[here], q[here]), axis=1)
        rows[here, 2] = certificate.mixture.posterior_entropy(votes[here], q[here])
    means = Means.empty(("low", "high", "model")).of_only(rows)
    low, high = means.bounds("low", "high", level=0.95)
    return low, (means.mean("low") + means.mean("high")) / 2, high, means.mean("model")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--votes", type=int, nargs="*", default=[2, 3, 5, 10, 20])
    options = parser.parse_args()
    table = pq.read_table(options.file)
    counts, q = (np.stack(table[name].to_numpy()) for name in ("counts", "crossval"))
    plug_in = pandq.entropy(pandq.Counts(counts)).mean()
    print(f"plug-in entropy of all votes {plug_in:.4f}; the floor is taken as {FLOOR}")
    low, middle, high, _ = interval(counts.astype(np.int64), q.astype(float), 0)
    print(f"all votes: {middle:.4f} [{low:.4f}, {high:.4f}]")
    print("| votes | covered | middle off by | interval | span | model-based | plug-in |")
    print("|---|---|---|---|---|---|---|")
    for m in options.votes:
        found, plain = [], []
        for seed in range(options.seeds):
            rng = np.random.default_rng(seed)
            votes = np.array([rng.multivariate_hypergeometric(row, m) for row in counts])
            found.append(interval(votes, q.astype(float), seed))
            plain.append(pandq.entropy(pandq.Counts(votes)).mean())
        found = np.array(found)
        covered = ((found[:, 0] <= FLOOR) & (found[:, 2] >= FLOOR)).sum()
        low, middle, high, model = 100 * (found.mean(axis=0) / FLOOR - 1)
        print(
            f"| {m} | {covered}/{options.seeds} | {middle:+.1f} % | {low:+.0f}..{high:+.0f} % |"
            f" {high - low:.1f} % | {model:+.1f} % | {100 * (np.mean(plain) / FLOOR - 1):+.0f} % |",
            flush=True,
        )


if __name__ == "__main__":
    main()
