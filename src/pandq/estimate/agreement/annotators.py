"""Each annotator against all others: what their votes cost under the distribution of the others'.

A vote is scored by the logarithmic score of a prediction made of the other votes for its item,

    q(k) = (votes of the others for k + strength * share of k among the others' votes at all)
           / (votes of the others + strength),

with one strength for everybody, the one under which all votes together cost least. What an
annotator's votes cost more than those of the others on the very same items has mean 0 if who is who
does not matter, and that is what is tested.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import optimize, special

from pandq.estimate.averages.intervals import Sampling
from pandq.estimate.comparison.verdicts import holm, p_value

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pandq.views import Votes

    Floats = NDArray[np.float64]
    Whole = NDArray[np.int64]

# An annotator with fewer items that others answered too gets no verdict: Student's t is off there.
LEAST_ITEMS = 10
_STRENGTHS = (-7.0, 7.0)  # natural logarithms


@dataclass(frozen=True, slots=True)
class Answers:
    """Votes for items that others answered too, one after the other.

    Args:
        item: (m,) row.
        who: (m,) annotator.
        others: (m,) how many other votes the item has.
        same: (m,) how many of these are for the same class.
        prior: (m,) share of that class among all votes of others, one added for each class.
    """

    item: Whole
    who: Whole
    others: Floats
    same: Floats
    prior: Floats

    @classmethod
    def of(cls, votes: Votes) -> Answers:
        """The answers of votes with annotators, of which some item has two."""
        k, rows, codes = votes.n_classes, votes.rows, votes.codes.astype(np.int64)
        people = len(votes.annotator_names or ())
        who = np.asarray(votes.annotators, dtype=np.int64)
        _, of_cell, count = np.unique(rows * k + codes, return_inverse=True, return_counts=True)
        _, of_own, own = np.unique(who * k + codes, return_inverse=True, return_counts=True)
        totals = np.bincount(codes, minlength=k)
        answered = np.bincount(who, minlength=people)
        prior = (totals[codes] - own[of_own] + 1.0) / (len(codes) - answered[who] + k)
        others = np.diff(votes.offsets)[rows] - 1.0
        kept = others > 0
        same = count[of_cell] - 1.0
        return cls(rows[kept], who[kept], others[kept], same[kept], prior[kept])

    def costs(self, strength: float) -> Floats:
        """(m,) nats of each vote under the others'."""
        likely = (self.same + strength * self.prior) / (self.others + strength)
        return -np.log(likely)

    def best_strength(self) -> float:
        """The strength under which all votes together cost least."""
        found = optimize.minimize_scalar(
            lambda log: float(self.costs(float(np.exp(log))).mean()),
            bounds=_STRENGTHS,
            method="bounded",
        )
        return float(np.exp(found.x))


def annotator_lines(votes: Votes, *, level: float, scale: float) -> list[dict[str, Any]]:
    """Every annotator's cross entropy against the others' votes.

    Args:
        votes: with annotators; some item has two votes at least.
        level: of the intervals, over the annotator's items, by Student's t.
        scale: of the unit, per nat.

    Returns:
        A line for each annotator, those with a verdict first, the largest difference first:
        answers, items that others answered too, agreement with another vote for the item, cross
        entropy, the difference from the others on the same items, its p-value after Holm over all
        who have ten such items, and a verdict.

    Source: Good 1952, Rational decisions (the logarithmic score); Holm 1979, section 2.
    """
    names = votes.annotator_names or ()
    n, people = len(votes), len(names)
    answers = Answers.of(votes)
    cost = answers.costs(answers.best_strength()) * scale
    total = np.bincount(answers.item, cost, minlength=n)
    against = cost - (total[answers.item] - cost) / answers.others
    shared = np.bincount(answers.who, minlength=people)
    given = np.bincount(np.asarray(votes.annotators), minlength=people)
    alike = _mean(answers.who, answers.same / answers.others, shared)
    costs, differences = (_mean_and_error(answers.who, x, shared) for x in (cost, against))
    enough = shared >= LEAST_ITEMS
    p = np.array(
        [
            p_value(Sampling(mean, error**2, effective=size, n=size))
            if size >= LEAST_ITEMS
            else 1.0
            for mean, error, size in zip(*differences, shared, strict=True)
        ]
    )
    adjusted = np.ones(people)
    adjusted[enough] = holm(p[enough].tolist())
    half = special.stdtrit(np.maximum(shared - 1.0, 1.0), (1 + level) / 2)
    order = np.lexsort((np.where(shared > 0, -differences[0], np.inf), ~enough))
    return [
        {
            "name": names[a],
            "n": int(given[a]),
            "items": int(shared[a]),
            "agreement": float(alike[a]) if shared[a] else None,
            "cross_entropy": _entry(costs, half, a, least=0.0),
            "difference": _entry(differences, half, a, least=-np.inf),
            "p_holm": float(adjusted[a]) if enough[a] else None,
            "verdict": _verdict(float(differences[0][a]), adjusted[a] <= 1 - level, enough[a]),
        }
        for a in order
    ]


def _mean(who: Whole, x: Floats, size: Whole) -> Floats:
    with np.errstate(invalid="ignore"):
        return np.bincount(who, x, minlength=len(size)) / size


def _mean_and_error(who: Whole, x: Floats, size: Whole) -> tuple[Floats, Floats]:
    """Each annotator's mean, and its standard error over their items."""
    mean = _mean(who, x, size)
    with np.errstate(invalid="ignore", divide="ignore"):
        squares = np.bincount(who, np.square(x - mean[who]), minlength=len(size))
        return mean, np.sqrt(squares / (size - 1.0) / size)


def _entry(
    found: tuple[Floats, Floats], half: Floats, a: int, *, least: float
) -> dict[str, float | None]:
    """A mean with its interval; None where there is none."""
    mean, reach = float(found[0][a]), float(half[a] * found[1][a])
    if not np.isfinite(reach):
        return {"value": mean if np.isfinite(mean) else None, "low": None, "high": None}
    return {"value": mean, "low": max(mean - reach, least), "high": mean + reach}


def _verdict(difference: float, shown: bool, enough: bool) -> str:  # noqa: FBT001 - two facts
    if not enough:
        return "too few items"
    if not shown:
        return "not told apart"
    return "stands apart" if difference > 0 else "closer than others"
