"""Rows that come again: how many rows are equal to another in Q, and always in P as well."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Self

import numpy as np

from pandq.core.hashing import mix
from pandq.sums.summary import Summary, summary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Keys = NDArray[np.uint64]

# Rows of one Q that differ in P: Q says the same of different things, and they are no copies.
DIFFER = np.uint64(0)
# More than this share of such rows, and rows that are equal in both are equal by chance.
BY_CHANCE = 0.05


@summary
class Repeats(Summary):
    """Rows by what Q says of them, of the `size` different rows of Q of the smallest hash.

    With so many or fewer different rows of Q all of them are counted, else a sample that is
    uniform over them (Bar-Yossef and others 2002, algorithm 1).

    >>> q_entropy, loss = np.array([0.3, 0.5, 0.3]), np.array([0.1, 0.2, 0.1])
    >>> seen = Repeats.empty().of_only([q_entropy], [loss])
    >>> seen.different, seen.again
    (2, 1)
    """

    size: int
    n: int = 0
    q: Keys = field(default_factory=lambda: np.zeros(0, np.uint64))
    p: Keys = field(default_factory=lambda: np.zeros(0, np.uint64))
    count: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    @classmethod
    def empty(cls, size: int = 4096) -> Self:
        """No rows."""
        return cls(size)

    def of_only(self, q: Sequence[Floats], both: Sequence[Floats]) -> Self:
        """Rows by what was measured of them, all digits of it.

        Args:
            q: (n,) numbers each, measures of Q alone; the first should tell most rows apart.
            both: (n,) numbers each, measures of P and Q.
        """
        order = mix(_bits(q[0]))
        few = self._smallest(order)
        # the first one's bits are the key's high bits: a row has the same place in every chunk
        key = (order[few] & ~_LOW) | (_mixed(q, few) & _LOW)
        ones = np.ones(len(few), np.int64)
        return self._gathered(len(order), key, np.maximum(_mixed(both, few), np.uint64(1)), ones)

    def merge(self, other: Self) -> Self:
        """Both together."""
        # what is beyond the last of either that is full is among the smallest of neither
        last = min(x.q[-1] if len(x.q) == self.size else _LAST for x in (self, other))
        mine, theirs = (slice(np.searchsorted(x.q, last, "right")) for x in (self, other))
        return self._gathered(
            self.n + other.n,
            np.concatenate([self.q[mine], other.q[theirs]]),
            np.concatenate([self.p[mine], other.p[theirs]]),
            np.concatenate([self.count[mine], other.count[theirs]]),
        )

    @property
    def looked_at(self) -> int:
        """How many rows the counts are of."""
        return int(self.count.sum())

    @property
    def different(self) -> int:
        """How many different rows of Q those are."""
        return len(self.q)

    @property
    def again(self) -> int:
        """How many of those rows equal an earlier one in Q and in P."""
        return int((self.count - 1)[self.p != DIFFER].sum())

    @property
    def copies(self) -> bool:
        """Are there such rows, and are they no accident of a Q that says few different things?"""
        differ = int(self.count[self.p == DIFFER].sum())
        return self.again > 0 and differ <= BY_CHANCE * (differ + self.again)

    @property
    def too_narrow(self) -> float:
        """By what factor intervals are too narrow that take copies for different rows.

        Source: Kish 1965, section 5.4, for clusters whose rows are all equal.
        """
        return float(np.sqrt(np.square(self.count).sum() / self.looked_at))

    @property
    def largest(self) -> int:
        """How often the most frequent row occurs."""
        return int(self.count.max(initial=0))

    def _gathered(self, n: int, q: Keys, p: Keys, count: NDArray[np.int64]) -> Self:
        """One entry for each row of Q, of the smallest `size`."""
        if len(q):
            order = np.argsort(q, kind="stable")
            q, p, count = q[order], p[order], count[order]
            starts = np.flatnonzero(np.r_[True, q[1:] != q[:-1]])[: self.size + 1]
            end = len(q)
            if len(starts) > self.size:
                end, starts = int(starts[-1]), starts[:-1]
            low, high = (f.reduceat(p[:end], starts) for f in (np.minimum, np.maximum))
            q, p, count = (
                q[starts],
                np.where(low == high, low, DIFFER),
                np.add.reduceat(count[:end], starts),
            )
        return type(self)(self.size, n, q, p, count)

    def _smallest(self, order: Keys) -> NDArray[np.intp]:
        """Which numbers are among the `size` smallest different ones, and the next, rising."""
        n, reach = len(order), _REACH * self.size
        while True:
            # most rows are out of reach, and are not worth sorting
            if reach < n:
                few = np.flatnonzero(order <= np.uint64(reach / n * (2**64 - 1025)))
            else:
                few = np.arange(n)
            few = few[np.argsort(order[few])]
            near = order[few]
            different = np.flatnonzero(near[1:] != near[:-1]) + 1
            if len(different) >= self.size:
                end = different[self.size] if len(different) > self.size else len(few)
                return few[:end]
            if len(few) == n:
                return few
            reach *= 8


# A sample that is uniform has so many times as many in its reach as are wanted.
_REACH = 1.25
_LAST = np.uint64((1 << 64) - 1)
# The part of a key that tells rows of Q apart whose numbers in the sieve are equal.
_LOW = np.uint64((1 << 24) - 1)


def _bits(x: Floats) -> Keys:
    return np.ascontiguousarray(x + 0.0).view(np.uint64)


def _mixed(columns: Sequence[Floats], rows: NDArray[np.intp]) -> Keys:
    """One key for several numbers of each row."""
    key = np.zeros(len(rows), np.uint64)
    for column in columns:
        key = mix(key ^ _bits(column[rows]))
    return key
