"""Poisson bootstrap, its weights hashed from (seed, replicate, row): the same in any chunking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from pandq.core.hashing import mix
from pandq.sums.summary import Summary, alike, merged_by, summary

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pandq.core.columns import Columns

    Floats = NDArray[np.float64]
    Keys = NDArray[np.uint64]

# P(Poisson(1) <= j) on the scale of 64-bit words; 12 is beyond 2^-32.
_PROBABILITIES = np.cumsum(np.exp(-1.0) / np.cumprod(np.r_[1.0, np.arange(1.0, 12.0)]))
_THRESHOLDS = (_PROBABILITIES * 2.0**64).astype(np.uint64)
_BLOCK_ROWS = 1 << 12


def drawn_times(keys: Keys, replicates: int, *, seed: int = 0) -> Floats:
    """(replicates, n): how often each replicate draws what has these hashed ids, Poisson(1).

    >>> drawn_times(np.arange(1000, dtype=np.uint64), 3).mean().round(1)
    np.float64(1.0)
    """
    replicate = mix(np.arange(replicates, dtype=np.uint64) ^ mix(np.full(1, seed, np.uint64)))
    words = mix(keys[None, :] ^ replicate[:, None])
    return np.searchsorted(_THRESHOLDS, words, side="right").astype(np.float64)


@summary
class PoissonBootstrap(Summary):
    """sum w and sum w x of `d` quantities in each replicate, every row drawn Poisson(1) times.

    Source: Hanley and MacGibbon 2006; Chamandy et al. 2012, section 3.

    >>> keys = np.arange(30, dtype=np.uint64)
    >>> rows = PoissonBootstrap.empty(1, replicates=2).of_only(keys, np.ones((30, 1)))
    >>> bool((rows.means() == 1.0).all())
    True
    """

    seed: int = merged_by(alike)
    totals: Floats

    @classmethod
    def empty(cls, d: int, *, replicates: int = 1000, seed: int = 0) -> Self:
        """No rows of `d` quantities."""
        return cls(seed, np.zeros((replicates, d + 1)))

    def of_only(self, keys: Keys, x: Floats | Columns, w: Floats | None = None) -> Self:
        """(n, d) values of rows, or of rows whose clusters, have these hashed ids."""
        values = np.column_stack([np.ones(len(x)), np.asarray(x)])
        if w is not None:
            values *= w[:, None]
        totals = np.zeros_like(self.totals)
        for start in range(0, len(x), _BLOCK_ROWS):
            rows = slice(start, start + _BLOCK_ROWS)
            totals += drawn_times(keys[rows], len(totals), seed=self.seed) @ values[rows]
        return type(self)(self.seed, totals)

    def means(self) -> Floats:
        """(replicates, d) weighted means."""
        with np.errstate(invalid="ignore"):  # a replicate of few rows may have drawn none
            return self.totals[:, 1:] / self.totals[:, :1]
