"""Ids that have come: 64 bits of each, so that a row that comes again is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Keys = NDArray[np.uint64]


@dataclass(frozen=True, slots=True, eq=False)
class Distinct:
    """Hashed ids in sorted runs, each less than half as long as the one before it.

    So there are few runs to look into, and a key is moved only so often as their number grows
    (O'Neil and others 1996).

    >>> ids = Distinct().with_new(np.array([5, 3], np.uint64))
    >>> ids.holds(np.array([3, 4], np.uint64))
    array([ True, False])
    """

    runs: tuple[Keys, ...] = ()

    def __len__(self) -> int:
        return sum(map(len, self.runs))

    def holds(self, keys: Keys) -> NDArray[np.bool_]:
        """(n,) which keys have come before."""
        found = np.zeros(len(keys), np.bool_)
        for run in self.runs:
            place = np.searchsorted(run, keys)
            found |= run[np.minimum(place, len(run) - 1)] == keys
        return found

    def with_new(self, keys: Keys) -> Self:
        """With keys, none of which is there yet."""
        runs = [*self.runs, np.sort(keys)] if len(keys) else [*self.runs]
        while len(runs) > 1 and 2 * len(runs[-1]) > len(runs[-2]):
            last = runs.pop()
            runs[-1] = np.sort(np.concatenate([runs[-1], last]), kind="stable")
        return type(self)(tuple(runs))

    def together(self, other: Self) -> tuple[Self, Keys]:
        """Both, and the keys that are in both."""
        mine, theirs = self._all(), other._all()
        twice = theirs[self.holds(theirs)]
        both = np.sort(np.concatenate([mine, theirs[~self.holds(theirs)]]), kind="stable")
        return type(self)((both,) if len(both) else ()), twice

    def _all(self) -> Keys:
        return np.concatenate([np.zeros(0, np.uint64), *self.runs])
