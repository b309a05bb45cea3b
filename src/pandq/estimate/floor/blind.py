"""Has Q seen these labels? A floor that does not look at Q, to compare Q's loss with.

The certificate sorts cells by what Q predicts, and is valid because votes are binomial given Q.
If Q was trained on the very votes they are not, and its bounds may even cross. Bounds that ignore
Q are wider and hold all the same: a loss below them, or bounds that cross, is not honest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from pandq.estimate.floor.certificate import (
    Stratum,
    count_histogram,
    stratum_degrees,
    train_stratum,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Counts = NDArray[np.int64]

# Blind bounds need not be tight: a low degree is quick and serves any number of votes.
MAX_DEGREE = 8
_ALL = np.zeros(0)


@dataclass(frozen=True, slots=True, eq=False)
class BlindBounds:
    """Vectors below and above h for all cells alike, one pair per stratum of votes."""

    strata: tuple[Stratum, ...]

    @classmethod
    def of(cls, counts: Counts) -> Self:
        """Choose the vectors on some rows, to apply them to others.

        Args:
            counts: (n, K) votes, at least one per row.

        Returns:
            The bounds.
        """
        votes = counts.sum(axis=1)
        degrees = sorted({min(d, MAX_DEGREE) for d in stratum_degrees(votes)})
        strata = []
        for degree in degrees:
            rows = votes >= degree
            prior = np.zeros(counts[rows].shape)
            histogram = count_histogram(counts[rows], prior, _ALL, degree)
            strata.append(train_stratum(histogram, _ALL, kappa=1.0))
        return cls(tuple(strata))

    def row_bounds(self, counts: Counts) -> tuple[Floats, Floats]:
        """Each row's share of a lower and an upper bound of the mean entropy: (n,) nats."""
        votes = counts.sum(axis=1)
        home = np.searchsorted([s.degree for s in self.strata], votes, side="right") - 1
        low, high = np.empty(len(votes)), np.empty(len(votes))
        for i in np.unique(home):
            rows = home == i
            prior = np.zeros(counts[rows].shape)
            low[rows], high[rows] = self.strata[i].bounds(counts[rows], prior, votes[rows])
        return low, high
