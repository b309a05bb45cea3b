"""A divergence of which only bounds are known: P or Q is a TopK, or was rounded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from pandq.estimate.averages.means import Means
from pandq.estimate.comparison.between import between
from pandq.estimate.comparison.toplabels import TopLabelSums, top_labels
from pandq.estimate.passes import Shape
from pandq.results.comparison import Bounds, DifferenceBounds
from pandq.sums.summary import Summary, merged_by, summary
from pandq.views import ROUNDED_KIND, TOP_KIND, kl_bounds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pandq.read.chunks import Chunk
    from pandq.units import Unit

    Rows = NDArray[np.float64]


LOW, HIGH = "lower_bound", "upper_bound"
UNSEEN = ("certified: unseen classes merged", "unseen classes at their worst")
ROUNDED = ("least of what rounds to this", "most of what rounds to this")


@summary
class DivergenceBounds(Summary):
    """Sums of each row's lower and upper bound, the upper over the rows where it is finite."""

    low: Means
    high: Means

    @classmethod
    def empty(cls) -> Self:
        """No rows."""
        return cls(Means.empty((LOW,)), Means.empty((HIGH,)))

    def of_only(self, chunk: Chunk, found: tuple[Rows, Rows]) -> Self:
        """The bounds of one chunk's rows, the lower and the upper ones."""
        low, high = (
            means.of_only_finite(x[:, None], chunk.weights, chunk.clusters)
            for means, x in zip((self.low, self.high), found, strict=True)
        )
        return type(self)(low, high)


@summary
class BoundedSums(Summary):
    """The one pass of a comparison where P or a Q is known in part: the bounds of each model.

    `differences` are those of the others' divergences less the first's, where all classes are
    known: of a TopK they would say nothing.
    """

    shape: Shape
    n: int
    sums: tuple[DivergenceBounds, ...]
    differences: tuple[DivergenceBounds, ...]
    labels: tuple[TopLabelSums, ...]
    rounded: bool = merged_by(max, default=False)

    @classmethod
    def empty(cls, n_models: int) -> Self:
        """No rows."""
        none = (DivergenceBounds.empty(),)
        labels = (TopLabelSums.empty(),) * n_models
        return cls(Shape(), 0, none * n_models, none * (n_models - 1), labels)

    def of_only(self, chunk: Chunk, *, q_floor: float | None) -> Self:
        """The bounds of one chunk."""
        views = (chunk.q, *chunk.rivals)
        found = [kl_bounds(chunk.p, view, q_floor=q_floor) for view in views]
        bounds = tuple(x.of_only(chunk, y) for x, y in zip(self.sums, found, strict=True))
        kinds = {view.kind for view in (chunk.p, *views)}
        apart = self.differences
        if TOP_KIND not in kinds:
            each = (_apart(other, found[0]) for other in found[1:])
            apart = tuple(x.of_only(chunk, y) for x, y in zip(apart, each, strict=True))
        named = zip(self.labels, views, strict=True)
        labels = tuple(x.of_only(chunk, view, q_floor=q_floor) for x, view in named)
        return type(self)(Shape.of(chunk), len(chunk), bounds, apart, labels, ROUNDED_KIND in kinds)


def _apart(other: tuple[Rows, Rows], first: tuple[Rows, Rows]) -> tuple[Rows, Rows]:
    """Bounds of one divergence less another; without end where either may be infinite."""
    with np.errstate(invalid="ignore"):
        low, high = other[0] - first[1], other[1] - first[0]
    return (
        np.where(np.isnan(low) | (first[1] == np.inf), -np.inf, low),
        np.where(np.isnan(high) | (other[1] == np.inf), np.inf, high),
    )


def differences_of(
    called: Sequence[str], found: BoundedSums, *, unit: Unit, level: float
) -> tuple[DifferenceBounds, ...]:
    """What the sums say of the others' losses less the first's; nothing of a TopK.

    Args:
        called: what the models are called.
        found: over all rows.
        unit: of the result.
        level: confidence level of the intervals.
    """
    if not found.rounded:
        return ()
    bounds = []
    for name, sums in zip(called[1:], found.differences, strict=True):
        found_of = between(
            sums.low,
            sums.high,
            n=found.n,
            level=level,
            methods=ROUNDED,
            of="difference",
            lost=-np.inf,
        )
        ends = (x.to_unit(unit) for x in found_of)
        bounds.append(DifferenceBounds(name, called[0], found.n, *ends))
    return tuple(bounds)


def bounds_of(
    name: str,
    sums: DivergenceBounds,
    labels: TopLabelSums,
    *,
    n: int,
    unit: Unit,
    level: float,
    rounded: bool,
) -> Bounds:
    """What the sums say of one Q.

    Args:
        name: what it is called.
        sums: over all rows.
        labels: of the labels, over all rows.
        n: how many rows went by.
        unit: of the result.
        level: confidence level of the intervals.
        rounded: whether all classes are known, rounded.

    Returns:
        Bounds; the upper one is infinite where it is infinite in any row.
    """
    methods = ROUNDED if rounded else UNSEEN
    found = between(sums.low, sums.high, n=n, level=level, methods=methods, of="kl")
    low, high, kl = (x.to_unit(unit) for x in found)
    lost = n - sums.low.n
    told = top_labels(labels, unit=unit, level=level)
    bounds = {"lower_bound": low, "upper_bound": high, "kl": kl}
    return Bounds(q=name, n=n, **bounds, infinite_rows=lost, labels=told)
