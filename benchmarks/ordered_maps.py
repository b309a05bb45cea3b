"""What do maps that know the order of classes gain, and on which mistakes?

    python benchmarks/ordered_maps.py [--sets 20] [--classes 5]

Ordered classes are drawn from cumulative logits, and Q errs in a way that is written down: see
MISTAKES. A map is fitted to n single labels; the table has what it leaves of KL(P || c(Q)), in
thousandths of a nat, on other rows of which P is known. "all" is what an audit fits: the map that
five folds find best, of all kinds without and with the order. Beside them are scikit-learn's
isotonic regression of each class against the rest, rescaled to sum to one, and the same of each
threshold, made to rise; both mixed with a little of the class frequencies as ours are, because an
isotonic map leaves zeros.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit, log_softmax
from scipy.stats import norm
from sklearn.isotonic import IsotonicRegression
from turns import machine

from pandq.estimate.calibration.crossfit import crossfit, default_kinds
from pandq.estimate.calibration.fitting import fit_map

if TYPE_CHECKING:
    from collections.abc import Callable

    Array = np.ndarray
    Map = Callable[[Array], Array]

SIZES = (100, 400, 2000)
OTHER_ROWS = 4000


def of_steps(below: Array) -> Array:
    """The classes' probabilities from those of "this class or one before"."""
    return np.maximum(np.diff(below, axis=1, prepend=0.0, append=1.0), 1e-12)


def reweighted(p: Array, by: Array) -> Array:
    """Each class's probability times exp of a number, rescaled."""
    return np.exp(log_softmax(np.log(p) + by, axis=1))


def rows(mistake: str, n: int, k: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """P of cumulative logits, and a Q that sees a row's place with an error, and is mistaken."""
    steps, place = np.linspace(-2.5, 2.5, k - 1), 2.0 * rng.normal(size=(n, 1))
    seen = place + 0.5 * rng.normal(size=(n, 1))
    return MISTAKES[mistake](steps, place, seen, rng)


def logits(steps: Array, place: Array, a: float = 1.0) -> Array:
    return of_steps(expit(a * (steps - place)))


def none(steps: Array, place: Array, _: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    p = reweighted(logits(steps, place), 0.5 * rng.normal(size=(len(place), len(steps) + 1)))
    return p, p


def sharp(steps: Array, place: Array, seen: Array, _: object) -> tuple[Array, Array]:
    return logits(steps, place), logits(steps, seen, 2.0)


def shifted(steps: Array, place: Array, seen: Array, _: object) -> tuple[Array, Array]:
    return logits(steps, place), logits(steps, seen + 0.8, 1.5)


def uneven(steps: Array, place: Array, seen: Array, _: object) -> tuple[Array, Array]:
    moved = np.sort(steps + 0.6 * np.random.default_rng(5).normal(size=len(steps)))
    return logits(steps, place), logits(moved, seen, 1.5)


def noisy(steps: Array, place: Array, _: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    p = logits(steps, place)
    q = np.log(p) + 0.5 * rng.normal(size=p.shape)
    return p, np.exp(log_softmax(2.0 * q, axis=1))


def tilted(steps: Array, place: Array, seen: Array, _: object) -> tuple[Array, Array]:
    by = np.linspace(-1.5, 1.5, len(steps) + 1)
    return logits(steps, place), reweighted(logits(steps, seen), by)


def ends_avoided(steps: Array, place: Array, seen: Array, _: object) -> tuple[Array, Array]:
    by = -1.5 * np.square(np.linspace(-1, 1, len(steps) + 1))
    return reweighted(logits(steps, place), by), logits(steps, seen, 1.5)


def normal_tails(steps: Array, place: Array, seen: Array, _: object) -> tuple[Array, Array]:
    q = of_steps(norm.cdf(steps - seen))
    return logits(steps, place), q / q.sum(axis=1, keepdims=True)


MISTAKES: dict[str, Callable[..., tuple[Array, Array]]] = {
    "none": none,
    "too sharp": sharp,
    "shifted": shifted,
    "thresholds elsewhere": uneven,
    "noise in each logit": noisy,
    "other class frequencies": tilted,
    "people avoid the ends": ends_avoided,
    "tails too light": normal_tails,
}


def of_kind(kind: str) -> Callable[[Array, Array], Map]:
    def fit(y: Array, q: Array) -> Map:
        found = fit_map(kind, y, np.log(q))  # type: ignore[arg-type]
        return lambda q: found.apply(np.log(q))

    return fit


def of_all(*, ordered: bool) -> Callable[[Array, Array], Map]:
    def fit(y: Array, q: Array) -> Map:
        folds = np.arange(len(y)) % 5
        kinds = default_kinds(q.shape[1], ordered=ordered)
        found = crossfit(y, np.log(q), folds, kinds=kinds).map
        return lambda q: found.apply(np.log(q))

    return fit


def isotonic(x: Array, y: Array) -> IsotonicRegression:
    return IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(x, y)


def mixed(y: Array, k: int, c: Array) -> Array:
    freq = (np.bincount(y, minlength=k) + 1 / k) / (len(y) + 1)
    eps = 1 / (len(y) + 1)
    return np.log((1 - eps) * c + eps * freq)


def against_the_rest(y: Array, q: Array) -> Map:
    k = q.shape[1]
    fits = [isotonic(q[:, j], y == j) for j in range(k)]

    def apply(q: Array) -> Array:
        c = np.stack([fit.predict(q[:, j]) for j, fit in enumerate(fits)], axis=1)
        whole = c.sum(axis=1, keepdims=True)
        return mixed(y, k, np.where(whole > 0, c / np.where(whole > 0, whole, 1.0), 1 / k))

    return apply


def by_threshold(y: Array, q: Array) -> Map:
    k, below = q.shape[1], np.cumsum(q, axis=1)[:, :-1]
    fits = [isotonic(below[:, j], y <= j) for j in range(k - 1)]

    def apply(q: Array) -> Array:
        below = np.cumsum(q, axis=1)[:, :-1]
        c = np.stack([fit.predict(below[:, j]) for j, fit in enumerate(fits)], axis=1)
        c = np.maximum.accumulate(c, axis=1)
        return mixed(y, k, np.diff(c, axis=1, prepend=0.0, append=1.0))

    return apply


MAPS: dict[str, Callable[[Array, Array], Map]] = {
    "identity": lambda _, __: np.log,
    "temperature": of_kind("temperature"),
    "bias": of_kind("bias"),
    "ordered": of_kind("ordered"),
    "cumulative": of_kind("cumulative"),
    "all": of_all(ordered=False),
    "all, with the order": of_all(ordered=True),
    "isotonic, each class": against_the_rest,
    "isotonic, each threshold": by_threshold,
}


def left(mistake: str, n: int, k: int, sets: int) -> dict[str, float]:
    """What each map leaves of the divergence on other rows, the mean over some sets."""
    found = {name: np.zeros(sets) for name in MAPS}
    for seed in range(sets):
        p, q = rows(mistake, n, k, np.random.default_rng([seed, n, k]))
        other, q_other = rows(mistake, OTHER_ROWS, k, np.random.default_rng([seed, k]))
        draw = np.random.default_rng(seed).random((n, 1))
        y = (draw > np.cumsum(p, axis=1)[:, :-1]).sum(axis=1)
        for name, fit in MAPS.items():
            log_c = fit(y, q)(q_other)
            found[name][seed] = (other * (np.log(other) - log_c)).sum(axis=1).mean()
    return {name: 1000 * float(x.mean()) for name, x in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=20)
    parser.add_argument("--classes", type=int, default=5)
    asked = parser.parse_args()
    print(f"{machine()}; {asked.classes} classes, {asked.sets} sets each\n")
    print(f"| Q's mistake | labels | {' | '.join(MAPS)} |")
    print("|---" * (2 + len(MAPS)) + "|")
    for mistake in MISTAKES:
        for n in SIZES:
            found = left(mistake, n, asked.classes, asked.sets).values()
            print(f"| {mistake} | {n:,} | {' | '.join(f'{x:.0f}' for x in found)} |", flush=True)


if __name__ == "__main__":
    main()
