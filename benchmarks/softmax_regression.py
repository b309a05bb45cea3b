"""How long until softmax regression is at its optimum?

    python benchmarks/softmax_regression.py [--limit 120] [--problem ill easy images text]

Every solver of scikit-learn's LogisticRegression that fits the multinomial loss, and ours, to the
same objective. A solver has arrived when its objective is within 1e-7 of the optimum, relative;
the optimum is ours at a gradient of 1e-13. Each solver gets tolerances from loose to tight, and the
loosest that arrives counts; a run is ended after --limit seconds. Runs take turns, and the median
of --rounds counts.
"""

from __future__ import annotations

import argparse
import multiprocessing
import queue
import statistics
import time
import warnings

import numpy as np
from scipy import sparse, special
from sklearn.linear_model import LogisticRegression
from turns import machine

from pandq import SoftmaxRegression

GAP = 1e-7
SOLVERS = ("lbfgs", "newton-cg", "newton-cholesky", "sag", "saga")
REFUSED: set[tuple[str, str]] = set()
TOLERANCES = (1e-3, 1e-4, 1e-5, 1e-6, 1e-8)


def ill() -> tuple[object, np.ndarray, float]:
    """Correlated columns whose scales span four decades."""
    rng = np.random.default_rng(0)
    n, d, k = 100_000, 100, 10
    mix = rng.normal(size=(d, d)) * np.logspace(0, -2, d)
    z = rng.normal(size=(n, d)) @ mix
    scales = np.logspace(-2, 2, d)
    y = (z @ rng.normal(size=(d, k)) * 0.3 + rng.gumbel(size=(n, k))).argmax(axis=1)
    return z * scales, y, 1.0


def easy() -> tuple[object, np.ndarray, float]:
    """Independent columns of one scale."""
    rng = np.random.default_rng(1)
    n, d, k = 100_000, 100, 10
    X = rng.normal(size=(n, d))
    return X, (X @ rng.normal(size=(d, k)) * 0.3 + rng.gumbel(size=(n, k))).argmax(axis=1), 1.0


def images() -> tuple[object, np.ndarray, float]:
    """As many columns as a small picture has pixels, correlated as pixels are."""
    rng = np.random.default_rng(2)
    n, side, k = 20_000, 28, 10
    near = np.exp(-np.abs(np.subtract.outer(np.arange(side), np.arange(side))) / 3)
    root = np.linalg.cholesky(near)
    noise = rng.normal(size=(n, side, side))
    X = special.expit(np.einsum("ab,nbc,dc->nad", root, noise, root, optimize=True)).reshape(n, -1)
    scores = (X - 0.5) @ rng.normal(size=(side * side, k)) * 0.5
    return X, (scores + rng.gumbel(size=(n, k))).argmax(axis=1), 1.0


def text() -> tuple[object, np.ndarray, float]:
    """Sparse rows of about 60 words out of 50,000, with the frequencies of a language."""
    rng = np.random.default_rng(3)
    n, d, k = 20_000, 50_000, 5
    share = 1.0 / np.arange(1, d + 1)
    words = rng.choice(d, size=(n, 60), p=share / share.sum())
    rows = np.repeat(np.arange(n), 60)
    X = sparse.csr_array((np.ones(n * 60), (rows, words.ravel())), shape=(n, d))
    # all of scikit-learn's solvers take these
    X.indices, X.indptr = X.indices.astype(np.int32), X.indptr.astype(np.int32)
    X.data = np.log1p(X.data) / 7
    scores = X @ (rng.normal(size=(d, k)) * 2)
    return X, (scores + rng.gumbel(size=(n, k))).argmax(axis=1), 1.0


PROBLEMS = {"ill": ill, "easy": easy, "images": images, "text": text}


def objective(
    X: object, y: np.ndarray, l2: float, coef: np.ndarray, intercept: np.ndarray
) -> float:
    z = X @ coef.T + intercept
    loss = special.logsumexp(z, axis=1) - z[np.arange(len(y)), y]
    return float(loss.mean() + l2 / 2 * np.square(coef).sum() / len(y))


def one(solver: str, tolerance: float, name: str, out: multiprocessing.Queue) -> None:
    warnings.simplefilter("ignore")
    X, y, l2 = PROBLEMS[name]()
    if solver == "pandq":
        model = SoftmaxRegression(l2=l2, tol=tolerance, objective="cross_entropy")
    else:
        model = LogisticRegression(C=1 / l2, solver=solver, tol=tolerance, max_iter=100_000)
    start = time.perf_counter()
    model.fit(X, y)
    seconds = time.perf_counter() - start
    out.put((seconds, objective(X, y, l2, model.coef_, model.intercept_)))


def timed(solver: str, tolerance: float, name: str, limit: float) -> tuple[float, float] | None:
    """Seconds and objective in a process of its own, or None if it took too long or failed."""
    out: multiprocessing.Queue = multiprocessing.Queue()
    process = multiprocessing.Process(target=one, args=(solver, tolerance, name, out))
    process.start()
    try:
        return out.get(timeout=limit)
    except queue.Empty:
        if process.exitcode:
            REFUSED.add((solver, name))  # it raised, as for want of memory
        return None
    finally:
        process.terminate()
        process.join()


def arriving(solver: str, name: str, optimum: float, limit: float) -> float | None:
    """The loosest tolerance with which a solver arrives, or None."""
    for tolerance in (1e-4, 1e-5, 1e-6, 1e-8, 1e-10) if solver == "pandq" else TOLERANCES:
        found = timed(solver, tolerance, name, limit)
        if found is None:
            return None
        if found[1] - optimum <= GAP * optimum:
            return tolerance
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=float, default=120)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--problem", nargs="+", default=list(PROBLEMS), choices=list(PROBLEMS))
    options = parser.parse_args()
    print(machine())
    for name in options.problem:
        best = timed("pandq", 1e-13, name, options.limit)
        if best is None:
            print(f"\n{name}: no optimum within {options.limit:g} s")
            continue
        found = {s: arriving(s, name, best[1], options.limit) for s in ("pandq", *SOLVERS)}
        chosen = {solver: tolerance for solver, tolerance in found.items() if tolerance}
        times: dict[str, list[float]] = {solver: [] for solver in chosen}
        for _ in range(options.rounds):
            for solver, tolerance in chosen.items():
                run = timed(solver, tolerance, name, options.limit)
                times[solver].append(float("inf") if run is None else run[0])
        print(
            f"\n### {name}: {PROBLEMS[name].__doc__}\n\n| | median | times pandq |\n|---|---|---|"
        )
        for solver in ("pandq", *SOLVERS):
            if solver not in chosen:
                why = f"not within {options.limit:g} s"
                why = "fails: too little memory" if (solver, name) in REFUSED else why
                print(f"| {solver} | {why} | |")
                continue
            ratio = statistics.median(
                a / b for a, b in zip(times[solver], times["pandq"], strict=True)
            )
            median = statistics.median(times[solver])
            print(f"| {solver}, tol {chosen[solver]:g} | {median:.2f} s | {ratio:.2f} |")


if __name__ == "__main__":
    main()
