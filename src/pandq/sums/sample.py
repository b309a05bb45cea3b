"""A fixed number of rows, chosen by the hash of their ids: the same rows in any chunking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Keys = NDArray[np.uint64]


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """The `size` rows of smallest key, in the order of their row numbers.

    With keys that are hashes this is a uniform sample without replacement (Cohen 1997).

    >>> keys = np.array([5, 1, 9], dtype=np.uint64)
    >>> Sample.empty(2).of(keys, np.arange(3), {"x": np.array([50, 10, 90])}).columns["x"]
    array([50, 10])
    """

    size: int
    keys: Keys
    row: NDArray[np.int64]
    columns: dict[str, NDArray[Any]]

    @classmethod
    def empty(cls, size: int) -> Self:
        """No rows, of at most `size`."""
        return cls(size, np.zeros(0, np.uint64), np.zeros(0, np.int64), {})

    def of(self, keys: Keys, row: NDArray[np.int64], columns: dict[str, NDArray[Any]]) -> Self:
        """Rows with hashed ids, their numbers, and whatever belongs to them, row by row."""
        return self._smallest(keys, row, columns)

    def merge(self, other: Self) -> Self:
        """The smallest of both."""
        if not self.columns or not other.columns:
            return other if other.columns else self
        joined = {
            name: np.concatenate([mine, other.columns[name]]) for name, mine in self.columns.items()
        }
        keys = np.concatenate([self.keys, other.keys])
        row = np.concatenate([self.row, other.row])
        return self._smallest(keys, row, joined)

    def __len__(self) -> int:
        return len(self.keys)

    def _smallest(
        self, keys: Keys, row: NDArray[np.int64], columns: dict[str, NDArray[Any]]
    ) -> Self:
        if len(keys) <= self.size:
            return type(self)(self.size, keys, row, columns)
        chosen = np.lexsort((row, keys))[: self.size]
        chosen = chosen[np.argsort(row[chosen])]
        kept = {name: column[chosen] for name, column in columns.items()}
        return type(self)(self.size, keys[chosen], row[chosen], kept)
