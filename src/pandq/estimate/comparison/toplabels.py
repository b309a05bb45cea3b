"""What a TopK says of labels: exact where it names them, between bounds where it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from pandq.core.numerics import blocks
from pandq.estimate.averages.intervals import exponential
from pandq.estimate.averages.means import Means
from pandq.estimate.comparison.between import between
from pandq.results.comparison import TopLabels
from pandq.rows import label_losses
from pandq.sums.summary import Summary, summary
from pandq.views import TopK, label_bounds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pandq.read.chunks import Chunk
    from pandq.results.estimate import Estimate
    from pandq.units import Unit
    from pandq.views import Labels, View

    Rows = NDArray[np.float64]

LOSS, BASE, CHANGE, SAME = "cross_entropy", "reference", "probability_change", "same_top1"
KEYS = (LOSS, BASE, CHANGE, SAME)
EVENLY = "assumed: what is unseen is spread evenly over the other classes"


class _Known(NamedTuple):
    """Log-probabilities of labels: least, most, and if the unseen is spread evenly."""

    least: Rows
    most: Rows
    evenly: Rows


@summary
class TopLabelSums(Summary):
    """Sums of the least, the most and the assumed of each row; the first two where finite."""

    n: int
    outside: int
    reference_outside: int
    low: tuple[Means, ...]
    high: tuple[Means, ...]
    assumed: tuple[Means, ...]

    @classmethod
    def empty(cls) -> Self:
        """No rows."""
        blank = tuple(Means.empty((LOSS if key == BASE else key,)) for key in KEYS)
        return cls(0, 0, 0, blank, blank, blank)

    def of_only(self, chunk: Chunk, q: View | TopK, *, q_floor: float | None) -> Self:
        """The sums of one chunk; none where there are no labels."""
        y = chunk.labels
        if y is None:
            return self
        own, base = _known(y, q, q_floor), _known(y, chunk.p, None)
        same = _same_tops(chunk.p, q)
        columns = {
            LOSS: (-own.most, -own.least, -own.evenly),
            BASE: (-base.most, -base.least, -base.evenly),
            CHANGE: (
                np.exp(own.least) - np.exp(base.most),
                np.exp(own.most) - np.exp(base.least),
                np.exp(own.evenly) - np.exp(base.evenly),
            ),
            SAME: same,
        }
        made = [
            tuple(
                means.of_only_finite(columns[key][end][:, None], chunk.weights, chunk.clusters)
                for key, means in zip(KEYS, blank, strict=True)
            )
            for end, blank in enumerate((self.low, self.high, self.assumed))
        ]
        outside, beside = (int((x.least < x.most).sum()) for x in (own, base))
        return type(self)(len(y), outside, beside, *made)


def top_labels(sums: TopLabelSums, *, unit: Unit, level: float) -> TopLabels | None:
    """What the sums say; None where there were no labels.

    Args:
        sums: over all rows.
        unit: of the cross entropy.
        level: confidence level of the intervals.
    """
    if not sums.n:
        return None
    found: list[dict[str, Estimate]] = [{}, {}, {}, {}]
    for place, key in enumerate(KEYS):
        low, high, inside = between(
            sums.low[place],
            sums.high[place],
            n=sums.n,
            level=level,
            methods=("at least", "at most"),
        )
        name = sums.low[place].names[0]
        point = sums.assumed[place].estimate(name, level=level, method=EVENLY)
        if low.value == high.value == point.value:
            # every label is named
            inside = low
        for into, x in zip(found, (low, high, inside, point), strict=True):
            into[key] = x
    for into in found:
        into["perplexity"] = exponential("perplexity", into[LOSS])
        into["reference_perplexity"] = exponential("reference_perplexity", into.pop(BASE))
        into[LOSS] = into[LOSS].to_unit(unit)
    lower, upper, within, assumed = found
    return TopLabels(
        n=sums.n,
        outside=sums.outside,
        reference_outside=sums.reference_outside,
        lower=lower,
        upper=upper,
        within=within,
        assumed=assumed,
    )


def _known(y: Labels, x: View | TopK, floor: float | None) -> _Known:
    if isinstance(x, TopK):
        return _Known(*label_bounds(y, x, floor=floor))
    exact = -label_losses(y, x)
    return _Known(exact, exact, exact)


def _same_tops(p: View | TopK, q: View | TopK) -> tuple[Rows, Rows, Rows]:
    """Whether the top classes agree: surely, perhaps, and if those seen are the top."""
    (one, sure), (other, surely) = _tops(p), _tops(q)
    same, known = one == other, sure & surely
    ends: tuple[Any, ...] = (same & known, same | ~known, same)
    low, high, seen = (x.astype(np.float64) for x in ends)
    return low, high, seen


def _tops(x: View | TopK) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """The most probable class that is seen, and whether no other is as probable."""
    if isinstance(x, TopK):
        place, most = x.log_probs.argmax(axis=1), x.log_probs.max(axis=1)
        single = (x.log_probs == most[:, None]).sum(axis=1) == 1
        # of a complete top the rest is at most as probable as its last class
        sure = single & (np.exp(most) >= np.minimum(x.caps, x.unseen))
        return x.ids[np.arange(len(x)), place], sure
    top, sure = np.empty(len(x), np.intp), np.empty(len(x), np.bool_)
    for rows in blocks(len(x), x.n_classes or 1):
        prob = x[rows].law().prob
        top[rows] = prob.argmax(axis=1)
        sure[rows] = (prob == prob.max(axis=1, keepdims=True)).sum(axis=1) == 1
    return top, sure
