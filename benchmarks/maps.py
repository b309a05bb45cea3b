"""How long do fits of recalibration maps take, and at what loss?

    python benchmarks/maps.py [--before REVISION] [--rounds 5]

First the cross-fitting of an audit: every kind that suits the number of classes, five folds and all
rows; on all cores, on one, and by another revision, which is built and run beside (git worktree in
a temporary folder). Then one family fitted once to all rows, against others that fit it: their
losses are the mean cross entropy on the training rows, ours with its ridge and mixture. netcal and
probmetrics take part where they are installed:

    pip install netcal probmetrics
"""

from __future__ import annotations

import argparse
import os
import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from revision import revision
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp, softmax
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits
from turns import in_turns, machine, table

from pandq.core.kernels import build_name
from pandq.core.threads import THREADS
from pandq.estimate.calibration.crossfit import crossfit
from pandq.estimate.calibration.fitting import fit_map

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from revision import Answers

SIZES = ((50_000, 10), (4_000, 1_000), (10_000, 2), (1_000, 10))
SOFT = (50_000, 10)

WORKER = """
import json, sys
import numpy as np
from threadpoolctl import threadpool_limits
from pandq.estimate.calibration.crossfit import crossfit
held = ""
with threadpool_limits(1, user_api="blas"):
    for line in sys.stdin:
        if line != held:
            held, data = line, dict(np.load(json.loads(line)))
        found = crossfit(data["y"], data["log_q"], data["folds"])
        print(json.dumps(dict(found.loss)), flush=True)
"""


def sample(n: int, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, log q of a model that is too sure and off by class and by row, and folds."""
    rng = np.random.default_rng(0)
    truth = 2 * rng.normal(size=(n, k))
    y = (truth + rng.gumbel(size=(n, k))).argmax(axis=1)
    z = 1.5 * (truth + 0.3 * rng.normal(size=k) + 0.3 * rng.normal(size=(n, k)))
    return y, log_softmax(z, axis=1), rng.integers(0, 5, n)


@contextmanager
def threads(n: int) -> Iterator[None]:
    """So many threads within."""
    os.environ[THREADS] = str(n)
    try:
        yield
    finally:
        del os.environ[THREADS]


def cross_fits(before: Answers | None, folder: Path, rounds: int) -> None:
    for n, k, given in (*((*size, "labels") for size in SIZES), (*SOFT, "probabilities")):
        y, log_q, folds = sample(n, k)
        if given == "probabilities":
            # of a truth that no map can reach
            y = softmax(log_q / 1.5 + np.random.default_rng(1).normal(size=(n, k)), axis=1)
        file = folder / f"{n}x{k} {given}.npz"
        np.savez(file, y=y, log_q=log_q, folds=folds)

        def fit(y: np.ndarray = y, x: np.ndarray = log_q, f: np.ndarray = folds) -> object:
            return crossfit(y, x, f)

        def alone(fit: Callable[[], object] = fit) -> object:
            with threads(1):
                return fit()

        jobs = {"pandq": fit, "pandq, one thread": alone}
        if before is not None:
            jobs["the revision before"] = lambda file=file: before(str(file))
        title = f"cross-fitting of every kind, 5 folds, {given} against {n:,} x {k:,}"
        table(title, in_turns(jobs, rounds), "pandq")
        if before is not None:
            then, now = before(str(file)), fit().loss
            apart = max(abs(now[kind] - loss) / loss for kind, loss in then.items())
            print(f"\nLosses differ by at most {apart:.1e} of the loss.")


def temperature_by_lbfgs(y: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    at_label = log_q[np.arange(len(y)), y].mean()

    def loss(a: np.ndarray) -> tuple[float, np.ndarray]:
        z = a[0] * log_q
        log_z = logsumexp(z, axis=1)
        mean = (np.exp(z - log_z[:, None]) * log_q).sum(axis=1)
        return log_z.mean() - a[0] * at_label, np.array([mean.mean() - at_label])

    a = minimize(loss, [1.0], jac=True, method="L-BFGS-B").x[0]
    return log_softmax(a * log_q, axis=1)


def matrix_by_scikit_learn(y: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = LogisticRegression(C=1.0, max_iter=1000).fit(log_q, y)
    return model.predict_log_proba(log_q)


def others(kind: str) -> dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]]:
    """What else fits a family: labels and log q to log c(q) of the same rows."""
    found = {
        "temperature": {"scipy L-BFGS-B": temperature_by_lbfgs},
        "matrix": {"scikit-learn LogisticRegression on log q": matrix_by_scikit_learn},
    }.get(kind, {})
    try:
        from netcal.scaling import TemperatureScaling
    except ImportError:
        pass
    else:
        if kind == "temperature":
            found["netcal TemperatureScaling"] = lambda y, x: np.log(
                TemperatureScaling().fit(np.exp(x), y).transform(np.exp(x))
            )
    try:
        from probmetrics.calibrators import get_calibrator
    except ImportError:
        return found
    name = {"temperature": "temp-scaling", "vector": "svs", "matrix": "sms"}.get(kind)
    if name is not None:
        found[f"probmetrics {name}"] = lambda y, x: np.log(
            get_calibrator(name).fit(np.exp(x), y).predict_proba(np.exp(x))
        )
    return found


def single_fits(rounds: int) -> None:
    for kind, n, k in (
        ("temperature", 50_000, 10),
        ("vector", 50_000, 10),
        ("matrix", 50_000, 10),
        ("temperature", 4_000, 1_000),
    ):
        y, log_q, _ = sample(n, k)
        losses: dict[str, float] = {}

        def loss(name: str, log_c: np.ndarray, y: np.ndarray = y, to: dict = losses) -> None:
            to[name] = float(-log_c[np.arange(len(y)), y].mean())

        jobs = {
            "pandq": lambda y=y, x=log_q, kind=kind, loss=loss: loss(
                "pandq", fit_map(kind, y, x).apply(x)
            )
        }
        for name, job in others(kind).items():
            jobs[name] = lambda y=y, x=log_q, name=name, job=job, loss=loss: loss(name, job(y, x))
        table(f"{kind}, one fit and its use, {n:,} x {k:,}", in_turns(jobs, rounds), "pandq")
        print("\n| | loss |\n|---|---|")
        for name, value in losses.items():
            print(f"| {name} | {value:.9f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--before", help="a revision that is built and run beside")
    options = parser.parse_args()
    print(f"{machine()}; build {build_name()}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        # as in an audit: many small products, for which BLAS threads cost more than they bring
        with (
            revision(options.before, folder, WORKER) as before,
            threadpool_limits(limits=1, user_api="blas"),
        ):
            cross_fits(before, folder, options.rounds)
    single_fits(options.rounds)


if __name__ == "__main__":
    main()
