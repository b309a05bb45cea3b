"""The mean and the spread of features, over rows of any number."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from pandq.engines.run import Run
from pandq.errors import InputError
from pandq.read.feature_scan import Scaling, flattened
from pandq.sums.summary import Summary, summary

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pandq.read.feature_scan import FeatureChunk, FeatureScan

    Floats = NDArray[np.float64]


@summary
class ColumnSums(Summary):
    """Rows, their mean and their squared deviations from it, column by column."""

    n: int
    mean: Floats
    squares: Floats

    @classmethod
    def empty(cls) -> Self:
        """No rows, of any number of columns."""
        return cls(0, np.zeros(0), np.zeros(0))

    @classmethod
    def of(cls, x: NDArray[Any]) -> Self:
        """The sums of rows of features or pictures.

        >>> float(ColumnSums.of(np.array([[1.0], [3.0]])).squares[0])
        2.0
        """
        flat = flattened(x).astype(np.float64)
        if not len(flat):
            return cls.empty()
        with np.errstate(over="ignore", invalid="ignore"):
            mean = flat.mean(axis=0)
            return cls(len(flat), mean, np.square(flat - mean).sum(axis=0))

    def merge(self, other: Self) -> Self:
        """Both together (Chan, Golub and LeVeque 1983, eq. 2.1)."""
        n = self.n + other.n
        if not self.n or not other.n:
            return other if other.n else self
        apart = other.mean - self.mean
        mean = self.mean + apart * (other.n / n)
        with np.errstate(over="ignore", invalid="ignore"):
            between = np.square(apart) * (self.n * other.n / n)
        return type(self)(n, mean, self.squares + other.squares + between)

    def scaling(self) -> Scaling:
        """Scaling to mean 0 and standard deviation 1; what is constant keeps its scale.

        Raises:
            InputError: a feature's squares are beyond what float64 holds.
        """
        spread = np.sqrt(self.squares / max(self.n, 1))
        if not np.isfinite(spread).all():
            place = int(np.argmin(np.isfinite(spread)))
            raise InputError(
                what=f"feature {place} is too large for its spread to be taken",
                got=f"{self.mean[place]:.3g} on average",
                remedy="Divide it by a power of ten.",
            )
        return Scaling(self.mean, np.where(spread > 0, spread, 1.0))


def standardised(rows: FeatureScan, run: Run | None = None) -> FeatureScan:
    """The same rows with features of mean 0 and standard deviation 1, after one pass.

    Raises:
        InputError: there are no rows, or one cannot be used.
    """
    sums = (run or Run()).summarise("standardising", rows, _of_chunk, ColumnSums.empty(), once=True)
    if not sums.n:
        raise InputError(what="there are no rows to learn from", where=rows.source.name)
    return replace(rows, scaling=sums.scaling())


def _of_chunk(chunk: FeatureChunk) -> ColumnSums:
    return ColumnSums.of(chunk.x)
