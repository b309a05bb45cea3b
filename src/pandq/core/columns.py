"""Several numbers of each row as columns that lie anywhere: none is copied to be beside another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import DTypeLike, NDArray

    Rows = NDArray[np.float64]


class Columns:
    """(n, d) float64 as d columns; one that is given twice is summed once.

    Args:
        columns: d arrays of n numbers.
        n: how many rows there are, where there may be no column.

    >>> loss = np.array([1.0, 2.0])
    >>> x = Columns([loss, np.zeros(2), loss])
    >>> x.shape, np.asarray(x[:1])
    ((2, 3), array([[1., 0., 1.]]))
    """

    __slots__ = ("_distinct", "_sums", "columns", "n")

    def __init__(self, columns: Sequence[Rows], n: int | None = None) -> None:
        self.columns = tuple(x if _as_it_is(x) else _copied(x) for x in columns)
        self.n = len(columns[0]) if n is None else n
        self._distinct: tuple[Columns, NDArray[np.intp]] | None = None
        self._sums: Rows | None = None

    @classmethod
    def of(cls, x: Rows | Columns) -> Columns:
        """The columns of an array, each as it lies or, if it must be, copied."""
        return x if isinstance(x, Columns) else cls(list(x.T), len(x))

    @property
    def shape(self) -> tuple[int, int]:
        """How many rows and columns there are."""
        return self.n, len(self.columns)

    @property
    def T(self) -> tuple[Rows, ...]:  # noqa: N802 - NumPy's own
        """The columns, as of an array."""
        return self.columns

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, rows: Any) -> Columns | Rows:
        """Consecutive rows as they lie; any others as one array."""
        if isinstance(rows, slice) and rows == slice(None):
            return self
        if isinstance(rows, slice):
            return Columns([x[rows] for x in self.columns], len(range(*rows.indices(self.n))))
        chosen: Rows = np.asarray(self)[rows]
        return chosen

    def __add__(self, other: Columns) -> Columns:
        return Columns(self.columns + other.columns, self.n)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:  # noqa: FBT001 - NumPy's own
        """Column after column, as (n, d)."""
        if copy is False:
            raise ValueError("columns are one array only in a copy")  # noqa: EM101
        return np.stack(self.columns).T.astype(dtype or np.float64, copy=False)

    def places(self) -> NDArray[np.uintp]:
        """(d,) where each column lies in memory."""
        found = [x.__array_interface__["data"][0] for x in self.columns]
        return np.array(found, np.uintp)

    def distinct(self) -> tuple[Columns, NDArray[np.intp]]:
        """The columns that lie apart, and which of them each column is."""
        if self._distinct is None:
            known: dict[int, int] = {}
            which = [known.setdefault(place, len(known)) for place in self.places().tolist()]
            apart = self
            if len(known) < len(which):
                apart = Columns([self.columns[which.index(i)] for i in range(len(known))], self.n)
            self._distinct = apart, np.array(which, np.intp)
        return self._distinct

    def sums(self) -> Rows:
        """(d,) each column's sum, pairwise: finite only where all of its numbers are."""
        if self._sums is None:
            apart, which = self.distinct()
            if apart is not self:
                self._sums = apart.sums()[which]
                return self._sums
            # an infinity of each sign is no number, which says what it is to
            with np.errstate(over="ignore", invalid="ignore"):
                found = [np.add.reduce(x) for x in apart.columns]
            self._sums = np.array(found, np.float64)
        return self._sums


def _as_it_is(x: Rows) -> bool:
    return x.dtype == np.float64 and x.flags.c_contiguous and x.flags.aligned


def _copied(x: Rows) -> Rows:
    return np.require(x, np.float64, ["C", "A"])
