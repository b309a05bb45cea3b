"""Weighted means, second moments and covariances of several per-row quantities at once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Self

import numpy as np

from pandq.core.columns import Columns
from pandq.core.kernels import central_sums, group_sums
from pandq.sums.summary import Summary, summary, together

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# What rounding leaves of equal numbers, as a share of them.
_EQUAL = 1e-12


@summary
class Scatter(Summary):
    """Total weight, mean, and summed squares and products about the mean."""

    weight: float
    mean: Floats
    m2: Floats

    @classmethod
    def empty(cls, d: int) -> Self:
        """No rows of `d` quantities."""
        return cls(0.0, np.zeros(d), np.zeros((d, d)))

    def of_only(self, x: Floats | Columns, w: Floats | None = None) -> Self:
        """The scatter of (n, d) values with (n,) weights, or weights of one."""
        weight, mean, m2, _ = _central(x, w)
        return type(self)(weight, mean, m2)

    def merge(self, other: Self) -> Self:
        """Both together (Chan, Golub and LeVeque 1983, eq. 2.1)."""
        weight = self.weight + other.weight
        if weight == 0.0:
            return self
        step = other.mean - self.mean
        share = other.weight / weight
        return type(self)(
            weight,
            self.mean + share * step,
            self.m2 + other.m2 + self.weight * share * np.outer(step, step),
        )

    def about(self, centre: Floats) -> Floats:
        """Squares and products about any centre, (d, d)."""
        step = self.mean - centre
        return self.m2 + self.weight * np.outer(step, step)


@summary
class Cubes(Summary):
    """Total weight, mean, and summed squares and cubes about the mean, of each quantity alone."""

    weight: float
    mean: Floats
    m2: Floats
    m3: Floats

    @classmethod
    def empty(cls, d: int) -> Self:
        """No rows of `d` quantities."""
        return cls(0.0, np.zeros(d), np.zeros(d), np.zeros(d))

    def of_only(self, x: Floats | Columns, w: Floats | None = None) -> Self:
        """The cubes of (n, d) values with (n,) weights, or weights of one."""
        weight, mean, m2, m3 = _central(x, w)
        return type(self)(weight, mean, np.diag(m2).copy(), m3)

    def merge(self, other: Self) -> Self:
        """Both together (Pébay 2008, SAND2008-6212, eqs. 2.1 and 2.2)."""
        weight = self.weight + other.weight
        if weight == 0.0:
            return self
        mine, share = self.weight / weight, other.weight / weight
        step = other.mean - self.mean
        between = self.weight * share * step
        with np.errstate(over="ignore", invalid="ignore"):
            m3 = self.m3 + other.m3 + between * step * step * (mine - share)
            m3 += 3 * step * (mine * other.m2 - share * self.m2)
        return type(self)(weight, self.mean + share * step, self.m2 + other.m2 + between * step, m3)

    def about(self, centre: Floats) -> tuple[Floats, Floats]:
        """Squares and cubes about any centre, (d,) each."""
        step = self.mean - centre
        added = self.weight * step * step
        return self.m2 + added, self.m3 + step * (3 * self.m2 + added)


@summary
class Moments(Summary):
    """Means of `d` quantities, the covariance of those means and their skewness.

    >>> rows = Moments.empty(1).of_only(np.array([[1.0], [2.0], [3.0]]))
    >>> rows.mean, rows.mean_covariance()
    (array([2.]), array([[0.33333333]]))
    """

    n: int
    plain: Scatter
    squared: Scatter
    cubed: Cubes | None

    @classmethod
    def empty(cls, d: int) -> Self:
        """No rows of `d` quantities."""
        none = Scatter.empty(d)
        return cls(0, none, none, Cubes.empty(d))

    def of_only(self, x: Floats | Columns, w: Floats | None = None) -> Self:
        """The moments of (n, d) finite values, with (n,) weights if rows count unequally."""
        if w is None:
            weight, mean, m2, m3 = _central(x, None)
            plain = Scatter(weight, mean, m2)
            return type(self)(len(x), plain, plain, Cubes(weight, mean, np.diag(m2).copy(), m3))
        # rows drawn independently: Var(sum w x / sum w) needs the scatter under w^2
        w2 = np.square(w)
        return type(self)(
            len(x),
            self.plain.of_only(x, w),
            self.squared.of_only(x, w2),
            Cubes.empty(x.shape[1]).of_only(x, w2 * w),
        )

    def merge(self, other: Self) -> Self:
        """Both together; where no row has a weight, what is plain is what is squared."""
        plain = squared = self.plain.merge(other.plain)
        if self.squared is not self.plain or other.squared is not other.plain:
            squared = self.squared.merge(other.squared)
        cubed = together(self.cubed, other.cubed)
        return type(self)(self.n + other.n, plain, squared, cubed)

    @property
    def mean(self) -> Floats:
        """(d,) weighted means."""
        return self.plain.mean

    @property
    def weight(self) -> float:
        """Total weight."""
        return self.plain.weight

    def covariance(self) -> Floats:
        """(d, d) weighted covariance of the rows."""
        return self.plain.m2 / self.plain.weight

    @property
    def effective(self) -> float:
        """Kish's effective number of rows, (sum w)^2 / sum w^2."""
        return self.weight**2 / self.squared.weight if self.squared.weight > 0 else 0.0

    def mean_covariance(self) -> Floats:
        """(d, d) covariance of the means, for independent rows; nan for fewer than two."""
        if self.n < 2:
            return np.full_like(self.plain.m2, np.nan)
        each = np.array([self._inflation(i) for i in range(len(self.mean))])
        return self.squared.about(self.mean) / self.weight**2 * np.sqrt(np.outer(each, each))

    def mean_variance(self, i: int) -> float:
        """What `mean_covariance` has at (i, i), for tables of thousands of means.

        >>> rows = Moments.empty(1).of_only(np.array([[1.0], [2.0], [3.0]]))
        >>> bool(abs(rows.mean_variance(0) - rows.mean_covariance()[0, 0]) < 1e-15)
        True
        """
        if self.n < 2 or not self.weight > 0.0:
            return float("nan")
        return self._scatter(i) / self.weight**2 * self._inflation(i)

    def covariance_of(self, i: int, j: int) -> float:
        """What `mean_covariance` has at (i, j); nan where products were not kept."""
        if self.n < 2 or not self.weight > 0.0:
            return float("nan")
        step = self.squared.mean[[i, j]] - self.plain.mean[[i, j]]
        products = float(self.squared.m2[i, j] + self.squared.weight * step[0] * step[1])
        return products / self.weight**2 * math.sqrt(self._inflation(i) * self._inflation(j))

    def mean_skewness(self, i: int) -> float:
        """Skewness of a mean, sum e^3 / (sum e^2)^1.5 of e = w (x - mean); 0 if it was not kept.

        >>> rows = Moments.empty(1).of_only(np.array([[0.0], [0.0], [0.0], [4.0]]))
        >>> round(rows.mean_skewness(0), 4)
        0.5774
        """
        m2 = self._scatter(i)
        if self.cubed is None or not m2 > 0.0:
            return 0.0
        with np.errstate(over="ignore", invalid="ignore"):
            found = float(self.cubed.about(self.mean)[1][i]) / m2 / math.sqrt(m2)
        # cubes of losses beyond 1e100 are no numbers
        return found if math.isfinite(found) else 0.0

    def zero_one(self, i: int) -> bool:
        """Whether every row's value is 0 or 1: only then is its mean square its mean."""
        mean, weight = float(self.squared.mean[i]), self.squared.weight
        apart = float(self.squared.m2[i, i]) - weight * mean * (1 - mean)
        return 0.0 <= mean <= 1.0 and abs(apart) <= _EQUAL * weight

    def _scatter(self, i: int) -> float:
        step = float(self.squared.mean[i]) - float(self.plain.mean[i])
        return float(self.squared.m2[i, i]) + self.squared.weight * (step * step)

    def _inflation(self, i: int) -> float:
        """What leaving out one row after the other makes of sum e^2, for rows that weigh h = w/W.

        sum e^2 / (1 - h)^2 would need all rows again; with h as it is on average, weighted by e^2,
        it is the same where weights are equal or one row has nearly all of the error.
        """
        m2, share = self._scatter(i), 1 / self.effective if self.effective else 1.0
        if self.cubed is not None and m2 > 0.0:
            share = float(self.cubed.about(self.mean)[0][i]) / (m2 * self.weight)
        left = 1 - share
        return (self.n - 1) / self.n / left**2 if left > _EQUAL else float("nan")


@summary
class GroupMoments(Summary):
    """Means and their variances of `d` quantities in each named group, in order of appearance."""

    names: tuple[str, ...]
    n: NDArray[np.int64]
    weight: Floats
    mean: Floats
    weight2: Floats
    mean2: Floats
    m2: Floats

    @classmethod
    def empty(cls, d: int) -> Self:
        """No groups of `d` quantities."""
        none = np.zeros((0, d))
        return cls((), np.zeros(0, np.int64), np.zeros(0), none, np.zeros(0), none, none)

    def of_only(
        self,
        codes: NDArray[np.intp],
        names: tuple[str, ...],
        x: Floats | Columns,
        w: Floats | None = None,
    ) -> Self:
        """(n, d) values of rows whose group is names[codes]; groups without rows are left out."""
        counted = np.bincount(codes, minlength=len(names))
        used = np.flatnonzero(counted)
        if len(used) < len(names):
            place = np.empty(len(names), np.intp)
            place[used] = np.arange(len(used))
            codes = place[codes]
        size, n = len(used), counted[used]
        x, which = Columns.of(x).distinct()
        if w is None:
            # of each group there is a row
            weight = weight2 = n.astype(np.float64)
            mean = mean2 = group_sums(codes, size, x) / weight[:, None]
            m2 = group_sums(codes, size, x, None, mean)[:, which]
            mean = mean2 = mean[:, which]
        else:
            w2 = np.square(w)
            weight, mean = _group_means(codes, size, x, w)
            weight2, mean2 = _group_means(codes, size, x, w2)
            m2 = group_sums(codes, size, x, w2, mean2)[:, which]
            mean, mean2 = mean[:, which], mean2[:, which]
        return type(self)(tuple(names[i] for i in used), n, weight, mean, weight2, mean2, m2)

    def merge(self, other: Self) -> Self:
        """Both together; groups seen first come first."""
        a, b, names = self, other, self.names
        if names != other.names:
            place = {name: i for i, name in enumerate(self.names)}
            for name in other.names:
                place.setdefault(name, len(place))
            into = np.array([place[name] for name in other.names], dtype=np.intp)
            a, b = self._spread(np.arange(len(names)), len(place)), other._spread(into, len(place))
            names = tuple(place)
        weight, mean = _merged_means(a.weight, a.mean, b.weight, b.mean)
        weight2, mean2 = weight, mean
        if a.mean2 is not a.mean or b.mean2 is not b.mean:
            weight2, mean2 = _merged_means(a.weight2, a.mean2, b.weight2, b.mean2)
        with np.errstate(invalid="ignore", divide="ignore"):
            between = np.where(weight2 > 0, a.weight2 * b.weight2 / weight2, 0.0)
        m2 = a.m2 + b.m2 + between[:, None] * np.square(b.mean2 - a.mean2)
        return type(self)(names, a.n + b.n, weight, mean, weight2, mean2, m2)

    def split(self, d: int) -> tuple[Self, Self]:
        """Of the first `d` quantities, and of the others."""
        same, found = self.mean2 is self.mean, []
        for some in (slice(d), slice(d, None)):
            mean = self.mean[:, some]
            mean2 = mean if same else self.mean2[:, some]
            about = mean, self.weight2, mean2, self.m2[:, some]
            found.append(type(self)(self.names, self.n, self.weight, *about))
        return found[0], found[1]

    def group(self, g: int) -> Moments:
        """One group's Moments; covariances between quantities were not kept and are nan."""
        mean, mean2 = self.mean[g], self.mean2[g]
        unknown = np.full((len(mean), len(mean)), np.nan)
        crossed = unknown.copy()
        np.fill_diagonal(crossed, self.m2[g])
        plain = Scatter(float(self.weight[g]), mean, unknown)
        return Moments(int(self.n[g]), plain, Scatter(float(self.weight2[g]), mean2, crossed), None)

    def _spread(self, into: NDArray[np.intp], size: int) -> Self:
        """The same groups at other places in a table of `size`."""

        def moved(x: NDArray[np.float64]) -> NDArray[np.float64]:
            out = np.zeros((size, *x.shape[1:]), x.dtype)
            out[into] = x
            return out

        fields = (self.n, self.weight, self.mean, self.weight2, self.mean2, self.m2)
        return type(self)(self.names, *map(moved, fields))  # type: ignore[arg-type]


def _central(x: Floats | Columns, w: Floats | None) -> tuple[float, Floats, Floats, Floats]:
    """Total weight, mean, squares and products about it, and cubes."""
    d = x.shape[1]
    weight = float(len(x)) if w is None else float(w.sum())
    if weight == 0.0:
        return weight, np.zeros(d), np.zeros((d, d)), np.zeros(d)
    if w is not None or not isinstance(x, Columns):
        x = np.asarray(x)
        mean = x.mean(axis=0) if w is None else (w @ x) / weight
        return weight, mean, *central_sums(x, mean, w)
    apart, which = x.distinct()
    mean = apart.sums() / weight
    m2, m3 = central_sums(apart, mean)
    return weight, mean[which], m2[np.ix_(which, which)], m3[which]


def _group_means(
    codes: NDArray[np.intp], size: int, x: Columns, w: Floats
) -> tuple[Floats, Floats]:
    weight = np.bincount(codes, weights=w, minlength=size).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = group_sums(codes, size, x, w) / weight[:, None]
    return weight, np.where(weight[:, None] > 0, mean, 0.0)


def _merged_means(
    weight_a: Floats, mean_a: Floats, weight_b: Floats, mean_b: Floats
) -> tuple[Floats, Floats]:
    weight = weight_a + weight_b
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(weight > 0, weight_b / weight, 0.0)
    return weight, mean_a + share[:, None] * (mean_b - mean_a)
