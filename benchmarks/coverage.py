"""Do the intervals cover the truth as often as they say? Simulated data of known truth.

Each case draws rows from a population whose averages are known to four digits (from two million
rows of it), makes votes or labels of them, and counts how often an interval holds the truth.

    python benchmarks/coverage.py averages    # minutes: identified quantities
    python benchmarks/coverage.py clusters    # minutes: rows in clusters of five
    python benchmarks/coverage.py bootstrap   # minutes with --sizes 500: Poisson bootstrap
    python benchmarks/coverage.py ordered --sizes 200 2000    # minutes: classes in their order
    python benchmarks/coverage.py floor       # about an hour: certified floors
    python benchmarks/coverage.py judge       # minutes: few human labels, a judge's on 2,000 rows
    python benchmarks/coverage.py floor --votes 50 --sizes 300 1000 4000    # many votes
    python benchmarks/coverage.py first --sizes 500 --sets 60   # a third vote where two differ
    python benchmarks/coverage.py pool --sizes 500 --sets 150    # all people that there are
    python benchmarks/coverage.py units       # a minute: few, uneven and heavy-tailed units
    python benchmarks/coverage.py annotators --sets 300   # minutes: few people give most votes
    python benchmarks/coverage.py bounds --sets 60   # half an hour: certified bounds of their votes
    python benchmarks/coverage.py bounds --habits strong --people 100 --sets 100   # one crowd
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from scipy import stats

import pandq
from pandq.core.hashing import fold_of, hash_ids
from pandq.estimate.averages.judged import judged_of
from pandq.estimate.averages.judgedsums import JudgedSums
from pandq.estimate.averages.means import Means
from pandq.estimate.calibration.crossfit import CrossFit
from pandq.estimate.decomposition.scored import score_means, score_parts, scored_rows
from pandq.estimate.decomposition.trained import Trained
from pandq.estimate.floor.certificate import train_certificate
from pandq.read.chunks import Chunk, views_scan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
        "RPS": pandq.ranked_probability_score(*views).mean(),
        "RPS floor": pandq.ranked_probability_score(views[0], views[0]).mean(),
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


def ordered(job: tuple[str, int, int]) -> dict[str, tuple[float, float]]:
    """The ranked probability score and its floor from two votes a row, by row and by cluster."""
    case, n, seed = job
    found = {}
    for size, name in ((1, ""), (CLUSTER, ", in clusters of five")):
        p, q = rows_of(case, n, seed, cluster=size)
        votes = np.random.default_rng(seed).multinomial(2, p)
        cluster = np.arange(n) // CLUSTER if size > 1 else None
        chunk = views_scan(pandq.Counts(votes), pandq.Probs(q), cluster=cluster).whole()
        plain = pandq.Recalibrator("identity", {}, 0.0, np.full(K, 1 / K), 0.0, n)
        trained = Trained("votes", seed, CrossFit(n, {}, {}, {}, "identity", plain))
        parts = trained.parts(chunk.p, chunk.q, trained.recalibration, chunk.keys)
        means = scored_rows(score_means("rps"), chunk, parts, trained, chunk.keys)
        told = score_parts(means, "votes", won=False, doubted=False, level=0.95)
        for part, of in (("RPS", "rps"), ("RPS floor", "floor")):
            found[f"{part}{name}"] = told[of].low, told[of].high
    return found


WORK = {"averages": averages, "clusters": clusters, "bootstrap": bootstrap, "ordered": ordered}


def floor(job: tuple[str, int, int]) -> dict[str, tuple[float, float]]:
    """The certified interval of the mean entropy from three votes per row."""
    case, n, seed = job
    p, q = rows_of(case, n, seed)
    votes = np.random.default_rng(seed).multinomial(VOTES, p)
    means = bounded(votes, q, seed)
    low, high = (means.sampling(name).one_sided(0.95) for name in ("low", "high"))
    return {
        "entropy": means.bounds("low", "high", level=0.95),
        "entropy, each end one-sided": (low[0], high[1]),
    }


def bounded(votes: np.ndarray, q: np.ndarray, seed: int) -> Means:
    """Bounds of every row's entropy by the certificate that was trained on the other half."""
    halves = fold_of(hash_ids(np.arange(len(q)), seed=seed), 2)
    bounds = np.empty((len(q), 2))
    for half in (0, 1):
        rows = halves == half
        certificate = train_certificate(votes[~rows], q[~rows])
        bounds[rows] = np.stack(certificate.row_bounds(votes[rows], q[rows]), axis=1)
    return Means.empty(("low", "high")).of_only(bounds)


def first(job: tuple[str, int, int]) -> dict[str, tuple[float, float]]:
    """Certified intervals where a third vote was asked for only where two differ."""
    case, n, seed = job
    p, q = rows_of(case, n, seed)
    drawn = (np.random.default_rng(seed).random((n, 3, 1)) > p.cumsum(axis=1)[:, None, :-1]).sum(-1)
    votes = pandq.Votes([row[: 2 + (row[0] != row[1])] for row in drawn.tolist()], classes=range(K))
    ways = {"all votes, if they were not refused": votes.table, "--first 2": votes.first(2).table}
    return {
        f"entropy, {way}": bounded(table, q, seed).bounds("low", "high", level=0.95)
        for way, table in ways.items()
    }


POOLS = (5, 8, 20)


def pool_truths(pool: int) -> dict[str, float]:
    """The mean entropy of what some people say, each of whom has an opinion of every row."""
    p, _ = rows_of("easy", POPULATION, 10**6)
    shares = np.random.default_rng(10**6).multinomial(pool, p) / pool
    return {"entropy": float(stats.entropy(shares, axis=1).mean())}


def of_pool(job: tuple[int, int, int]) -> dict[str, tuple[float, float]]:
    """Certified intervals from three different people of few, and if these were taken for many."""
    pool, n, seed = job
    p, q = rows_of("easy", n, seed)
    rng = np.random.default_rng(seed)
    opinions = rng.permuted(
        (rng.random((n, pool, 1)) > p.cumsum(axis=1)[:, None, :-1]).sum(axis=-1), axis=1
    )[:, :VOTES]
    votes = (opinions[..., None] == np.arange(K)).sum(axis=1)
    known = pandq.audit(pandq.Counts(votes), pandq.Probs(q), worst=0, annotator_pool=pool)
    floor = known.decomposition.floor
    return {
        "entropy": (floor.low, floor.high),
        "entropy, taken for many": bounded(votes, q, seed).bounds("low", "high", level=0.95),
    }


def pools(sets: int, n: int) -> None:
    """The table of pools."""
    with ProcessPoolExecutor(2) as workers:
        for pool in POOLS:
            true = pool_truths(pool)["entropy"]
            jobs = [(pool, n, seed) for seed in range(sets)]
            results = list(workers.map(of_pool, jobs, chunksize=5))
            ends = (np.array([r[name] for r in results]).T for name in results[0])
            cells = (
                f"{100 * np.mean((low <= true) & (true <= high)):.0f} % | {np.mean(high - low):.3f}"
                for low, high in ends
            )
            print(f"| {pool} | {n:,} | {true:.4f} | {' | '.join(cells)} |", flush=True)


# ------------------------------------------------------------- few, uneven and heavy-tailed units


def of_clusters(rng: np.random.Generator, what: str, n: int) -> tuple[np.ndarray, ...]:
    """Rows in n clusters of very unequal size, whose effects have heavy tails: values, clusters."""
    effect = rng.standard_t(3, size=n)
    mean = {
        "cross entropy": np.maximum(1 + 0.2 * effect, 0.02),
        "KL": 0.05 * np.exp(0.4 * np.minimum(effect, 5)),
        "paired difference": 0.1 * effect,
        "KL of a copy": 0.01 * np.exp(0.8 * rng.normal(size=n)),
    }[what]
    sizes = np.ceil(40 * np.exp(1.1 * rng.normal(size=n) - 0.6)).astype(int)
    cluster = np.repeat(np.arange(n), sizes)
    if what == "paired difference":
        return mean[cluster] + 0.5 * rng.normal(size=len(cluster)), cluster
    return mean[cluster] * rng.gamma(0.5, 2.0, size=len(cluster)), cluster


def of_weights(
    rng: np.random.Generator, what: str, n: int, spread: float
) -> tuple[np.ndarray, ...]:
    """N rows with log-normal weights: values, weights."""
    weights = np.exp(spread * rng.normal(size=n))
    if what == "weights go with the loss":
        shared = np.log(weights) / spread
        return np.exp(0.5 * shared + 0.5 * rng.normal(size=n)), weights
    if what == "cross entropy":
        return rng.gamma(0.7, size=n), weights
    return 0.3 * rng.standard_t(3, size=n), weights


def of_a_rare_class(rng: np.random.Generator, what: str, n: int) -> np.ndarray:
    """N rows, one in a hundred of a class in which the loss is large."""
    rare = rng.random(n) < 0.01
    if what == "cross entropy":
        return np.where(rare, rng.gamma(4.0, 0.8, size=n), rng.gamma(1.0, 0.05, size=n))
    return np.where(rare, 1 + rng.normal(size=n), 0.02 * rng.normal(size=n))


def student(x: np.ndarray, w: np.ndarray, cluster: np.ndarray | None) -> tuple[float, float]:
    """What is usual: the sandwich with n / (n - 1), and Student's t of n - 1 degrees."""
    mean = np.average(x, weights=w)
    influence = w * (x - mean) / w.sum()
    if cluster is not None:
        influence = np.bincount(cluster, influence)
    n = len(influence)
    half = stats.t.ppf(0.975, n - 1) * np.sqrt(n / (n - 1) * np.square(influence).sum())
    return mean - half, mean + half


def truth_of(what: str) -> float:
    """The mean of a cluster's effects, from four million of them."""
    if what == "paired difference":
        return 0.0
    effect = np.random.default_rng(10**6).standard_t(3, size=4_000_000)
    if what == "cross entropy":
        return float(np.maximum(1 + 0.2 * effect, 0.02).mean())
    return float((0.05 * np.exp(0.4 * np.minimum(effect, 5))).mean())


def unit_cases() -> dict[tuple[str, str], tuple]:
    """(units, quantity): how rows are drawn, and the truth."""
    cases: dict[tuple[str, str], tuple] = {}
    for what in ("cross entropy", "KL", "paired difference"):
        true = truth_of(what)
        for n in (5, 10, 25):
            cases[f"{n} clusters", what] = (of_clusters, (what, n), true)
    for n in (3, 5, 10, 20):
        cases[f"{n} documents", "KL of a copy"] = (of_clusters, ("KL of a copy", n), 0.013771277643)
    # E[w x] / E[w] of x = exp(0.5 z + 0.5 e), w = exp(spread z)
    for n in (60, 200):
        for spread in (0.5, 1.0, 1.5):
            units = f"{n} rows, weights of sd {spread:g}"
            for what, true in (
                ("cross entropy", 0.7),
                ("paired difference", 0.0),
                ("weights go with the loss", np.exp(0.25 + 0.5 * spread)),
            ):
                cases[units, what] = (of_weights, (what, n, spread), true)
    for n in (200, 500):
        units = f"{n} rows, a class of 1 %"
        cases[units, "cross entropy"] = (of_a_rare_class, ("cross entropy", n), 0.0815)
        cases[units, "paired difference"] = (of_a_rare_class, ("paired difference", n), 0.01)
    return cases


def units_covered(case: tuple, sets: int) -> dict[str, tuple[float, float]]:
    """Share of sets covered and median width, as usual and as pandq has it."""
    draw, given, true = case
    what = given[0]
    found: dict[str, list[tuple[float, float]]] = {"usual": [], "pandq": []}
    for seed in range(sets):
        drawn = draw(np.random.default_rng([seed, *map(ord, str(given))]), *given)
        x, more = drawn if isinstance(drawn, tuple) else (drawn, None)
        cluster = more if draw is of_clusters else None
        weights = more if draw is of_weights else None
        found["usual"].append(student(x, np.ones(len(x)) if weights is None else weights, cluster))
        keys = None if cluster is None else hash_ids(cluster)
        means = Means.empty(("x",)).of_only(x[:, None], weights, clusters=keys)
        least = -np.inf if what == "paired difference" else 0.0
        found["pandq"].append(means.sampling("x").limits(0.95, least=least))
    return {
        name: (
            float(np.mean([low <= true <= high for low, high in ends])),
            float(np.median([high - low for low, high in ends])),
        )
        for name, ends in found.items()
    }


def units(sets: int) -> None:
    """The table of few, uneven and heavy-tailed units."""
    for (name, what), case in unit_cases().items():
        (before, narrow), (now, wide) = units_covered(case, sets).values()
        print(
            f"| {name} | {what} | {100 * before:.1f} % | {100 * now:.1f} % | {wide / narrow:.2f} |",
            flush=True,
        )


# ------------------------------------------------------- models that are hardly ever wrong

SURE_ROWS, ERRORS = (200, 500), (0.001, 0.002, 0.005)


def of_a_sure_model(job: tuple[int, float, int]) -> dict[str, tuple[float, float]]:
    """Intervals of the loss of one that is too sure, less or more, and of what another has less."""
    n, error, seed = job
    rng = np.random.default_rng([n, seed])
    sure = 1 - 10 ** rng.uniform(-3.5, -1.5, n)
    y = (rng.random(n) < error).astype(int)
    q, other = (np.stack([1 - x, x], axis=1)[:, ::-1] for x in (sure, np.sqrt(sure)))
    found = pandq.compare(pandq.Labels(y), pandq.Probs(q), pandq.Probs(other), decompose=False)
    one, apart = found.models[0], found.differences[0]
    ends = {"cross entropy": one.cross_entropy, "difference": apart.cross_entropy}
    ends["Brier score"] = one.brier
    told = {name: (x.low, x.high) for name, x in ends.items()}
    return told | {"no error seen": (float(y.any()), 1.0)}


def sure_truths(error: float) -> dict[str, float]:
    """What the means are of, by quadrature over how sure the model is."""
    at, weight = np.polynomial.legendre.leggauss(200)
    sure = 1 - 10 ** (-2.5 + at)
    loss, other = (-((1 - error) * np.log(x) + error * np.log1p(-x)) for x in (sure, np.sqrt(sure)))
    brier = 2 * ((1 - error) * (1 - sure) ** 2 + error * sure**2)
    means = {"cross entropy": loss, "difference": other - loss, "Brier score": brier}
    return {name: float(x @ weight) / 2 for name, x in means.items()} | {"no error seen": 0.5}


def sure(sets: int) -> None:
    """The table of models that are hardly ever wrong."""
    with ProcessPoolExecutor(2) as pool:
        for n in SURE_ROWS:
            for error in ERRORS:
                jobs = [(n, error, seed) for seed in range(sets)]
                results = list(pool.map(of_a_sure_model, jobs, chunksize=5))
                told = [
                    np.mean([r[name][0] <= true <= r[name][1] for r in results])
                    for name, true in sure_truths(error).items()
                ]
                cells = " | ".join(f"{100 * x:.1f} %" for x in told)
                print(f"| {n} | {100 * error:.1f} % | {cells} |", flush=True)


# ------------------------------------------------------- annotators of habits of their own

PEOPLE, ROWS_OF_PEOPLE = (8, 20, 100), (100, 400)
# How much of an annotator's answers their own confusion matrix makes: Beta(1, b).
HABITS = {"strong": 2.0, "weak": 20.0}


def of_people(
    rng: np.random.Generator, habit: str, people: int, n: int
) -> tuple[pandq.Votes, np.ndarray]:
    """Three votes a row; the k-th busiest of some people gives 1/k as many as the busiest."""
    p, q = people_rows(rng, n)
    own = rng.beta(1.0, HABITS[habit], people)[:, None, None]
    confusion = (1 - own) * np.eye(K) + own * rng.dirichlet(np.ones(K), (people, K))
    busy = -np.log(rng.permutation(np.arange(1, people + 1)))
    who = np.argsort(-rng.gumbel(size=(n, people)) - busy, axis=1)[:, :VOTES]
    seen = (rng.random((n, VOTES, 1)) > p.cumsum(axis=1)[:, None, :-1]).sum(axis=-1)
    said = (rng.random((n, VOTES, 1)) > confusion[who, seen].cumsum(axis=-1)[..., :-1]).sum(axis=-1)
    offsets = np.arange(n + 1) * VOTES
    return pandq.Votes.trusted(
        offsets,
        said.ravel().astype(np.int32),
        who.ravel().astype(np.int32),
        classes=tuple(map(str, range(K))),
        annotator_names=tuple(f"w{a}" for a in range(people)),
    ), q


def people_rows(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """What a careful annotator draws from, and Q."""
    logits = 1.5 * rng.normal(size=(n, K))
    return softmax(logits), softmax(1.3 * (logits + 0.5 * rng.normal(size=(n, K))))


def people_truths(habit: str) -> dict[str, float]:
    """What holds for people drawn like these: of the mean confusion matrix."""
    p, q = people_rows(np.random.default_rng(10**6), POPULATION)
    own = 1 / (1 + HABITS[habit])
    p = (1 - own) * p + own / K
    loss = pandq.cross_entropy(pandq.Probs(p), pandq.Probs(q)).mean()
    other = pandq.cross_entropy(pandq.Probs(p), pandq.Probs(flattened(q))).mean()
    accuracy = p[np.arange(len(p)), q.argmax(axis=1)].mean()
    return {
        "cross entropy": loss,
        "expected accuracy": accuracy,
        "paired difference": other - loss,
    }


def of_annotators(job: tuple[str, int, int, int]) -> dict[str, tuple[float, float, float, float]]:
    """Intervals over rows and annotators, and over rows alone."""
    habit, people, n, seed = job
    votes, q = of_people(np.random.default_rng([seed, people, n]), habit, people, n)
    views = pandq.Probs(q), pandq.Probs(flattened(q))
    ends: dict[str, tuple[float, ...]] = {}
    for p in (votes, votes.counts):
        found = pandq.compare(p, *views, decompose=False, worst=0)
        one = found.models[0]
        loss = found.differences[0].cross_entropy
        for name, e in zip(
            people_names(), (one.cross_entropy, one.expected_accuracy, loss), strict=True
        ):
            ends[name] = (*ends.get(name, ()), e.low, e.high)
    return ends


def people_names() -> tuple[str, ...]:
    return "cross entropy", "expected accuracy", "paired difference"


def annotators(sets: int, habits: Sequence[str], crowds: Sequence[int]) -> None:
    """The table of annotators."""
    truths = {habit: people_truths(habit) for habit in habits}
    of_crowds(of_annotators, truths, sets, crowds)


def of_crowds(
    work: Callable, truths: dict[str, dict[str, float]], sets: int, crowds: Sequence[int]
) -> None:
    """A line for each habit, number of people and number of rows."""
    with ProcessPoolExecutor(2) as pool:
        for habit, people, n in product(truths, crowds, ROWS_OF_PEOPLE):
            jobs = [(habit, people, n, seed) for seed in range(sets)]
            results = list(pool.map(work, jobs, chunksize=5))
            covered = people_covered(results, truths[habit]).values()
            cells = [f"{alone:.0f}, {both:.0f} ({wider:.1f})" for both, alone, wider in covered]
            print(f"| {habit} | {people} | {n} | {' | '.join(cells)} |", flush=True)


def bounded_by_people(job: tuple[str, int, int, int]) -> dict[str, tuple[float, ...]]:
    """Certified intervals over rows and annotators, and over rows alone, less what is true."""
    habit, people, n, seed = job
    votes, q = of_people(np.random.default_rng([seed, people, n]), habit, people, n)
    p, many = people_rows(np.random.default_rng(10**6), 20_000)
    own = 1 / (1 + HABITS[habit])
    p = (1 - own) * p + own / K
    floor = stats.entropy(p, axis=1).mean()
    ends: dict[str, tuple[float, ...]] = {}
    for view in (votes, votes.counts):
        parts = pandq.audit(view, pandq.Probs(q), worst=0).decomposition
        # of the map that was fitted to these rows
        left = -(p * parts.recalibrator.apply(np.log(many))).sum(axis=1).mean() - floor
        for name, e, true in (
            ("floor", parts.floor, floor),
            ("grouping loss", parts.grouping_loss, left),
        ):
            ends[name] = (*ends.get(name, ()), e.low - true, e.high - true)
    return ends


def bounds(sets: int, habits: Sequence[str], crowds: Sequence[int]) -> None:
    """The table of certified bounds by annotators."""
    nothing = dict.fromkeys(("floor", "grouping loss"), 0.0)
    of_crowds(bounded_by_people, dict.fromkeys(habits, nothing), sets, crowds)


def people_covered(
    results: list[dict[str, tuple[float, ...]]], truth: dict[str, float]
) -> dict[str, tuple[float, float, float]]:
    """Percent of sets covered over rows and annotators, over rows alone, and how much wider."""
    found = {}
    for name, true in truth.items():
        low, high, low_alone, high_alone = np.array([r[name] for r in results]).T
        hit = 100 * np.mean((low <= true) & (true <= high))
        alone = 100 * np.mean((low_alone <= true) & (true <= high_alone))
        with np.errstate(divide="ignore"):  # nothing may be left that is at least 0
            wider = (high - low) / (high_alone - low_alone)
        found[name] = hit, alone, float(np.median(wider))
    return found


JUDGES = ("right in 9 of 10", "at random", "one class", "always wrong", "repeats Q")
JUDGED_ROWS = 2000
HUMAN_LABELS = (50, 200, 500)


def judge_labels(judge: str, y: np.ndarray, q: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What a judge says of each row, who may know nothing."""
    random = rng.integers(0, K, len(y))
    if judge == "right in 9 of 10":
        return np.where(rng.random(len(y)) < 0.9, y, random)
    if judge == "at random":
        return random
    if judge == "one class":
        return np.zeros(len(y), np.int64)
    return (y + 1) % K if judge == "always wrong" else q.argmax(axis=1)


def judge_truths() -> dict[str, float]:
    """What the intervals of `judged` are to hold."""
    p, q = rows_of("miscalibrated", POPULATION, 10**6)
    loss = pandq.cross_entropy(pandq.Probs(p), pandq.Probs(q)).mean()
    other = pandq.cross_entropy(pandq.Probs(p), pandq.Probs(flattened(q))).mean()
    return {
        "cross_entropy": loss,
        "accuracy": p[np.arange(len(p)), q.argmax(axis=1)].mean(),
        "cross_entropy difference": other - loss,
    }


def flattened(q: np.ndarray) -> np.ndarray:
    """A second model: the first, less sure of itself."""
    return 0.9 * q + 0.1 / K


def judged(job: tuple[str, int, int]) -> dict[str, tuple[float, ...]]:
    """Intervals with a judge, and those of human labels alone."""
    judge, n, seed = job
    p, q = rows_of("miscalibrated", JUDGED_ROWS, seed)
    rng = np.random.default_rng(seed)
    y = (rng.random((len(p), 1)) > p.cumsum(axis=1)[:, :-1]).sum(axis=1)
    labelled = np.isin(np.arange(len(y)), rng.choice(len(y), n, replace=False))
    label = judge_labels(judge, y, q, rng)
    blank = JudgedSums.empty(2)

    def chunk(rows: np.ndarray, labels: np.ndarray) -> Chunk:
        rival = pandq.Probs(flattened(q[rows]))
        return views_scan(pandq.Labels(labels[rows]), pandq.Probs(q[rows]), rivals=[rival]).whole()

    both = replace(chunk(labelled, y), judge=pandq.Labels(label[labelled]))
    sums = blank.of_only(both).merge(blank.of_only(chunk(~labelled, label)))
    alone, _, difference = judged_of(sums, judge, ["a", "b"], unit="nat", level=0.95).models
    taken = [(alone, name) for name in ("cross_entropy", "accuracy")]
    found = {}
    for model, name in [*taken, (difference, "cross_entropy difference")]:
        x, alone_x = model.with_judge[name], model.human_alone[name]
        found[name] = x.low, x.high, alone_x.low, alone_x.high
    return found


def judges(sets: int) -> None:
    """The table of docs/guides/judge.md."""
    truth = judge_truths()
    with ProcessPoolExecutor(2) as pool:
        for judge in JUDGES:
            for n in HUMAN_LABELS:
                jobs = [(judge, n, seed) for seed in range(sets)]
                results = list(pool.map(judged, jobs, chunksize=5))
                cells = []
                for name, true in truth.items():
                    low, high, low_alone, high_alone = np.array([r[name] for r in results]).T
                    hit = 100 * np.mean((low <= true) & (true <= high))
                    alone = 100 * np.mean((low_alone <= true) & (true <= high_alone))
                    width = np.mean((high - low) / (high_alone - low_alone))
                    cells.append(f"{hit:.0f} ({alone:.0f}), {width:.2f}")
                print(f"| {judge} | {n} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "what",
        choices=[*WORK, "floor", "first", "pool", "units", "sure", "judge", "annotators", "bounds"],
    )
    parser.add_argument("--sets", type=int, default=400)
    parser.add_argument("--cases", nargs="*", default=list(CASES))
    parser.add_argument("--sizes", nargs="*", type=int, default=list(SIZES))
    parser.add_argument("--votes", type=int, default=VOTES)
    parser.add_argument("--habits", nargs="*", default=list(HABITS), choices=list(HABITS))
    parser.add_argument("--people", nargs="*", type=int, default=list(PEOPLE))
    options = parser.parse_args()
    tables = {"units": units, "sure": sure, "judge": judges}
    by_people = {"annotators": annotators, "bounds": bounds}
    if options.what == "pool":
        for n in options.sizes:
            pools(options.sets, n)
        return
    if options.what in tables:
        tables[options.what](options.sets)
        return
    if options.what in by_people:
        by_people[options.what](options.sets, options.habits, options.people)
        return
    globals()["VOTES"] = options.votes
    work = (WORK | {"floor": floor, "first": first})[options.what]
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
