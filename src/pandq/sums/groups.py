"""Weighted means and variances of several per-row quantities in each of many groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from pandq.core.columns import Columns
from pandq.core.kernels import group_sums
from pandq.sums.moments import EQUAL, Moments, Scatter
from pandq.sums.summary import Summary, summary

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Whole = NDArray[np.int64]
    Places = NDArray[np.intp] | slice

# Counting in a table beats sorting while there are no more than so many groups for each row.
_DENSE = 16


@summary
class GroupMoments(Summary):
    """Means and their variances of `d` quantities in each group, in order of appearance.

    Groups have names. Classes are `numbered`, because a vocabulary has so many.
    """

    names: tuple[str, ...] | Whole
    n: Whole
    weight: Floats
    mean: Floats
    weight2: Floats
    mean2: Floats
    m2: Floats

    @classmethod
    def empty(cls, d: int, *, numbered: bool = False) -> Self:
        """No groups of `d` quantities."""
        none, nobody = np.zeros((0, d)), np.zeros(0, np.int64)
        names = nobody if numbered else ()
        return cls(names, nobody, np.zeros(0), none, np.zeros(0), none, none)

    def of_only(
        self,
        codes: NDArray[np.intp],
        names: tuple[str, ...] | range,
        x: Floats | Columns,
        w: Floats | None = None,
    ) -> Self:
        """(n, d) values of rows whose group is names[codes]; groups without rows are left out."""
        used, codes, n = used_groups(codes, len(names))
        size = len(used)
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
        called = used if isinstance(names, range) else tuple(names[i] for i in used)
        return type(self)(called, n, weight, mean, weight2, mean2, m2)

    def merge(self, other: Self) -> Self:
        """Both together; groups seen first come first."""
        if not len(self.names) or not len(other.names):
            return self if len(self.names) else other
        names, into = union(self.names, other.names)
        # of the many groups of a vocabulary few rows are in few: only those are computed anew
        n = _at(self.n, into) + other.n
        w, mine = _at(self.weight, into), _at(self.mean, into)
        weight, mean = _merged_means(w, mine, other.weight, other.mean)
        same = self.mean2 is self.mean and other.mean2 is other.mean
        w2, mine2, weight2, mean2 = w, mine, weight, mean
        if not same:
            w2, mine2 = _at(self.weight2, into), _at(self.mean2, into)
            weight2, mean2 = _merged_means(w2, mine2, other.weight2, other.mean2)
        with np.errstate(invalid="ignore", divide="ignore"):
            between = np.where(weight2 > 0, w2 * other.weight2 / weight2, 0.0)
        m2 = _at(self.m2, into) + other.m2 + between[:, None] * np.square(other.mean2 - mine2)
        pairs = [(self.n, n), (self.weight, weight), (self.mean, mean), (self.m2, m2)]
        pairs += [] if same else [(self.weight2, weight2), (self.mean2, mean2)]
        n, weight, mean, m2, *rest = (_put(x, len(names), into, some) for x, some in pairs)
        weight2, mean2 = rest or (weight, mean)
        return type(self)(names, n, weight, mean, weight2, mean2, m2)

    def split(self, d: int) -> tuple[Self, Self]:
        """Of the first `d` quantities, and of the others."""
        same, found = self.mean2 is self.mean, []
        for some in (slice(d), slice(d, None)):
            mean = self.mean[:, some]
            mean2 = mean if same else self.mean2[:, some]
            about = mean, self.weight2, mean2, self.m2[:, some]
            found.append(type(self)(self.names, self.n, self.weight, *about))
        return found[0], found[1]

    def spread(self, i: int) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """What `Moments` has of a mean's error, of all groups at once: a vocabulary has many.

        Returns:
            (G,) variances of the mean, effective numbers of rows, and whether all values are 0 or
            1.
        """
        weight, weight2, mean2, m2 = self.weight, self.weight2, self.mean2[:, i], self.m2[:, i]
        step = mean2 - self.mean[:, i]
        with np.errstate(divide="ignore", invalid="ignore"):
            effective = np.where(weight2 > 0, weight * weight / weight2, 0.0)
            left = 1 - np.where(effective > 0, 1 / effective, 1.0)
            inflation = np.where(left > EQUAL, (self.n - 1) / self.n / (left * left), np.nan)
            variance = (m2 + weight2 * (step * step)) / (weight * weight) * inflation
        known = (self.n >= 2) & (weight > 0.0)
        apart = np.abs(m2 - weight2 * mean2 * (1 - mean2))
        zero_one = (mean2 >= 0.0) & (mean2 <= 1.0) & (apart <= EQUAL * weight2)
        return np.where(known, variance, np.nan), effective, zero_one

    def group(self, g: int) -> Moments:
        """One group's Moments; covariances between quantities were not kept and are nan."""
        mean, mean2 = self.mean[g], self.mean2[g]
        unknown = np.full((len(mean), len(mean)), np.nan)
        crossed = unknown.copy()
        np.fill_diagonal(crossed, self.m2[g])
        plain = Scatter(float(self.weight[g]), mean, unknown)
        return Moments(int(self.n[g]), plain, Scatter(float(self.weight2[g]), mean2, crossed), None)


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


def used_groups(codes: NDArray[np.intp], size: int) -> tuple[Whole, NDArray[np.intp], Whole]:
    """Which of `size` groups have rows, which of these each row is in, and how many rows each has.

    Raises:
        IndexError: a row is in none of them.

    >>> used_groups(np.array([7, 5, 7]), 100)
    (array([5, 7]), array([1, 0, 1]), array([1, 2]))
    """
    if size > _DENSE * len(codes):
        used, place, n = np.unique(codes, return_inverse=True, return_counts=True)
    else:
        counted = np.bincount(codes, minlength=size)
        used, place = np.flatnonzero(counted), codes
        n = counted[used]
        if len(used) < size:
            place = np.empty(len(counted), np.intp)
            place[used] = np.arange(len(used))
            place = place[codes]
    if len(used) and not 0 <= used[0] <= used[-1] < size:
        raise IndexError(f"a row is in none of {size} groups")  # noqa: EM102
    return used, place, n


def union(
    mine: tuple[str, ...] | Whole, theirs: tuple[str, ...] | Whole
) -> tuple[tuple[str, ...] | Whole, Places]:
    """The groups of both, the first one's first, and where among them the second one's are."""
    if not len(theirs):
        return mine, np.zeros(0, np.intp)
    if isinstance(mine, np.ndarray):
        theirs = np.asarray(theirs)
        if np.array_equal(mine, theirs):
            return mine, slice(None)
        places = np.full(1 + max(mine.max(), theirs.max()), -1, np.intp)
        places[mine] = np.arange(len(mine))
        new = theirs[places[theirs] < 0]
        places[new] = len(mine) + np.arange(len(new))
        return np.concatenate([mine, new]), places[theirs]
    if mine == theirs:
        return mine, slice(None)
    place = {name: g for g, name in enumerate(mine)}
    for name in theirs:
        place.setdefault(name, len(place))
    return tuple(place), np.array([place[name] for name in theirs], np.intp)


def _at(x: NDArray[Any], into: Places) -> NDArray[Any]:
    """A table's rows at some places; 0 where it has none yet."""
    if isinstance(into, slice):
        return x
    known = into < len(x)
    if known.all():
        return x[into]
    found = np.zeros((len(into), *x.shape[1:]), x.dtype)
    found[known] = x[into[known]]
    return found


def _put(x: NDArray[Any], size: int, into: Places, some: NDArray[Any]) -> NDArray[Any]:
    """A table of `size` rows that has some at their places, and elsewhere those of x."""
    if isinstance(into, slice):
        return some
    found = np.empty((size, *x.shape[1:]), x.dtype)
    found[: len(x)] = x
    found[into] = some
    return found
