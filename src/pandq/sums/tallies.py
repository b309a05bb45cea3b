"""Tallies: a histogram on a log scale, the worst rows, the rows that are infinite."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from pandq.errors import InputError
from pandq.sums.summary import Summary, summary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LARGEST_LOG = math.log(np.finfo(np.float64).max)


@summary
class LogHistogram(Summary):
    """Weights in log-spaced bins: quantiles of non-negative values within `accuracy` of exact.

    >>> rows = LogHistogram.empty().of_only(np.array([0.0, 1.0, 2.0, 3.0, np.inf]))
    >>> rows.quantile([0.0, 0.5, 1.0]).round(2)
    array([ 0.,  2., inf])
    """

    accuracy: float
    index: NDArray[np.int64]
    weight: Floats
    largest: float = 0.0
    least: float = np.inf

    # bins for 0 and for infinity, beyond any float64's logarithm at the finest accuracy
    ZERO = -(1 << 62)
    INFINITE = 1 << 62

    @classmethod
    def empty(cls, accuracy: float = 0.005) -> Self:
        """No values; quantiles will be within a relative error of `accuracy`."""
        if not 1e-6 <= accuracy < 1:
            raise InputError(what="accuracy must lie between 1e-6 and 1", got=str(accuracy))
        return cls(accuracy, np.zeros(0, np.int64), np.zeros(0))

    @property
    def _log_base(self) -> float:
        return float(np.log1p(self.accuracy) - np.log1p(-self.accuracy))

    def of_only(self, x: Floats, w: Floats | None = None) -> Self:
        """The tally of (n,) values from 0 to infinity.

        Source: Masson, Rim and Lee 2019 (DDSketch), section 2.
        """
        if w is not None:
            used = w > 0
            x, w = x[used], w[used]
        least, largest = float(x.min(initial=np.inf)), float(x.max(initial=0.0))
        some, of_some = x, w
        if not (least > 0 and largest < np.inf):
            ordinary = np.isfinite(x) & (x > 0)
            some, of_some = x[ordinary], w if w is None else w[ordinary]
        bins = np.log(some)
        bins /= self._log_base
        index, weight = weights_of(np.ceil(bins, out=bins).astype(np.int64), of_some)
        for edge, value in ((self.ZERO, 0.0), (self.INFINITE, np.inf)) if some is not x else ():
            if (place := x == value).any():
                total = float(place.sum() if w is None else w[place].sum())
                at = 0 if edge < 0 else len(index)
                index, weight = np.insert(index, at, edge), np.insert(weight, at, total)
        return type(self)(self.accuracy, index, weight, largest, least)

    def places(self, x: Floats) -> NDArray[np.int64]:
        """The bin of each of (n,) values from 0 to infinity."""
        found = np.where(x == 0, self.ZERO, np.full(len(x), self.INFINITE))
        ordinary = np.isfinite(x) & (x > 0)
        found[ordinary] = np.ceil(np.log(x[ordinary]) / self._log_base).astype(np.int64)
        return found

    def merge(self, other: Self) -> Self:
        """Both together."""
        return self._gathered(
            np.concatenate([self.index, other.index]),
            np.concatenate([self.weight, other.weight]),
            max(self.largest, other.largest),
            min(self.least, other.least),
        )

    def bins(self) -> tuple[Floats, Floats]:
        """Values at the middle of the occupied bins, rising, and their weights."""
        with np.errstate(over="ignore"):
            value = np.exp(self.index * self._log_base) * (1 - self.accuracy)
        value = np.minimum(value, np.finfo(np.float64).max)
        value[self.index == self.ZERO] = 0.0
        value[self.index == self.INFINITE] = np.inf
        return value, self.weight

    def coarse(self, scale: float = 1.0, *, most: int = 40) -> dict[str, Any]:
        """At most `most` bins of equal width on a log scale, for a picture, as JSON values.

        Args:
            scale: what a value is multiplied with.
            most: how many bins there may be.

        Returns:
            `bins` of {from, to, rows}, and the weights at exactly `zero` and at `infinite`.
        """
        ordinary = (self.index != self.ZERO) & (self.index != self.INFINITE)
        index, weight = self.index[ordinary], self.weight[ordinary]
        found: dict[str, Any] = {
            "zero": float(self.weight[self.index == self.ZERO].sum()),
            "infinite": float(self.weight[self.index == self.INFINITE].sum()),
            "bins": [],
        }
        if len(index):
            first = int(index.min())
            width = -(-(int(index.max()) - first + 1) // most)
            rows = np.bincount((index - first) // width, weights=weight)
            logs = (first - 1 + width * np.arange(len(rows) + 1)) * self._log_base + math.log(scale)
            # beyond the largest number there is none to be in
            edges = np.exp(np.minimum(logs, LARGEST_LOG))
            found["bins"] = [
                {"from": float(a), "to": float(b), "rows": float(n)}
                for a, b, n in zip(edges[:-1], edges[1:], rows, strict=True)
            ]
        return found

    def quantile(self, probability: Sequence[float]) -> Floats:
        """The smallest bin that holds at least each share of the weight; nan if empty."""
        if not len(self.index):
            return np.full(len(probability), np.nan)
        value, weight = self.bins()
        reached = np.cumsum(weight)
        place = np.searchsorted(reached, np.asarray(probability) * reached[-1] * (1 - 1e-12))
        found: Floats = value[np.minimum(place, len(value) - 1)]
        # the ends of the distribution are known exactly, and nothing lies beyond them
        wanted = np.asarray(probability)
        within = np.clip(found, self.least, self.largest)
        return np.select([wanted == 0.0, wanted == 1.0], [self.least, self.largest], within)

    def _gathered(
        self, index: NDArray[np.int64], weight: Floats, largest: float, least: float
    ) -> Self:
        index, inverse = np.unique(index, return_inverse=True)
        total = np.bincount(inverse, weights=weight, minlength=len(index)).astype(np.float64)
        return type(self)(self.accuracy, index, total, largest, least)


@summary
class UnitHistogram(Summary):
    """Weights in equal bins from -1 to 1: quantiles of differences of probabilities, to WIDTH / 2.

    >>> rows = UnitHistogram.empty().of_only(np.array([-0.5, 0.0, 0.25]))
    >>> rows.quantile([0.0, 0.5, 1.0]).round(4)
    array([-0.5 ,  0.  ,  0.25])
    """

    index: NDArray[np.int64]
    weight: Floats
    least: float = np.inf
    largest: float = -np.inf

    WIDTH = 1e-4

    @classmethod
    def empty(cls) -> Self:
        """No values."""
        return cls(np.zeros(0, np.int64), np.zeros(0))

    def of_only(self, x: Floats, w: Floats | None = None) -> Self:
        """The tally of (n,) values from -1 to 1."""
        if w is not None:
            x, w = x[w > 0], w[w > 0]
        index, weight = weights_of(np.rint(x / self.WIDTH).astype(np.int64), w)
        least, largest = float(x.min(initial=np.inf)), float(x.max(initial=-np.inf))
        return type(self)(index, weight, least, largest)

    def merge(self, other: Self) -> Self:
        """Both together."""
        index, inverse = np.unique(np.concatenate([self.index, other.index]), return_inverse=True)
        weight = np.concatenate([self.weight, other.weight])
        total = np.bincount(inverse, weights=weight, minlength=len(index)).astype(np.float64)
        least, largest = min(self.least, other.least), max(self.largest, other.largest)
        return type(self)(index, total, least, largest)

    def quantile(self, probability: Sequence[float]) -> Floats:
        """The bin that holds each share of the weight; the ends are exact; nan if empty."""
        wanted = np.asarray(probability)
        if not len(self.index):
            return np.full(len(wanted), np.nan)
        reached = np.cumsum(self.weight)
        place = np.searchsorted(reached, wanted * reached[-1] * (1 - 1e-12))
        middle = self.index[np.minimum(place, len(self.index) - 1)] * self.WIDTH
        found: Floats = np.clip(middle, self.least, self.largest)
        return np.select([wanted == 0.0, wanted == 1.0], [self.least, self.largest], found)


def weights_of(codes: NDArray[np.int64], w: Floats | None) -> tuple[NDArray[np.int64], Floats]:
    """The distinct codes, rising, and the weight of each.

    >>> weights_of(np.array([7, 5, 7]), None)
    (array([5, 7]), array([1., 2.]))
    """
    if not len(codes):
        return np.zeros(0, np.int64), np.zeros(0)
    least = int(codes.min())
    if int(codes.max()) - least > _DENSE * len(codes):
        codes, places = np.unique(codes, return_inverse=True)
        return codes, np.bincount(places, weights=w).astype(np.float64)
    counted = np.bincount(codes - least)
    there = np.flatnonzero(counted)
    weight = counted if w is None else np.bincount(codes - least, weights=w)
    return there + least, weight[there].astype(np.float64)


# Counting in a table beats sorting while the table has no more than so many places for each code.
_DENSE = 16


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """A row that a report shows: its id, and P and Q where they are largest."""

    id: str | int | None
    top: NDArray[np.intp]
    p: Floats
    q: Floats


@summary
class WorstRows(Summary):
    """The `k` rows of largest value, largest first, earliest first among equals."""

    k: int
    value: Floats
    row: NDArray[np.int64]
    details: Floats
    ids: tuple[Shown | str | int | None, ...]

    @classmethod
    def empty(cls, k: int, d: int) -> Self:
        """No rows yet; each will bring `d` details."""
        return cls(k, np.zeros(0), np.zeros(0, np.int64), np.zeros((0, d)), ())

    def of_only(self, value: Floats, row: NDArray[np.int64], details: Floats, ids: Any) -> Self:
        """The worst of (n,) values, with their row numbers, (n, d) details and ids."""
        keep = self.chosen(value, row)
        chosen = tuple(plain(ids[int(i)]) for i in keep)
        return type(self)(self.k, value[keep], row[keep], details[keep], chosen)

    def chosen(self, value: Floats, row: NDArray[np.int64]) -> NDArray[np.intp]:
        """Which of (n,) values are the worst, in their order."""
        if self.k == 0:
            return np.zeros(0, np.intp)
        near = near_top(value, self.k)
        return near[np.lexsort((row[near], -value[near]))[: self.k]]

    def merge(self, other: Self) -> Self:
        """The worst of both."""
        value = np.concatenate([self.value, other.value])
        row = np.concatenate([self.row, other.row])
        keep = np.lexsort((row, -value))[: self.k]
        ids = self.ids + other.ids
        details = np.concatenate([self.details, other.details])[keep]
        return type(self)(self.k, value[keep], row[keep], details, tuple(ids[i] for i in keep))


def near_top(value: Floats, k: int) -> NDArray[np.intp]:
    """Where the k largest of some numbers are, with all that equal the least of these, and others.

    Few others: what remains is to put them in order.

    >>> near_top(np.array([1.0, 3.0, 2.0, 3.0]), 1)
    array([1, 3])
    """
    near = np.flatnonzero(value >= _not_above(value, k))
    return near[value[near] >= _not_above(value[near], k)]


def _not_above(value: Floats, k: int) -> float:
    """A number that the k-th largest of some is not below; of few, that one."""
    n = len(value)
    if n <= k:
        return -np.inf
    if n > 2 * _ROWS_OF_MANY * k:
        # in each row of a table there is one that is no smaller than its largest
        whole = n - n % _ROWS_OF_MANY
        value = value[:whole].reshape(_ROWS_OF_MANY, -1).max(axis=0)
    return float(np.partition(value, len(value) - k)[len(value) - k])


_ROWS_OF_MANY = 64


def as_python(value: Any) -> Any:
    """A scalar of NumPy or Arrow as a value of Python's; a time that it has none for as text."""
    if isinstance(value, np.generic):
        return value.item()
    if not hasattr(value, "as_py"):
        return value
    try:
        return value.as_py()
    except (OverflowError, ValueError):
        return value.cast("string").as_py()


def plain(identity: Any) -> Any:
    """An id as JSON has it, which crosses to other processes and into files; a Shown as it is."""
    if isinstance(identity, Shown):
        return identity
    value = as_python(identity)
    return value if isinstance(value, int) or value is None else str(value)
