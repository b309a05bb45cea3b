"""Which point for a floor that votes only bound: the middle of its bounds, or a model's mean?

    python benchmarks/floor_point.py --sets 5 --rows 1000    # some minutes

Designs differ in how P is spread over rows, in what Q knows of it and in how many votes a row has;
none of them draws P from the model (a mixture of three Dirichlets) whose mean is the other point.
A line tells how wide the interval is and how far the two are off, as shares of the floor.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

import pandq

K = 3


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def normal(rng: np.random.Generator, n: int) -> np.ndarray:
    """Logits that are normal."""
    return softmax(1.5 * rng.normal(size=(n, K)))


def disputed(rng: np.random.Generator, n: int) -> np.ndarray:
    """Half of the rows certain, the others disputed between two classes."""
    p = np.eye(K)[rng.integers(0, K, n)]
    return np.where(rng.random((n, 1)) < 0.5, 0.6 * p + 0.4 * np.roll(p, 1, axis=1), p)


def slips(rng: np.random.Generator, n: int) -> np.ndarray:
    """All rows alike but for their class: nine in ten agree."""
    return 0.1 / (K - 1) + (0.9 - 0.1 / (K - 1)) * np.eye(K)[rng.integers(0, K, n)]


LAWS = {"normal logits": normal, "half disputed": disputed, "slips": slips}
VOTES = {"2": (2, 2), "3": (3, 3), "5": (5, 5), "10": (10, 10), "1 to 8": (1, 8)}
QS = {"good": 0.3, "poor": 1.5}


def one(law: str, q: str, votes: str, n: int, seed: int, least: int) -> tuple[float, ...]:
    """Width, middle and model's mean less the floor, and whether it is covered; over the floor."""
    rng = np.random.default_rng(seed)
    p = LAWS[law](rng, n)
    view = pandq.Probs(softmax(np.log(p + 0.01) + QS[q] * rng.normal(size=p.shape)))
    low, high = VOTES[votes]
    counts = rng.multinomial(rng.integers(low, high + 1, n), p)
    found = pandq.audit(pandq.Counts(counts), view, min_votes=least, worst=0).decomposition
    # sampling of the rows is no matter of the point
    truth = pandq.entropy(pandq.Probs(p)).mean()
    floor, model = found.floor, found.model_floor.value
    middle = (floor.low + floor.high) / 2 if floor.value is None else floor.value
    covered = floor.low <= truth <= floor.high
    return (floor.high - floor.low) / truth, middle / truth - 1, model / truth - 1, covered


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=5)
    parser.add_argument("--rows", type=int, default=1000)
    options = parser.parse_args()
    print("| P | Q | votes | covered | width | middle off by | model off by |")
    print("|---|---|---|---|---|---|---|")
    for law in LAWS:
        for q in QS:
            for votes in [*VOTES, "1 to 8, of 2 or more"]:
                name, least = votes.partition(",")[0], 2 if "," in votes else 1
                sets = range(options.sets)
                found = np.array([one(law, q, name, options.rows, s, least) for s in sets])
                width, middle, model, covered = found.T
                print(
                    f"| {law} | {q} | {votes} | {covered.sum():.0f}/{options.sets} |"
                    f" {100 * width.mean():.0f} % | {100 * middle.mean():+.1f} %"
                    f" (rms {100 * np.sqrt((middle**2).mean()):.1f}) | {100 * model.mean():+.1f} %"
                    f" (rms {100 * np.sqrt((model**2).mean()):.1f}) |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
