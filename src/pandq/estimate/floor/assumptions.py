"""Are a row's votes independent draws whose number was settled without a look at them?

A certified floor assumes both. Of m independent votes of a row with the class distribution p all
agree with chance sum p_k^m, and two of them with chance sum p_k^2; as x^(m - 1) is convex,

    sum p_k^m >= (sum p_k^2)^(m - 1),

and so for the means over any rows that p and m alone chose. Where a third opinion is asked for only
after two that differ, no row of three votes is unanimous, and the inequality breaks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from scipy.special import ndtr

from pandq.core.numerics import row_sums

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Counts = NDArray[np.int64]

# What annuls a certificate needs more than an interval.
SURE = 1e-3
# Clusters whose rows are unanimous are added, as they speak for the null: few rows none of which is
# have no standard error of their own (Agresti and Coull 1998).
_ADDED = 2.0
# A number of votes at which independent draws need have so few unanimous rows tells nothing.
_LEAST_UNANIMOUS = 3.0
# Neighbours that differ in their number of votes, and by how much their agreement does: less would
# be found in many rows where the number goes with something that Q does not know.
_LEAST_PAIRS, _LEAST_GAP = 20, 0.1


@dataclass(frozen=True, slots=True)
class NumberOfVotes:
    """Rows with one number of votes.

    Args:
        votes: m, at least 3.
        rows: how many rows have so many.
        unanimous: the share of them whose votes all agree.
        least: the share of agreeing pairs to the power m - 1, which that cannot be below.
        z: how many standard errors it is above that.
    """

    votes: int
    rows: int
    unanimous: float
    least: float
    z: float


@dataclass(frozen=True, slots=True)
class Unanimity:
    """Whether rows are unanimous as often as independent draws are.

    Args:
        numbers: by number of votes, those that can tell.
        p_value: of the worst of these and of all together, with the multiplicity of both.
        several: whether rows differ in their number of votes.
    """

    numbers: tuple[NumberOfVotes, ...]
    p_value: float
    several: bool

    @property
    def broken(self) -> bool:
        """Are they too rarely unanimous for independent draws of a number settled beforehand?"""
        return self.p_value < SURE

    @property
    def worst(self) -> NumberOfVotes | None:
        """The number of votes at which it shows most."""
        return min(self.numbers, key=lambda x: x.z, default=None)


def unanimity(counts: Counts, unit: NDArray[Any] | None = None) -> Unanimity:
    """Test that a row's votes are independent draws, of a number that does not depend on them.

    Args:
        counts: (n, K) votes, integers, at least one per row.
        unit: (n,) which rows belong together (clusters); each row for itself when left out.

    Returns:
        The test; its p-value is one-sided, and 1 where no number of votes can tell.

    Source:
        Jensen's inequality for sum_k p_k p_k^(m-1); the variance by the delta method, with
        observations added (Agresti and Coull 1998); Bonferroni over numbers of votes.

    >>> rng = np.random.default_rng(0)
    >>> p = rng.dirichlet(np.ones(2), 2000)
    >>> two, third = rng.multinomial(2, p), rng.multinomial(1, p)
    >>> unanimity(two + third).broken
    False
    >>> unanimity(two + third * (two.max(axis=1) == 1)[:, None]).broken
    True
    """
    votes = counts.sum(axis=1)
    present, sizes = np.unique(votes, return_counts=True)
    several = bool(sizes.max(initial=0) < 0.99 * len(votes))
    of = np.arange(len(votes)) if unit is None else np.unique(unit, return_inverse=True)[1]
    found = [_excess(counts, np.flatnonzero(votes == m), of) for m in present[present > 2]]
    told = [x for x in found if x is not None]
    if not told:
        return Unanimity((), 1.0, several)
    z = [number.z for number, _ in told]
    if len(told) > 1:
        z.append(_z(sum(x.total for _, x in told), *_together([x for _, x in told], of)))
    return Unanimity(
        tuple(number for number, _ in told), min(len(z) * float(ndtr(min(z))), 1.0), several
    )


class _Excess(NamedTuple):
    """Rows, what each adds to an excess that is at least zero, and what was added to them."""

    rows: NDArray[np.intp]
    influence: Floats
    of_added: float
    total: float


def _excess(
    counts: Counts, rows: NDArray[np.intp], of: NDArray[np.intp]
) -> tuple[NumberOfVotes, _Excess] | None:
    """How much more often some rows of m votes are unanimous than they need be."""
    c = counts[rows].astype(np.float64)
    m = int(counts[rows[0]].sum())
    unanimous = (c.max(axis=1) == m).astype(np.float64)
    agreeing = agreement(counts[rows])
    sizes = np.bincount(of[rows])
    size = float(np.square(sizes).sum() / sizes.sum())
    n = len(rows) + _ADDED * size
    u, a = ((x.sum() + _ADDED * size) / n for x in (unanimous, agreeing))
    least = float(a ** (m - 1))
    if least * len(rows) < _LEAST_UNANIMOUS * size:
        return None
    slope = (m - 1) * a ** (m - 2)
    of_added = _ADDED * (size * float((1.0 - u) - slope * (1.0 - a))) ** 2
    found = _Excess(rows, (unanimous - u) - slope * (agreeing - a), of_added, n * (u - least))
    shares = float(unanimous.mean()), float(agreeing.mean() ** (m - 1))
    return NumberOfVotes(m, len(rows), *shares, _z(found.total, *_together([found], of))), found


def _together(found: list[_Excess], of: NDArray[np.intp]) -> tuple[Floats, float]:
    """The clusters' totals of what rows add, and what was added to them, squared."""
    rows = np.concatenate([x.rows for x in found])
    influence = np.concatenate([x.influence for x in found])
    totals = np.bincount(of[rows], influence).astype(np.float64)
    return totals, float(sum(x.of_added for x in found))


def _z(total: float, of_clusters: Floats, of_added: float) -> float:
    """A total in standard errors; 0 where it has none."""
    error = float(np.sqrt(np.square(of_clusters).sum() + of_added))
    return float(total) / error if error > 0 else 0.0


def agreement(counts: Counts) -> Floats:
    """The share of a row's pairs of votes that agree; 0 of a row without a pair.

    Args:
        counts: (n, K) votes, integers.

    Returns:
        (n,) float64, an unbiased estimate of sum p_k^2 from two votes on.

    Source:
        Simpson (1949), Measurement of diversity.

    >>> agreement(np.array([[3, 0], [2, 1]])).round(3).tolist()
    [1.0, 0.333]
    """
    c, m = counts.astype(np.float64), counts.sum(axis=1).astype(np.float64)
    shares: Floats = row_sums(c * (c - 1.0)) / np.maximum(m * (m - 1.0), 1.0)
    return shares


@dataclass(frozen=True, slots=True)
class Following:
    """How agreement goes with the number of votes, in rows that are alike to Q.

    Args:
        pairs: of rows that are neighbours in what Q expects, and differ in their number of votes.
        fewer: mean agreement of those that have fewer votes.
        more: of those that have more.
        p_value: that the first is no larger, one-sided.
        stopped: whether all that have the fewest votes of any row, and they are not few, agree.
    """

    pairs: int
    fewer: float
    more: float
    p_value: float
    stopped: bool

    @property
    def seen(self) -> bool:
        """Do rows with more votes agree so much less that somebody must have chosen them?"""
        return self.p_value < SURE and self.fewer - self.more > _LEAST_GAP


def following(counts: Counts, expected: Floats) -> Following:
    """Whether rows have more votes where their votes agree less, though Q says the same of them.

    That alone is no proof that votes were asked for where they differed: whoever chose the number
    may have known what Q does not. Rows of less than two votes are left out.

    Args:
        counts: (n, K) votes, integers.
        expected: (n,) the agreement that Q leads to expect, any scale: rows are compared with
            their neighbours in it, so that a number of votes that depends on Q is no cause.

    Source:
        Matching on a prognostic score, Hansen (2008); a z test of paired differences.

    >>> counts = np.array([[2, 0], [1, 2]] * 50)
    >>> following(counts, np.zeros(100)).seen
    True
    """
    votes = counts.sum(axis=1)
    # shuffled, as rows that are alike to Q may come sorted by their number of votes
    order = np.random.default_rng(0).permutation(np.flatnonzero(votes > 1))
    order = order[np.argsort(expected[order], kind="stable")]
    order = order[: len(order) // 2 * 2].reshape(-1, 2)
    differ = votes[order[:, 0]] != votes[order[:, 1]]
    order = np.take_along_axis(order, np.argsort(votes[order], axis=1), axis=1)[differ]
    if len(order) < _LEAST_PAIRS:
        return Following(len(order), 0.0, 0.0, 1.0, stopped=False)
    fewer, more = agreement(counts)[order].T
    gap = fewer - more
    error = float(gap.std()) / np.sqrt(len(gap))
    p_value = float(ndtr(-gap.mean() / error)) if error > 0 else float(gap.mean() <= 0)
    fewest = fewer[votes[order[:, 0]] == votes[votes > 1].min()]
    stopped = len(fewest) >= _LEAST_PAIRS and bool((fewest == 1.0).all())
    means = float(fewer.mean()), float(more.mean())
    return Following(len(gap), *means, p_value, stopped=stopped)


@dataclass(frozen=True, slots=True)
class Fewer:
    """Whether rows with fewer votes fit Q as the others do.

    Args:
        min_votes: how many votes are not fewer.
        few: mean over those rows of P's expectation of Q, sum p_k q_k.
        enough: the same over the others.
        p_value: that both are equal, two-sided.
    """

    min_votes: int
    few: float
    enough: float
    p_value: float

    @property
    def apart(self) -> bool:
        """Are they so different that the others cannot stand for them?"""
        return self.p_value < SURE


def fewer_votes(fit: Floats, few: NDArray[np.bool_], min_votes: int) -> Fewer:
    """Compare rows that have too few votes with those that are to stand for them.

    Args:
        fit: (n,) sum_k p_k q_k with p_k the votes' shares, which any number estimates fairly.
        few: (n,) whether a row has too few.
        min_votes: how many votes are enough.

    Source:
        Welch (1947), with the normal distribution.

    >>> fewer_votes(np.array([0.5, 0.4, 0.6, 0.5]), np.array([True, True, False, False]), 2).apart
    False
    """
    one, other = fit[few], fit[~few]
    if min(len(one), len(other)) < _LEAST_PAIRS:
        return Fewer(min_votes, float(one.mean()), float(other.mean()), 1.0)
    error = np.sqrt(one.var() / len(one) + other.var() / len(other))
    apart = abs(float(one.mean() - other.mean()))
    p_value = 2.0 * float(ndtr(-apart / error)) if error > 0 else float(apart == 0)
    return Fewer(min_votes, float(one.mean()), float(other.mean()), p_value)


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What some votes say of a certificate's assumptions.

    Rows of the fewest votes that all agree, where rows that are alike to Q and have more do not,
    were given no more because they agreed. `single` is the share of rows with one vote.
    """

    unanimity: Unanimity
    following: Following
    fewer: Fewer | None = None
    single: float = 0.0

    @classmethod
    def of(
        cls,
        counts: Counts,
        expected: Floats,
        unit: NDArray[Any],
        *,
        fit: Floats,
        min_votes: int = 1,
    ) -> Self:
        """All tests, with arguments as above; the last only where some votes are too few."""
        votes = counts.sum(axis=1)
        few = votes < min_votes
        fewer = fewer_votes(fit, few, min_votes) if few.any() and not few.all() else None
        return cls(
            unanimity(counts, unit), following(counts, expected), fewer, float((votes == 1).mean())
        )

    @property
    def chosen(self) -> bool:
        """Does the number of votes depend on what they say?"""
        stopped = self.following.seen and self.following.stopped
        return stopped or (self.unanimity.broken and self.unanimity.several)

    @property
    def dependent(self) -> bool:
        """Are votes no independent draws, whatever settled their number?"""
        return self.unanimity.broken and not self.unanimity.several
