"""Do the intervals cover the truth as often as they say? Simulated data of known truth.

Each case draws rows from a population whose averages are known to four digits (from two million
rows of it), makes votes or labels of them, and counts how often an interval holds the truth.

    python benchmarks/coverage.py averages    # minutes: identified quantities
    python benchmarks/coverage.py clusters    # minutes: rows in clusters of five
    python benchmarks/coverage.py bootstrap   # minutes with --sizes 500: Poisson bootstrap
    python benchmarks/coverage.py floor       # about an hour: certified floors
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

import pandq
from pandq.core.hashing import fold_of, hash_ids
from pandq.estimate.averages.means import Means
from pandq.estimate.floor.certificate import train_certificate

K = 3
VOTES = 3
CLUSTER = 5
SIZES = (500, 10_000)
POPULATION = 2_000_000


def rows_of(case: str, n: int, seed: int, *, cluster: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Draw n rows of the true distribution P and the model's Q; rows of a cluster are alike."""
    rng = np.random.default_rng([seed, sorted(CASES).index(case)])
    logits = rng.normal(size=(n, K)) * CASES[case]["spread"]
    if cluster > 1:
        shared = np.repeat(rng.normal(size=(n // cluster, K)), cluster, axis=0)
        logits = np.sqrt(0.3) * logits + np.sqrt(0.7) * CASES[case]["spread"] * shared
    if case == "heavy-tailed":
        logits *= rng.standard_t(3, size=(n, 1))
    error = rng.normal(size=(n, K)) * CASES[case]["error"]
    return softmax(logits), softmax(CASES[case]["scale"] * (logits + error))


CASES = {
    "easy": {"spread": 1.5, "error": 0.3, "scale": 1.0},
    "miscalibrated": {"spread": 1.5, "error": 0.5, "scale": 2.5},
    "near-deterministic": {"spread": 8.0, "error": 1.0, "scale": 1.0},
    "heavy-tailed": {"spread": 1.0, "error": 0.5, "scale": 1.5},
}


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def truths(case: str) -> dict[str, float]:
    p, q = rows_of(case, POPULATION, 10**6)
    views = pandq.Probs(p), pandq.Probs(q)
    top = q.argmax(axis=1)
    return {
        "cross entropy": pandq.cross_entropy(*views).mean(),
        "entropy": pandq.entropy(views[0]).mean(),
        "KL": pandq.kl_divergence(*views).mean(),
        "expected accuracy": p[np.arange(len(p)), top].mean(),
        "Brier score": pandq.brier_score(*views).mean(),
        "Brier floor": 1 - np.square(p).sum(axis=1).mean(),
    }


def averages(job: tuple[str, int, int]) -> dict[str, tuple[float, float]]:
    """Intervals of the identified quantities: from votes, and from P in full."""
    case, n, seed = job
    p, q = rows_of(case, n, seed)
    rng = np.random.default_rng(seed)
    votes = rng.multinomial(VOTES, p)
    counted = pandq.audit(pandq.Counts(votes), pandq.Probs(q), decompose=False, worst=0)
    full = pandq.audit(pandq.Probs(p), pandq.Probs(q), decompose=False, worst=0)
    agree = 1 - (votes * (votes - 1)).sum(axis=1) / (VOTES * (VOTES - 1))
    brier_floor = (
        Means.empty(("x",)).of_only(agree[:, None].astype(float)).estimate("x", level=0.95)
    )
    found = {
        "cross entropy": counted.cross_entropy,
        "entropy": full.entropy,
        "KL": full.kl,
        "expected accuracy": counted.expected_accuracy,
        "Brier score": counted.brier,
        "Brier floor": brier_floor,
    }
    return {name: (e.low, e.high) for name, e in found.items()}


def clusters(job: tuple[str, int, int]) -> dict[str, tuple[float, float]]:
    """Clusters of five rows: intervals that know of them, and what ignoring them would give."""
    case, n, seed = job
    p, q = rows_of(case, n, seed, cluster=CLUSTER)
    votes = np.random.default_rng(seed).multinomial(VOTES, p)
    views = pandq.Counts(votes), pandq.Probs(q)
    robust = pandq.audit(*views, decompose=False, worst=0, cluster=np.arange(n) // CLUSTER)
    naive = pandq.audit(*views, decompose=False, worst=0)
    return {
        "cross entropy": (robust.cross_entropy.low, robust.cross_entropy.high),
        "Brier score": (robust.brier.low, robust.brier.high),
        "cross entropy, clusters ignored": (naive.cross_entropy.low, naive.cross_entropy.high),
    }


def bootstrap(job: tuple[str, int, int]) -> dict[str, tuple[float, float]]:
    """The Poisson bootstrap of the same averages."""
    case, n, seed = job
    p, q = rows_of(case, n, seed)
    votes = np.random.default_rng(seed).multinomial(VOTES, p)
    views = pandq.Counts(votes), pandq.Probs(q)
    found = pandq.audit(*views, decompose=False, worst=0, intervals="bootstrap", seed=seed)
    return {
        "cross entropy": (found.cross_entropy.low, found.cross_entropy.high),
        "Brier score": (found.brier.low, found.brier.high),
    }


WORK = {"averages": averages, "clusters": clusters, "bootstrap": bootstrap}


def floor(job: tuple[str, int, int]) -> dict[str, tuple[float, float]]:
    """The certified interval of the mean entropy from three votes per row."""
    case, n, seed = job
    p, q = rows_of(case, n, seed)
    votes = np.random.default_rng(seed).multinomial(VOTES, p)
    halves = fold_of(hash_ids(np.arange(n), seed=seed), 2)
    bounds = np.empty((n, 2))
    for half in (0, 1):
        rows = halves == half
        certificate = train_certificate(votes[~rows], q[~rows])
        bounds[rows] = np.stack(certificate.row_bounds(votes[rows], q[rows]), axis=1)
    means = Means.empty(("low", "high")).of_only(bounds)
    return {"entropy": means.bounds("low", "high", level=0.95)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=[*WORK, "floor"])
    parser.add_argument("--sets", type=int, default=400)
    parser.add_argument("--cases", nargs="*", default=list(CASES))
    parser.add_argument("--sizes", nargs="*", type=int, default=list(SIZES))
    options = parser.parse_args()
    work = (WORK | {"floor": floor})[options.what]
    with ProcessPoolExecutor(2) as pool:
        for case in options.cases:
            truth = truths(case)
            for n in options.sizes:
                jobs = [(case, n, seed) for seed in range(options.sets)]
                results = list(pool.map(work, jobs, chunksize=5))
                for name in results[0]:
                    true = truth[name.split(",")[0]]
                    hit = np.mean([r[name][0] <= true <= r[name][1] for r in results])
                    width = np.mean([r[name][1] - r[name][0] for r in results])
                    print(
                        f"| {case} | {n:,} | {name} | {true:.4f} | {width:.4f} |"
                        f" {100 * hit:.1f} % |",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
