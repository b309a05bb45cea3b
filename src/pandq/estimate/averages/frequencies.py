"""Frequencies: P's mean over the rows, and what guessing it costs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Self

import numpy as np
from scipy import special

from pandq.core.kernels import law_sums
from pandq.core.numerics import blocks, widen
from pandq.results.estimate import Estimate
from pandq.results.guessing import Guessing
from pandq.sums.summary import Summary, summary
from pandq.views import Labels, Logits, LogProbs, Probs, formed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pandq.read.chunks import Chunk
    from pandq.units import Unit
    from pandq.views import View

    Floats = NDArray[np.float64]

# What is a distribution only once it is exponentiated, which a kernel does.
_EXPONENTIATED = (Logits.kind, LogProbs.kind)
OF_THESE = "P's mean over these rows themselves, without an interval"


@summary
class Frequencies(Summary):
    """A Summary: P summed over the rows, each with its weight."""

    total: Floats

    @classmethod
    def empty(cls) -> Self:
        """No rows, of no classes yet."""
        return cls(np.zeros(0))

    def of_only(self, chunk: Chunk) -> Self:
        """The sums of one chunk."""
        return type(self)(_total(chunk.p, chunk.weights, chunk.q.n_classes or 0))

    def merge(self, other: Self) -> Self:
        """Both together; one that has seen no rows has no classes."""
        if not len(self.total) or not len(other.total):
            return self if len(self.total) else other
        return type(self)(self.total + other.total)

    def guessing(self, loss: Estimate, unit: Unit) -> Guessing:
        """What guesses cost, beside Q's loss.

        Args:
            loss: Q's cross entropy over the same rows, nats.
            unit: of the result.

        Source: McFadden 1974, Conditional logit analysis of qualitative choice behavior, of the
        share taken.

        >>> uneven = Frequencies(np.array([3.0, 1.0]))
        >>> uneven.guessing(Estimate(0.281, 0.2, 0.3, n=4), "nat").taken.value
        0.500...
        """
        share = self.total / self.total.sum()
        guess = float(special.entr(share).sum())
        taken = None
        if loss.value is not None and guess > 0:
            taken = 1.0 - loss.value / guess

        def told(name: str, value: float | None, method: str, unit: str = "nat") -> Estimate:
            return Estimate(value, None, None, loss.level, unit, loss.n, method, name,
                            identified=value is not None)  # fmt: skip

        return Guessing(
            told("of_frequencies", guess, OF_THESE).to_unit(unit),
            told("of_uniform", math.log(len(share)), "ln K").to_unit(unit),
            told("taken", taken, "1 - H(P,Q) / H(mean P), without an interval", ""),
        )


def _total(p: View, w: Floats | None, k: int) -> Floats:
    """P summed over rows, (K,); a block of rows at a time, as P may be made on the way."""
    if isinstance(p, Labels):
        return np.bincount(p.array, w, k).astype(np.float64)
    if p.kind in _EXPONENTIATED and (summed := law_sums(p.kind, p.array, w)) is not None:
        return summed
    found = np.zeros(k)
    for some in blocks(len(p), k):
        view = p[some]
        prob = widen(view.array) if isinstance(view, Probs) else formed(view, some.start).law().prob
        weight = np.ones(len(prob)) if w is None else w[some]
        # no product of BLAS: its last bits depend on the number of threads
        found += np.einsum("i,ij->j", weight, prob, dtype=np.float64)
    return found
