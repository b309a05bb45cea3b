"""Quantiles under a Poisson bootstrap of rows or of clusters of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np
from scipy import sparse

from pandq.sums.resample import drawn_times
from pandq.sums.summary import Summary, alike, merged_by, summary
from pandq.sums.tallies import LogHistogram

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Keys = NDArray[np.uint64]

REPLICATES = 200


@summary
class RedrawnHistogram(Summary):
    """The weights of a LogHistogram's bins in each replicate: (bins, replicates).

    Source: Chamandy et al. 2012, section 3; clusters are drawn whole: Davison and Hinkley 1997,
    section 3.8.

    >>> keys = np.arange(30, dtype=np.uint64)
    >>> low, high = RedrawnHistogram.empty().of_only(np.ones(30), keys).limits(0.5, level=0.9)
    >>> round(low, 1), round(high, 1)
    (1.0, 1.0)
    """

    accuracy: float = merged_by(alike)
    index: NDArray[np.int64]
    weight: Floats

    @classmethod
    def empty(cls, accuracy: float = 0.005) -> Self:
        """No values; quantiles will be within a relative error of `accuracy`."""
        return cls(accuracy, np.zeros(0, np.int64), np.zeros((0, REPLICATES)))

    def of_only(self, x: Floats, keys: Keys, w: Floats | None = None) -> Self:
        """(n,) values from 0 to infinity, and the hashed ids of what is drawn together."""
        index, bins = np.unique(LogHistogram.empty(self.accuracy).places(x), return_inverse=True)
        units, unit = np.unique(keys, return_inverse=True)
        held = np.ones(len(x)) if w is None else w
        table = sparse.coo_array((held, (bins, unit)), shape=(len(index), len(units))).tocsr()
        weight: Floats = np.asarray(table @ drawn_times(units, REPLICATES).T)
        return type(self)(self.accuracy, index, weight)

    def merge(self, other: Self) -> Self:
        """Both together."""
        index, place = np.unique(np.concatenate([self.index, other.index]), return_inverse=True)
        weight = np.zeros((len(index), REPLICATES))
        mine = len(self.index)
        weight[place[:mine]] += self.weight
        weight[place[mine:]] += other.weight
        return type(self)(self.accuracy, index, weight)

    def limits(self, share: float, *, level: float) -> tuple[float, float]:
        """A two-sided interval of a quantile: those of the replicates' own quantiles.

        Source: Davison and Hinkley 1997, section 5.3.1: the percentile method.
        """
        found = [
            LogHistogram(self.accuracy, self.index[w > 0], w[w > 0], np.inf, 0.0).quantile([share])
            for w in self.weight.T
        ]
        tails = [(1 - level) / 2, (1 + level) / 2]
        low, high = np.nanquantile(np.concatenate(found), tails, method="inverted_cdf")
        return float(low), float(high)
