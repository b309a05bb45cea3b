"""Totals per cluster, for rows that come in groups and are not independent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from pandq.sums.summary import Summary, summary

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pandq.core.columns import Columns

    Floats = NDArray[np.float64]
    Keys = NDArray[np.uint64]


@summary
class ClusterTotals(Summary):
    """sum w and sum w x for each (group, cluster); grows with the clusters, not with the rows.

    >>> keys, group = np.array([1, 1, 2], dtype=np.uint64), np.zeros(3, dtype=np.uint64)
    >>> totals = ClusterTotals.empty(1).of_only(group, keys, np.array([[1.0], [2.0], [3.0]]))
    >>> totals.totals
    array([[2., 3.],
           [1., 3.]])
    """

    group: Keys
    cluster: Keys
    totals: Floats

    @classmethod
    def empty(cls, d: int) -> Self:
        """No clusters of `d` quantities."""
        none = np.zeros(0, np.uint64)
        return cls(none, none, np.zeros((0, d + 1)))

    def of_only(
        self, group: Keys, cluster: Keys, x: Floats | Columns, w: Floats | None = None
    ) -> Self:
        """(n, d) values of rows with hashed group and cluster ids and (n,) weights."""
        x = np.asarray(x)
        w = np.ones(len(x)) if w is None else w
        return self._gathered(group, cluster, np.column_stack([w, x * w[:, None]]))

    def merge(self, other: Self) -> Self:
        """Both together."""
        if not len(self.totals) or not len(other.totals):
            return self if len(self.totals) else other
        return self._gathered(
            np.concatenate([self.group, other.group]),
            np.concatenate([self.cluster, other.cluster]),
            np.concatenate([self.totals, other.totals]),
        )

    def n_clusters(self, group: int = 0) -> int:
        """How many clusters there are in a group."""
        return int((self.group == np.uint64(group)).sum()) if len(self.group) else 0

    def effective(self, group: int = 0) -> float:
        """Kish's effective number of clusters, (sum W)^2 / sum W^2 of their weights."""
        weight = self.totals[self.group == np.uint64(group), 0]
        squares = float(weight @ weight)
        return float(weight.sum()) ** 2 / squares if squares > 0 else 0.0

    def unevenness(self, group: int = 0) -> float:
        """How uneven their weights are: sum W sum W^3 / (sum W^2)^2, 1 where they are equal."""
        weight = self.totals[self.group == np.uint64(group), 0]
        if not weight.any():
            return 1.0
        share = weight / weight.sum()
        squares = float(share @ share)
        return float((share**3).sum()) / squares**2

    def heavy(self, i: int, group: int = 0) -> float:
        """The mean of quantity `i` by the squares of their weights, sum W^2 (S/W) / sum W^2."""
        totals = self.totals[self.group == np.uint64(group)]
        weight, sums = totals[:, 0], totals[:, 1 + i]
        squares = float(weight @ weight)
        return float(weight @ sums) / squares if squares > 0 else float("nan")

    def mean_covariance(self, group: int = 0) -> Floats:
        """(d, d) covariance of the group's weighted means; nan for fewer than two clusters.

        Of the means without one cluster after the other, about the whole.

        Source: CR3, MacKinnon, Nielsen and Webb 2023, eq. 15; Cameron and Miller 2015, VI.B.
        """
        moved = self._moved(group)
        size = len(moved)
        covariance: Floats = moved.T @ moved * ((size - 1) / size if size > 1 else np.nan)
        return covariance

    def combined(self, slope: Floats, group: int = 0) -> tuple[float, float]:
        """Variance and skewness of a weighted sum of the means, (d,) weights."""
        moved = self._moved(group)
        size = len(moved)
        if size < 2:
            return float("nan"), 0.0
        moved = moved @ slope
        squares = float(moved @ moved)
        if not squares > 0.0:
            return squares, 0.0
        each = moved / np.sqrt(squares)
        return squares * (size - 1) / size, -float((each**3).sum())

    def _moved(self, group: int) -> Floats:
        """(clusters, d): how far the means move when a cluster is left out."""
        totals = self.totals[self.group == np.uint64(group)]
        weight, sums = totals[:, :1], totals[:, 1:]
        total = weight.sum()
        with np.errstate(invalid="ignore", divide="ignore"):
            residual = sums - weight * (sums.sum(axis=0) / total)
            moved: Floats = -residual / (total - weight)
        return moved

    def _gathered(self, group: Keys, cluster: Keys, totals: Floats) -> Self:
        """One row of totals for each (group, cluster), sorted."""
        if not len(totals):
            return type(self)(group, cluster, totals)
        order = np.lexsort((cluster, group))
        group, cluster, totals = group[order], cluster[order], totals[order]
        new = np.r_[True, (group[1:] != group[:-1]) | (cluster[1:] != cluster[:-1])]
        starts = np.flatnonzero(new)
        return type(self)(group[starts], cluster[starts], np.add.reduceat(totals, starts))
