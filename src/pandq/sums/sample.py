"""A fixed number of rows, chosen by the hash of their ids: the same rows in any chunking."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from pandq.sums.summary import Summary, summary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Keys = NDArray[np.uint64]
    Whole = NDArray[np.int64]
    Places = NDArray[np.intp]


@summary
class StrataSizes(Summary):
    """How many rows went by in each stratum."""

    n: Whole

    @classmethod
    def empty(cls) -> Self:
        """No strata."""
        return cls(np.zeros(0, np.int64))

    def of_only(self, n: Whole) -> Self:
        """So many rows of each."""
        return type(self)(n)

    def merge(self, other: Self) -> Self:
        """Both together."""
        n = np.zeros(max(len(self.n), len(other.n)), np.int64)
        n[: len(self.n)] += self.n
        n[: len(other.n)] += other.n
        return type(self)(n)


@summary
class Sample(Summary):
    """The `size` rows of smallest key, and the `least` of each stratum, by their row numbers.

    With keys that are hashes the first are a uniform sample without replacement (Cohen 1997), and
    so are those of each stratum, of which `seen` counts all: weighted with `inverse_share` they
    stand for all rows (Cochran 1977, section 5A.9, stratification after selection).

    >>> keys = np.array([5, 1, 9], dtype=np.uint64)
    >>> Sample.empty(2).of_only(keys, np.arange(3), {"x": np.array([50, 10, 90])}).columns["x"]
    array([50, 10])
    """

    size: int
    least: int
    keys: Keys
    row: Whole
    strata: Whole
    seen: StrataSizes
    columns: dict[str, NDArray[Any]]

    @classmethod
    def empty(cls, size: int, least: int = 0) -> Self:
        """No rows, of at most `size` and what is missing of each stratum's `least`."""
        none = np.zeros(0, np.int64)
        return cls(size, least, np.zeros(0, np.uint64), none, none, StrataSizes.empty(), {})

    def of_only(
        self,
        keys: Keys,
        row: Whole,
        columns: dict[str, NDArray[Any]],
        strata: Whole | None = None,
        seen: Whole | None = None,
    ) -> Self:
        """Rows with hashed ids, their numbers, and whatever belongs to them, row by row.

        Args:
            keys: (n,) hashed ids.
            row: (n,) row numbers.
            columns: arrays of n rows.
            strata: (n,) numbers of strata from 0; one for all when left out.
            seen: how many rows there are of each, with those that cannot be in the sample.
        """
        if strata is None or seen is None:
            strata, seen = np.zeros(len(keys), np.int64), np.full(1, len(keys))
        few = slice(None) if len(keys) <= self.size else self._kept(keys, row, strata)
        columns = {name: column[few] for name, column in columns.items()}
        counted = self.seen.of_only(seen)
        return replace(
            self, keys=keys[few], row=row[few], strata=strata[few], seen=counted, columns=columns
        )

    def merge(self, other: Self) -> Self:
        """The smallest of both."""
        return self.with_all([other])

    def with_all(self, others: Sequence[Self]) -> Self:
        """The smallest of all, none of which is moved more than once."""
        some = [one for one in (self, *others) if one.columns]
        if len(some) < 2:
            return some[0] if some else self
        keys = np.concatenate([one.keys for one in some])
        row = np.concatenate([one.row for one in some])
        strata = np.concatenate([one.strata for one in some])
        few, seen = self._kept(keys, row, strata), reduce(_merged, (one.seen for one in some))
        # what rows do not stay is known before the columns, which are large, are touched
        columns = {
            name: _taken([one.columns[name] for one in some], few) for name in some[0].columns
        }
        return replace(
            some[0], keys=keys[few], row=row[few], strata=strata[few], seen=seen, columns=columns
        )

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def uniform(self) -> NDArray[np.bool_]:
        """(n,) which rows are among the `size` of smallest key."""
        return _smallest(self.keys, self.row, self.size)

    @property
    def inverse_share(self) -> Floats:
        """(n,) how many rows of its stratum each one stands for."""
        kept = np.bincount(self.strata, minlength=len(self.seen.n))
        shares: Floats = (self.seen.n / np.maximum(kept, 1))[self.strata]
        return shares / shares.min() if len(shares) else shares

    def _kept(self, keys: Keys, row: Whole, strata: Whole) -> Places:
        """Which rows stay, by their row numbers; all, as they are, where they are no more."""
        if len(keys) <= self.size:
            return np.arange(len(keys))
        chosen = _smallest(keys, row, self.size)
        if self.least:
            # a stratum that has enough among those needs none besides
            enough = np.bincount(strata[chosen], minlength=int(strata.max()) + 1) >= self.least
            rest = np.flatnonzero(~enough[strata])
            for stratum in np.unique(strata[rest]):
                some = rest[strata[rest] == stratum]
                chosen[some[_smallest(keys[some], row[some], self.least)]] = True
        few = np.flatnonzero(chosen)
        return few[np.argsort(row[few], kind="stable")]


def _smallest(keys: Keys, row: Whole, n: int) -> NDArray[np.bool_]:
    """Which rows are among the n of smallest key, the first ones among equals."""
    if len(keys) <= n:
        return np.ones(len(keys), np.bool_)
    edge = np.partition(keys, n)[n]
    chosen: NDArray[np.bool_] = keys < edge
    equal = np.flatnonzero(keys == edge)
    chosen[equal[np.argsort(row[equal], kind="stable")[: n - np.count_nonzero(chosen)]]] = True
    return chosen


def _merged(one: StrataSizes, other: StrataSizes) -> StrataSizes:
    return one.merge(other)


def _taken(arrays: Sequence[NDArray[Any]], few: Places) -> NDArray[Any]:
    """Some rows of arrays that are thought to lie one after the other."""
    ends = np.cumsum([len(one) for one in arrays])
    if (few[1:] < few[:-1]).any():
        return np.concatenate(arrays)[few]
    if len(few) == ends[-1]:
        return np.concatenate(arrays)
    # of large arrays most rows stay: they are copied once
    found = np.empty((len(few), *arrays[0].shape[1:]), np.result_type(*arrays))
    first = 0
    for one, end, last in zip(arrays, ends, np.searchsorted(few, ends), strict=True):
        here = few[first:last] - (end - len(one))
        np.take(one, here, axis=0, out=found[first:last], mode="clip")
        first = last
    return found
