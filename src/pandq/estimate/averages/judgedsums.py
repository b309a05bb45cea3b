"""Losses of some Qs against human labels on some rows, and against a judge's on all, summed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from pandq.estimate.averages.intervals import Sampling
from pandq.rows import measure_rows
from pandq.sums.clusters import ClusterTotals
from pandq.sums.moments import Moments
from pandq.sums.summary import Summary, summary

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pandq.read.chunks import Chunk

    Floats = NDArray[np.float64]

JUDGED = ("cross_entropy", "accuracy", "brier")


@summary
class Side(Summary):
    """Means of d columns over rows or clusters, and the rows in which a column is infinite."""

    moments: Moments
    clusters: ClusterTotals
    infinite: NDArray[np.int64]

    @classmethod
    def empty(cls, d: int) -> Self:
        """No rows of `d` columns."""
        return cls(Moments.empty(d), ClusterTotals.empty(d), np.zeros(d, np.int64))

    def of_only(self, x: Floats, chunk: Chunk) -> Self:
        """(n, d) values of a chunk's rows; an infinite one is counted, and spoils its column."""
        endless = ~np.isfinite(x)
        x = np.where(endless, 0.0, x)
        totals = ClusterTotals.empty(x.shape[1])
        if chunk.clusters is not None:
            totals = totals.of_only(np.zeros(len(x), np.uint64), chunk.clusters, x, chunk.weights)
        return type(self)(self.moments.of_only(x, chunk.weights), totals, endless.sum(axis=0))

    def sampling(self, i: int) -> Sampling:
        """A column's mean and what is known of its error: over clusters, or else over rows."""
        rows, known = self.moments, self.clusters
        units = known if len(known.cluster) else None
        uneven = rows.unevenness if units is None else units.unevenness()
        if not len(known.cluster):
            about = rows.mean_variance(i), rows.effective, rows.n, rows.mean_skewness(i)
        else:
            variance, skewness = known.combined(np.eye(len(self.infinite))[i])
            about = variance, known.effective(), rows.n, skewness
        return Sampling(float(rows.mean[i]), *about, zero_one=rows.zero_one(i), unevenness=uneven)

    def moved(self) -> Floats:
        """(G, d) how far each cluster moves the means, so that squares sum to their variances."""
        weight, sums = self.clusters.totals[:, :1], self.clusters.totals[:, 1:]
        n, total = len(sums), weight.sum()
        share = math.sqrt((n - 1) / n) if n > 1 else math.nan
        with np.errstate(invalid="ignore", divide="ignore"):
            found: Floats = (sums - weight * (sums.sum(axis=0) / total)) / (total - weight) * share
        return found

    def third(self, i: int) -> float:
        """Third central moment of a column's mean, over independent rows; 0 if it was not kept."""
        found = self.moments.mean_skewness(i) * self.moments.mean_variance(i) ** 1.5
        return found if math.isfinite(found) else 0.0


@summary
class JudgedSums(Summary):
    """Losses against human labels and the judge's on labelled rows, the judge's on the others.

    Of labelled rows there are five times d columns: the losses against human labels and against the
    judge's, the square of their difference, the difference, and the sum. With the last two, third
    moments of any mixture of both are known (`third`).
    """

    labelled: Side
    unlabelled: Side

    @classmethod
    def empty(cls, models: int) -> Self:
        """No rows, of some Qs."""
        d = len(columns_of(models))
        return cls(Side.empty(5 * d), Side.empty(d))

    @property
    def d(self) -> int:
        """How many columns of losses there are."""
        return len(self.unlabelled.infinite)

    def of_only(self, chunk: Chunk) -> Self:
        """A chunk of rows with a human's and a judge's label, or of those with a judge's."""
        own = _losses(chunk, chunk.p)
        d = own.shape[1]
        if chunk.judge is None:
            return type(self)(Side.empty(5 * d), self.unlabelled.of_only(own, chunk))
        judged = _losses(chunk, chunk.judge)
        with np.errstate(invalid="ignore"):
            apart = own - judged
        all_five = np.hstack([own, judged, np.square(apart), apart, own + judged])
        return type(self)(self.labelled.of_only(all_five, chunk), Side.empty(d))

    @property
    def clustered(self) -> bool:
        """Whether rows belong to clusters; one may have rows of both sides."""
        return len(self.labelled.clusters.cluster) > 0

    def covariance(self, column: int) -> Floats:
        """(3, 3) of the means of a column: human and judge on labelled rows, judge on the others.

        Source: for clusters CR3 of MacKinnon, Nielsen and Webb 2023, of either side.
        """
        if self.clustered:
            spread = self.spread(column)
            return spread.T @ spread
        d, one, other = self.d, self.labelled.moments, self.unlabelled.moments
        found = np.zeros((3, 3))
        for i, j in ((0, 0), (0, 1), (1, 1)):
            found[i, j] = found[j, i] = one.covariance_of(i * d + column, j * d + column)
        found[2, 2] = other.mean_variance(column)
        return found

    def spread(self, column: int) -> Floats:
        """(G, 3) how far each cluster moves the three means of a column."""
        d, one, other = self.d, self.labelled, self.unlabelled
        keys = np.union1d(one.clusters.cluster, other.clusters.cluster)
        found = np.zeros((len(keys), 3))
        mine, theirs = (np.searchsorted(keys, x.clusters.cluster) for x in (one, other))
        found[mine, :2] = one.moved()[:, [column, d + column]]
        found[theirs, 2] = other.moved()[:, column]
        return found

    def third(self, column: int, weight: float) -> float:
        """Third central moment of human - weight * (judge - judge on the others).

        That of l - a j is l^3 - 3 a l^2 j + 3 a^2 l j^2 - a^3 j^3, and the cubes of l + j and of
        l - j have what is mixed in it.
        """
        if self.clustered:
            return float(np.power(self.spread(column) @ [1.0, -weight, weight], 3).sum())
        d, one = self.d, self.labelled
        human, judge, less, both = (one.third(i * d + column) for i in (0, 1, 3, 4))
        two_one = (both - less - 2 * judge) / 6
        one_two = (both + less - 2 * human) / 6
        mixed = human - 3 * weight * two_one + 3 * weight**2 * one_two - weight**3 * judge
        return mixed + weight**3 * self.unlabelled.third(column)

    def usable(self, column: int) -> bool:
        """Is a column of losses finite in every row, against either label?"""
        d = self.d
        seen = self.labelled.infinite[[column, d + column]].sum() + self.unlabelled.infinite[column]
        return int(seen) == 0


def columns_of(models: int) -> list[tuple[int, int | None, str]]:
    """What the columns are: which Q, less which, and the measure; the first is compared with.

    >>> columns_of(2)[2:7]
    [(0, None, 'brier'), (1, None, 'cross_entropy'), (1, None, 'accuracy'), (1, None, 'brier'), \
(1, 0, 'cross_entropy')]
    """
    alone = [(q, None, measure) for q in range(models) for measure in JUDGED]
    return [*alone, *((q, 0, measure) for q in range(1, models) for measure in JUDGED)]


def _losses(chunk: Chunk, p: Any) -> Floats:
    """(n, d) of every Q's losses against some labels, and of their differences from the first's."""
    qs = (chunk.q, *chunk.rivals)
    alone = [np.asarray(measure_rows(p, q).columns(*JUDGED)) for q in qs]
    with np.errstate(invalid="ignore"):
        return np.hstack([*alone, *(x - alone[0] for x in alone[1:])])
