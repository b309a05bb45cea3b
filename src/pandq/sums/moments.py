"""Weighted means, second moments and covariances of several per-row quantities at once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Self

import numpy as np

from pandq.core.columns import Columns
from pandq.core.kernels import central_sums
from pandq.sums.summary import Summary, summary, together

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# What rounding leaves of equal numbers, as a share of them.
EQUAL = 1e-12


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
        if not self.n or not other.n:
            return self if self.n else other
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
        return self.weight * self.weight / self.squared.weight if self.squared.weight > 0 else 0.0

    @property
    def unevenness(self) -> float:
        """How uneven the weights are, sum w sum w^3 / (sum w^2)^2; 1 if it was not kept."""
        squares = self.squared.weight
        if self.cubed is None or not squares > 0:
            return 1.0
        # cubes of weights beyond 1e100 are no numbers
        found = self.weight / squares * (self.cubed.weight / squares)
        return found if math.isfinite(found) else 1.0

    def heavy(self, i: int) -> float | None:
        """The mean by squared weights; None if it is the mean itself, or no cubes are kept."""
        found = float(self.squared.mean[i])
        return None if self.cubed is None or found == self.plain.mean[i] else found

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
        return self._scatter(i) / (self.weight * self.weight) * self._inflation(i)

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
        return 0.0 <= mean <= 1.0 and abs(apart) <= EQUAL * weight

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
        return (self.n - 1) / self.n / (left * left) if left > EQUAL else float("nan")


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
