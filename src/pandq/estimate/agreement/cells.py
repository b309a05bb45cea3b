"""Votes as the cells that hold any in a table of items by classes: as much memory as votes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from pandq.views import Votes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pandq.views import Counts

    Floats = NDArray[np.float64]
    Whole = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """How many people chose a class for an item, where any did.

    Args:
        item: (c,) the row, in order.
        klass: (c,) the class.
        count: (c,) how many chose it, at least 1.
        votes: (n,) how many votes each item has; it may have none.
        n_classes: K.

    >>> from pandq import Votes
    >>> cells = Cells.of(Votes([["a", "b", "a"], [], ["b"]]))
    >>> cells.item.tolist(), cells.klass.tolist(), cells.count.tolist(), cells.votes.tolist()
    ([0, 0, 2], [0, 1, 1], [2, 1, 1], [3, 0, 1])
    """

    item: Whole
    klass: Whole
    count: Whole
    votes: Whole
    n_classes: int

    @classmethod
    def of(cls, p: Votes | Counts) -> Self:
        """The cells of votes, or of a table of counts."""
        if isinstance(p, Votes):
            k = p.n_classes or 1
            cell, count = np.unique(p.rows * k + p.codes, return_counts=True)
            item, klass = np.divmod(cell, k)
            return cls(item, klass, count.astype(np.int64), np.diff(p.offsets), k)
        item, klass = np.nonzero(p.array)
        count = p.array[item, klass].astype(np.int64)
        votes = np.bincount(item, count, minlength=len(p)).astype(np.int64)
        return cls(item.astype(np.int64), klass.astype(np.int64), count, votes, p.array.shape[1])

    def total(self, per_cell: Floats) -> Floats:
        """(n,) the sum of a number of each cell over each item."""
        found: Floats = np.bincount(self.item, per_cell, minlength=len(self.votes)).astype(float)
        return found

    def by_class(self, per_cell: Floats) -> Floats:
        """(K,) the same over each class."""
        found: Floats = np.bincount(self.klass, per_cell, minlength=self.n_classes).astype(float)
        return found

    def of_items(self, chosen: NDArray[np.bool_]) -> Cells:
        """Those of some items, which are numbered anew."""
        place = np.cumsum(chosen) - 1
        kept = chosen[self.item]
        return Cells(
            place[self.item[kept]].astype(np.int64),
            self.klass[kept],
            self.count[kept],
            self.votes[chosen],
            self.n_classes,
        )

    def table(self, rows: slice) -> Whole:
        """(m, K) counts of a range of items."""
        start, stop, _ = rows.indices(len(self.votes))
        first, last = np.searchsorted(self.item, [start, stop])
        table = np.zeros((stop - start, self.n_classes), dtype=np.int64)
        table[self.item[first:last] - start, self.klass[first:last]] = self.count[first:last]
        return table

    def entropies(self) -> Floats:
        """(n,) entropy of each item's shares in nats, 0 where it has no votes."""
        share = self.count / self.votes[self.item]
        return np.abs(self.total(-share * np.log(share)))
