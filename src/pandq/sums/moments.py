"""Weighted means, second moments and covariances of several per-row quantities at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from pandq.core.kernels import group_sums
from pandq.sums.summary import Summary, summary

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


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

    def of_only(self, x: Floats, w: Floats | None = None) -> Self:
        """The scatter of (n, d) values with (n,) weights, or weights of one."""
        weight = float(len(x)) if w is None else float(w.sum())
        if weight == 0.0:
            return self.empty(x.shape[1])
        mean = (x.mean(axis=0)) if w is None else (w @ x) / weight
        centred = x - mean
        weighted = centred if w is None else centred * w[:, None]
        return type(self)(weight, mean, weighted.T @ centred)

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
class Moments(Summary):
    """Means of `d` quantities and the covariance of those means.

    >>> rows = Moments.empty(1).of_only(np.array([[1.0], [2.0], [3.0]]))
    >>> rows.mean, rows.mean_covariance()
    (array([2.]), array([[0.33333333]]))
    """

    n: int
    plain: Scatter
    squared: Scatter

    @classmethod
    def empty(cls, d: int) -> Self:
        """No rows of `d` quantities."""
        return cls(0, Scatter.empty(d), Scatter.empty(d))

    def of_only(self, x: Floats, w: Floats | None = None) -> Self:
        """The moments of (n, d) finite values, with (n,) weights if rows count unequally."""
        plain = self.plain.of_only(x, w)
        # rows drawn independently: Var(sum w x / sum w) needs the scatter under w^2
        return type(self)(
            len(x), plain, plain if w is None else self.squared.of_only(x, np.square(w))
        )

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

    def mean_covariance(self) -> Floats:
        """(d, d) covariance of the means, for independent rows; nan for fewer than two."""
        if self.n < 2:
            return np.full_like(self.plain.m2, np.nan)
        return self.squared.about(self.mean) / self.weight**2 * (self.n / (self.n - 1))

    def mean_variance(self, i: int) -> float:
        """What `mean_covariance` has at (i, i), for tables of thousands of means.

        >>> rows = Moments.empty(1).of_only(np.array([[1.0], [2.0], [3.0]]))
        >>> bool(rows.mean_variance(0) == rows.mean_covariance()[0, 0])
        True
        """
        if self.n < 2:
            return float("nan")
        step = float(self.squared.mean[i]) - float(self.plain.mean[i])
        m2 = float(self.squared.m2[i, i]) + self.squared.weight * (step * step)
        return m2 / self.weight**2 * (self.n / (self.n - 1))


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
        x: Floats,
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
        weight, mean = _group_means(codes, size, x, w)
        w2 = None if w is None else np.square(w)
        weight2, mean2 = (weight, mean) if w2 is None else _group_means(codes, size, x, w2)
        m2 = group_sums(codes, size, x, w2, mean2)
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
        weight2, mean2 = _merged_means(a.weight2, a.mean2, b.weight2, b.mean2)
        with np.errstate(invalid="ignore", divide="ignore"):
            between = np.where(weight2 > 0, a.weight2 * b.weight2 / weight2, 0.0)
        m2 = a.m2 + b.m2 + between[:, None] * np.square(b.mean2 - a.mean2)
        return type(self)(names, a.n + b.n, weight, mean, weight2, mean2, m2)

    def group(self, g: int) -> Moments:
        """One group's Moments; covariances between quantities were not kept and are nan."""
        mean, mean2 = self.mean[g], self.mean2[g]
        unknown = np.full((len(mean), len(mean)), np.nan)
        crossed = unknown.copy()
        np.fill_diagonal(crossed, self.m2[g])
        plain = Scatter(float(self.weight[g]), mean, unknown)
        return Moments(int(self.n[g]), plain, Scatter(float(self.weight2[g]), mean2, crossed))

    def _spread(self, into: NDArray[np.intp], size: int) -> Self:
        """The same groups at other places in a table of `size`."""

        def moved(x: NDArray[np.float64]) -> NDArray[np.float64]:
            out = np.zeros((size, *x.shape[1:]), x.dtype)
            out[into] = x
            return out

        fields = (self.n, self.weight, self.mean, self.weight2, self.mean2, self.m2)
        return type(self)(self.names, *map(moved, fields))  # type: ignore[arg-type]


def _group_means(
    codes: NDArray[np.intp], size: int, x: Floats, w: Floats | None
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
