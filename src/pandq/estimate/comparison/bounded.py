"""A divergence of which only bounds are known: P or Q is a TopK."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Self

import numpy as np

from pandq.estimate.averages.intervals import one_sided_level
from pandq.estimate.averages.means import Means
from pandq.estimate.passes import Shape
from pandq.results.comparison import Bounds
from pandq.results.estimate import Estimate
from pandq.sums.summary import Summary, summary
from pandq.views import kl_bounds

if TYPE_CHECKING:
    from pandq.read.chunks import Chunk
    from pandq.units import Unit
    from pandq.views import TopK, View


LOW, HIGH = "lower_bound", "upper_bound"


@summary
class DivergenceBounds(Summary):
    """Sums of each row's lower and upper bound, the upper over the rows where it is finite."""

    low: Means
    high: Means

    @classmethod
    def empty(cls) -> Self:
        """No rows."""
        return cls(Means.empty((LOW,)), Means.empty((HIGH,)))

    def of_only(self, chunk: Chunk, q: View | TopK, *, q_floor: float | None) -> Self:
        """The bounds of one chunk."""
        found = kl_bounds(chunk.p, q, q_floor=q_floor)
        low, high = (
            means.of_only_finite(x[:, None], chunk.weights, chunk.clusters)
            for means, x in zip((self.low, self.high), found, strict=True)
        )
        return type(self)(low, high)


@summary
class BoundedSums(Summary):
    """The one pass of a comparison where P or a Q is a TopK: the bounds of each model."""

    shape: Shape
    n: int
    sums: tuple[DivergenceBounds, ...]

    @classmethod
    def empty(cls, n_models: int) -> Self:
        """No rows."""
        return cls(Shape(), 0, (DivergenceBounds.empty(),) * n_models)

    def of_only(self, chunk: Chunk, *, q_floor: float | None) -> Self:
        """The bounds of one chunk."""
        pairs = zip(self.sums, (chunk.q, *chunk.rivals), strict=True)
        bounds = tuple(x.of_only(chunk, view, q_floor=q_floor) for x, view in pairs)
        return type(self)(Shape.of(chunk), len(chunk), bounds)


def bounds_of(name: str, sums: DivergenceBounds, *, n: int, unit: Unit, level: float) -> Bounds:
    """What the sums say of one Q.

    Args:
        name: what it is called.
        sums: over all rows.
        n: how many rows went by.
        unit: of the result.
        level: confidence level of the intervals.

    Returns:
        Bounds; the upper one is infinite where it is infinite in any row.
    """
    low = sums.low.estimate(LOW, level=level, method="certified: unseen classes merged")
    high = sums.high.estimate(HIGH, level=level, method="unseen classes at their worst")
    lost = {LOW: n - sums.low.n, HIGH: n - sums.high.n}
    one, other = sums.low.sampling(LOW), sums.high.sampling(HIGH)
    # of rows that need not be the same no covariance is kept: the gap is less sure than it could be
    apart = math.hypot(one.standard_error, other.standard_error)
    each = one_sided_level(one, other, gap_error=apart, level=level)
    ends = [one.one_sided(each)[0], other.one_sided(each)[1]]
    found = [low, high]
    for place, key in enumerate((LOW, HIGH)):
        if lost[key]:
            method = f"infinite in {lost[key]} rows"
            found[place] = Estimate(np.inf, np.inf, np.inf, level, "nat", n, method, key)
            ends[place] = np.inf
    method = "between certified bounds: no point is identified"
    kl = Estimate(None, max(ends[0], 0.0), ends[1], level, "nat", n, method, "kl", identified=False)
    low, high, kl = (x.to_unit(unit) for x in (*found, kl))
    return Bounds(q=name, n=n, lower_bound=low, upper_bound=high, kl=kl, infinite_rows=lost[LOW])
