"""How far a copy has drifted from its reference: P is the reference's own law.

The names are those of llama.cpp's perplexity tool where it has one; its intervals take tokens as
independent, ours are over clusters (documents, chunks) where these are given.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Self

import numpy as np

from pandq.estimate.means import Means
from pandq.rows import both_ways, label_losses
from pandq.sums.tallies import LogHistogram, UnitHistogram

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pandq.read.chunks import Chunk
    from pandq.views import View

    Rows = NDArray[np.float64]

DIVERGENCES = ("kl", "kl_reverse")
TOPS = ("same_top1", "top_change", "top_change_squared")
TOKENS = ("nll", "nll_base", "nll_difference", "p_difference", "p_difference_squared")


@dataclass(frozen=True, slots=True, eq=False)
class DriftSums:
    """Sums over rows of a copy against its reference; the last two only where labels are given.

    Each divergence is over the rows where it is finite, token losses over rows where both are.
    """

    kl: Means
    kl_reverse: Means
    tops: Means
    kl_spread: LogHistogram
    reverse_spread: LogHistogram
    top_spread: UnitHistogram
    tokens: Means
    token_spread: UnitHistogram

    @classmethod
    def empty(cls) -> Self:
        """No rows."""
        return cls(
            Means.empty(("kl",)),
            Means.empty(("kl_reverse",)),
            Means.empty(TOPS),
            LogHistogram.empty(),
            LogHistogram.empty(),
            UnitHistogram.empty(),
            Means.empty(TOKENS),
            UnitHistogram.empty(),
        )

    def of(self, chunk: Chunk, q: View) -> Self:
        """The sums of one chunk."""
        found = both_ways(chunk.p, q)
        w, clusters = chunk.weights, chunk.clusters
        change = found["q_mass"] - found["p_confidence"]
        tops = np.stack([found["same_top1"], change, np.square(change)]).T
        tokens, token_spread = self.tokens, self.token_spread
        if chunk.labels is not None:
            nll, base = label_losses(chunk.labels, q), label_losses(chunk.labels, chunk.p)
            moved = np.exp(-nll) - np.exp(-base)
            with np.errstate(invalid="ignore"):
                x = np.stack([nll, base, nll - base, moved, np.square(moved)]).T
            tokens = _means(tokens, x, chunk)
            token_spread = token_spread.of(moved, w)
        return type(self)(
            _means(self.kl, found["kl"][:, None], chunk),
            _means(self.kl_reverse, found["kl_reverse"][:, None], chunk),
            self.tops.of(tops, w, clusters=clusters),
            self.kl_spread.of(found["kl"], w),
            self.reverse_spread.of(found["kl_reverse"], w),
            self.top_spread.of(change, w),
            tokens,
            token_spread,
        )

    def merge(self, other: Self) -> Self:
        """Both together."""
        return type(self)(
            **{f.name: getattr(self, f.name).merge(getattr(other, f.name)) for f in fields(self)}
        )


def _means(means: Means, x: Rows, chunk: Chunk) -> Means:
    """Means over the rows in which all of x is finite."""
    kept = np.isfinite(x).all(axis=1)
    w, clusters = chunk.weights, chunk.clusters
    return means.of(
        x[kept],
        None if w is None else w[kept],
        clusters=None if clusters is None else clusters[kept],
    )
