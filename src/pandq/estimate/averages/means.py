"""Means: averages of named per-row quantities, and their intervals."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from pandq.core.hashing import hash_ids
from pandq.estimate.averages.intervals import (
    Sampling,
    Samplings,
    mean_estimate,
    one_sided_level,
)
from pandq.estimate.averages.votemeans import VoteMeans
from pandq.quantities import quantity
from pandq.results.estimate import Estimate
from pandq.sums.clusters import ClusterTotals
from pandq.sums.groups import GroupMoments, used_groups
from pandq.sums.moments import Moments
from pandq.sums.resample import PoissonBootstrap
from pandq.sums.summary import Summary, alike, merged_by, summary

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from pandq.core.columns import Columns

    Floats = NDArray[np.float64]
    Keys = NDArray[np.uint64]


# The same of every chunk that has none, which nothing changes.
_no_clusters = lru_cache(maxsize=32)(ClusterTotals.empty)
_no_votes = lru_cache(maxsize=32)(VoteMeans.empty)


@summary
class Means(Summary):
    """A Summary of named quantities: moments, totals per cluster, bootstrap replicates.

    >>> rows = Means.empty(("loss",)).of_only(np.array([[1.0], [2.0], [3.0]]))
    >>> print(rows.estimate("loss", level=0.95))
    loss 2.000 nat [-0.484, 4.484]
    """

    names: tuple[str, ...] = merged_by(alike)
    moments: Moments
    clusters: ClusterTotals
    bootstrap: PoissonBootstrap | None = None
    votes: VoteMeans | None = None

    @classmethod
    def empty(
        cls,
        names: tuple[str, ...],
        *,
        replicates: int = 0,
        seed: int = 0,
        of_votes: tuple[str, ...] = (),
    ) -> Self:
        """No rows; with `replicates` the intervals will be a bootstrap's.

        Those `of_votes` are means over votes, too, where it is known who gave these.
        """
        d = len(names)
        drawn = PoissonBootstrap.empty(d, replicates=replicates, seed=seed) if replicates else None
        votes = VoteMeans.empty(tuple(name for name in names if name in of_votes))
        return cls(names, Moments.empty(d), ClusterTotals.empty(d), drawn, votes)

    def of_only(
        self,
        x: Floats | Columns,
        w: Floats | None = None,
        *,
        clusters: Keys | None = None,
        keys: Keys | None = None,
    ) -> Self:
        """(n, d) finite values; `keys` and `clusters` are hashed ids."""
        totals = _no_clusters(len(self.names))
        if clusters is not None:
            totals = totals.of_only(np.zeros(len(x), np.uint64), clusters, x, w)
        drawn = self.bootstrap
        if drawn is not None:
            units = keys if clusters is None else clusters
            drawn = drawn.of_only(hash_ids(np.arange(len(x))) if units is None else units, x, w)
        votes = None if self.votes is None else _no_votes(self.votes.names)
        return type(self)(self.names, self.moments.of_only(x, w), totals, drawn, votes)

    def of_only_finite(self, x: Floats, w: Floats | None, clusters: Keys | None) -> Self:
        """(n, d) values, of which the rows count that are finite throughout."""
        kept = np.isfinite(x).all(axis=1)
        return self.of_only(
            x[kept],
            None if w is None else w[kept],
            clusters=None if clusters is None else clusters[kept],
        )

    @property
    def n(self) -> int:
        """How many rows."""
        return self.moments.n

    def mean(self, name: str) -> float:
        """The weighted mean of one quantity."""
        return float(self.moments.mean[self.names.index(name)])

    def standard_error(self, name: str) -> float:
        """Standard error of the mean: over clusters where there are any, else over rows."""
        return self.sampling(name).standard_error

    def n_annotators(self, name: str) -> int:
        """How many annotators a mean's interval allows for; 0 where it does not."""
        known = self.votes is not None and self.votes.allow_for(name, self.moments.weight)
        return self.votes.n_annotators if known and self.votes is not None else 0

    def sampling(self, name: str) -> Sampling:
        """The mean and what is known of its error: over clusters, or else over rows.

        Where it is known who gave the votes, over these people besides.
        """
        found = self._of_rows(name)
        if self.votes is None or not self.n_annotators(name):
            return found
        return self.votes.crossed(found, name)

    def _of_rows(self, name: str) -> Sampling:
        i, rows = self.names.index(name), self.moments
        if not len(self.clusters.cluster):
            known = rows.mean_variance(i), rows.effective, rows.n, rows.mean_skewness(i)
            heavy = rows.heavy(i)
        else:
            variance, skewness = self.clusters.combined(np.eye(len(self.names))[i])
            known = variance, self.clusters.effective(), rows.n, skewness
            heavy = self.clusters.heavy(i)
        more: dict[str, Any] = {"zero_one": rows.zero_one(i), "unevenness": self._unevenness}
        more["heavy"] = heavy
        return Sampling(float(rows.mean[i]), *known, **more)

    @property
    def _unevenness(self) -> float:
        units = self.clusters
        return units.unevenness() if len(units.cluster) else self.moments.unevenness

    def combination(self, value: float, names: Sequence[str], slope: Floats) -> Sampling:
        """What is known of the error of a value that moves with some means by their slopes."""
        if not len(self.clusters.cluster):
            variance = quadratic(self.covariances(names), slope)
            of_rows = self.moments.effective, self.n
            return Sampling(value, variance, *of_rows, unevenness=self._unevenness)
        of_all = np.zeros(len(self.names))
        of_all[[self.names.index(name) for name in names]] = slope
        variance, skewness = self.clusters.combined(of_all)
        of_units = self.clusters.effective(), self.n, skewness
        return Sampling(value, variance, *of_units, unevenness=self._unevenness)

    def covariance(self, one: str, other: str) -> float:
        """Covariance of two means."""
        return float(self.covariances((one, other))[0, 1])

    def covariances(self, names: Sequence[str]) -> Floats:
        """(d, d) covariances of some of the means."""
        covariance = self.moments.mean_covariance
        if len(self.clusters.cluster):
            covariance = self.clusters.mean_covariance
        places = [self.names.index(name) for name in names]
        some: Floats = covariance()[np.ix_(places, places)]
        return some

    def estimate(
        self,
        name: str,
        *,
        level: float,
        unit: str | None = None,
        method: str = "mean over rows",
        of: str = "",
    ) -> Estimate:
        """One mean with its two-sided interval, which does not reach beyond what can be.

        It is named as the quantity that it is `of`, where that is not its own name.
        """
        known = quantity(of or name)
        if unit is None:
            unit = "nat" if known is None else known.unit
        if self.bootstrap is not None:
            low, high = self._quantiles(name, [(1 - level) / 2, (1 + level) / 2])
            how = f"{method}, Poisson bootstrap of {self._units}"
            spread = float(self.bootstrap.means()[:, self.names.index(name)].std(ddof=1))
            mean = self.mean(name)
            known_as = of or name
            return Estimate(
                mean, low, high, level, unit, self.n, how, known_as, standard_error=spread
            )
        how = f"cluster-robust over {self._units}" if len(self.clusters.cluster) else "Student t"
        if people := self.n_annotators(name):
            over = "" if len(self.clusters.cluster) else f" over {self._units}"
            how = f"{how}{over} and {people:,} annotators"
        found = self.sampling(name)
        told = {"unit": unit, "method": method, "how": how, "name": of or name}
        return mean_estimate(found, level=level, **told)

    def ratio(self, one: str, other: str, *, name: str, scale: float, level: float) -> Estimate:
        """One mean by another, times `scale`, with its two-sided interval.

        Source: Cochran 1977, Sampling Techniques, section 6.3: the ratio estimator.
        """
        size = scale / self.mean(other)
        value = size * self.mean(one)
        if self.bootstrap is not None:
            means = self.bootstrap.means()
            drawn = scale * means[:, self.names.index(one)] / means[:, self.names.index(other)]
            low, high = (
                float(x) for x in np.nanquantile(drawn, [(1 - level) / 2, (1 + level) / 2])
            )
            how = f"ratio of means, Poisson bootstrap of {self._units}"
            spread = float(np.nanstd(drawn, ddof=1))
            return Estimate(value, low, high, level, "", self.n, how, name, standard_error=spread)
        slope = np.array([size, -value / self.mean(other)])
        how = f"cluster-robust over {self._units}" if len(self.clusters.cluster) else "Student t"
        found = self.combination(value, (one, other), slope)
        method = "ratio of means, delta method"
        return mean_estimate(found, level=level, unit="", method=method, how=how, name=name)

    def bounds(self, low: str, high: str, *, level: float) -> tuple[float, float]:
        """An interval for what lies between two means, which holds it wherever it lies there."""
        one, other = self.sampling(low), self.sampling(high)
        covariance = self._covariance(low, high)
        gap_error = math.sqrt(max(one.variance + other.variance - 2 * covariance, 0.0))
        each = one_sided_level(one, other, gap_error=gap_error, level=level)
        if self.bootstrap is not None:
            return self._quantiles(low, [1 - each])[0], self._quantiles(high, [each])[0]
        return one.one_sided(each)[0], other.one_sided(each)[1]

    def _covariance(self, one: str, other: str) -> float:
        """Covariance of two means; 0 where it was not kept, which makes their gap less sure."""
        if len(self.clusters.cluster):
            return self.covariance(one, other)
        found = self.moments.covariance_of(self.names.index(one), self.names.index(other))
        return 0.0 if math.isnan(found) else found

    def at_most(self, name: str, level: float) -> float:
        """The upper one-sided limit of a mean."""
        if self.bootstrap is not None:
            return self._quantiles(name, [level])[0]
        return self.sampling(name).one_sided(level)[1]

    @property
    def _units(self) -> str:
        n = self.clusters.n_clusters()
        return f"{n} clusters" if n else "rows"

    def _quantiles(self, name: str, probabilities: list[float]) -> list[float]:
        if self.bootstrap is None:
            return [float("nan")] * len(probabilities)
        means = self.bootstrap.means()[:, self.names.index(name)]
        return [float(x) for x in np.nanquantile(means, probabilities)]


@summary
class GroupMeans(Summary):
    """The same for the groups of a column."""

    names: tuple[str, ...] = merged_by(alike)
    moments: GroupMoments
    clusters: ClusterTotals

    @classmethod
    def empty(cls, names: tuple[str, ...], *, numbered: bool = False) -> Self:
        """No groups, which are to have names, or to be `numbered`, as classes are."""
        d = len(names)
        return cls(names, GroupMoments.empty(d, numbered=numbered), ClusterTotals.empty(d))

    def of_only(
        self,
        codes: NDArray[np.intp],
        groups: tuple[str, ...] | range,
        x: Floats | Columns,
        w: Floats | None = None,
        *,
        clusters: Keys | None = None,
        moments: GroupMoments | None = None,
    ) -> Self:
        """(n, d) finite values of rows whose group is groups[codes], and their moments if known."""
        totals = _no_clusters(len(self.names))
        if clusters is not None:
            used, place, _ = used_groups(codes, len(groups))
            keys = _group_keys([groups[int(i)] for i in used])[place]
            totals = totals.of_only(keys, clusters, x, w)
        if moments is None:
            moments = self.moments.of_only(codes, groups, x, w)
        return type(self)(self.names, moments, totals)

    def ends(self, names: Sequence[str], *, level: float) -> dict[str, tuple[Floats, ...]]:
        """(G,) values of some means and the ends of their intervals, of all groups at once."""
        if len(self.clusters.cluster):
            each = [[x.estimate(name, level=level) for name in names] for _, x in self.groups()]
            told = np.array([[(x.value, x.low, x.high) for x in some] for some in each], float)
            told = told.reshape(len(each), len(names), 3)
            return {name: tuple(told[:, i].T) for i, name in enumerate(names)}
        found: dict[str, tuple[Floats, ...]] = {}
        for name in names:
            i = self.names.index(name)
            mean = self.moments.mean[:, i]
            variance, effective, zero_one = self.moments.spread(i)
            some = Samplings(mean, variance, effective, self.moments.n, zero_one)
            found[name] = mean, *some.ends(name, level=level)
        return found

    def groups(self) -> Iterator[tuple[str, Means]]:
        """Each group's own Means, in order of appearance."""
        keys = _group_keys(self.moments.names)
        names = map(str, self.moments.names)
        for g, (name, key) in enumerate(zip(names, keys, strict=True)):
            mine = self.clusters.group == key
            totals = ClusterTotals(
                np.zeros(int(mine.sum()), np.uint64),
                self.clusters.cluster[mine],
                self.clusters.totals[mine],
            )
            yield name, Means(self.names, self.moments.group(g), totals)


def _group_keys(names: Sequence[str | int] | NDArray[np.int64]) -> Keys:
    """Names, or numbers, as the keys under which ClusterTotals tells groups apart."""
    return hash_ids(np.array(names, dtype=np.str_))


def quadratic(covariance: Floats, slope: Floats) -> float:
    """The variance of a weighted sum: 0, and not below, where rounding is all that is left of it.

    >>> quadratic(np.array([[1.0, 1.0], [1.0, 1.0]]), np.array([1.0, -1.0]))
    0.0
    """
    if not np.isfinite(covariance).all():
        return float("nan")
    size, turned = np.linalg.eigh(covariance)
    return float(np.maximum(size, 0.0) @ np.square(turned.T @ slope))
