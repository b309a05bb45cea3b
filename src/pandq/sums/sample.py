"""A fixed number of rows, chosen by the hash of their ids: the same rows in any chunking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from pandq.sums.summary import Summary, summary

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Keys = NDArray[np.uint64]
    Whole = NDArray[np.int64]


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
        return self._smallest(keys, row, strata, self.seen.of_only(seen), columns)

    def merge(self, other: Self) -> Self:
        """The smallest of both."""
        if not self.columns or not other.columns:
            return other if other.columns else self
        joined = {
            name: np.concatenate([mine, other.columns[name]]) for name, mine in self.columns.items()
        }
        keys = np.concatenate([self.keys, other.keys])
        row = np.concatenate([self.row, other.row])
        strata = np.concatenate([self.strata, other.strata])
        return self._smallest(keys, row, strata, self.seen.merge(other.seen), joined)

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def uniform(self) -> NDArray[np.bool_]:
        """(n,) which rows are among the `size` of smallest key."""
        return _ranks(np.lexsort((self.row, self.keys))) < self.size

    @property
    def inverse_share(self) -> Floats:
        """(n,) how many rows of its stratum each one stands for."""
        kept = np.bincount(self.strata, minlength=len(self.seen.n))
        shares: Floats = (self.seen.n / np.maximum(kept, 1))[self.strata]
        return shares / shares.min() if len(shares) else shares

    def _smallest(
        self,
        keys: Keys,
        row: Whole,
        strata: Whole,
        seen: StrataSizes,
        columns: dict[str, NDArray[Any]],
    ) -> Self:
        blank = (self.size, self.least)
        if len(keys) <= self.size:
            return type(self)(*blank, keys, row, strata, seen, columns)
        chosen = _ranks(np.lexsort((row, keys))) < self.size
        if self.least:
            order = np.lexsort((row, keys, strata))
            first = np.concatenate([[0], np.cumsum(np.bincount(strata))])
            chosen |= _ranks(order) - first[strata] < self.least
        few = np.flatnonzero(chosen)
        few = few[np.argsort(row[few], kind="stable")]
        kept = {name: column[few] for name, column in columns.items()}
        return type(self)(*blank, keys[few], row[few], strata[few], seen, kept)


def _ranks(order: NDArray[np.intp]) -> NDArray[np.intp]:
    """Each element's place in an order."""
    ranks = np.empty_like(order)
    ranks[order] = np.arange(len(order))
    return ranks
