"""Each row of P and Q before and after the map that never saw it: what the second pass averages."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pandq.core import measures, scores
from pandq.core.kernels import parts as kernel
from pandq.core.laws import Law
from pandq.core.numerics import blocks, row_sums
from pandq.recalibrator import Recalibrator
from pandq.views import Labels, formed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from pandq.views import View

    Floats = NDArray[np.float64]
    Folds = NDArray[np.intp]


class Squares(NamedTuple):
    """(n,) float64 each, of the probabilities of some events, x under P and y under Q.

    Args:
        before: expected squared error of y, sum (y - x)^2 + x (1 - x).
        after: that of the events' probabilities after recalibration.
        own: sum x (1 - x).
    """

    before: Floats
    after: Floats
    own: Floats


class RowParts(NamedTuple):
    """(n,) float64 each; what is left out of labels is None.

    Args:
        loss: H(P, Q) of the row, nats.
        recalibrated: H(P, c(Q)), nats.
        confidence: Q's largest probability.
        hit: P's probability of the class that has it; of several that have, the mean.
        q_class: that class, or TIED.
        entropy: H(P), nats.
        brier: expected squared error of Q less the constant that labels drawn from P add.
        brier_recalibrated: that of c(Q).
        squares: sum of p^2.
    """

    loss: Floats
    recalibrated: Floats
    confidence: Floats
    hit: Floats
    q_class: NDArray[np.float64]
    entropy: Floats | None = None
    brier: Floats | None = None
    brier_recalibrated: Floats | None = None
    squares: Floats | None = None

    @property
    def of_classes(self) -> Squares | None:
        """The Brier score, of which the events are the classes; None of labels."""
        if self.brier is None or self.brier_recalibrated is None or self.squares is None:
            return None
        return Squares(self.brier, self.brier_recalibrated, 1.0 - self.squares)


def row_parts(p: View, q: View, folds: Folds, maps: Sequence[Recalibrator]) -> RowParts:
    """Each row before and after its map.

    Args:
        p: n rows over K classes, what is true.
        q: n rows over K classes, what is predicted.
        folds: (n,) which of the maps is each row's.
        maps: by their numbers.

    Raises:
        InputError: a map is of another number of classes, or a label was changed meanwhile.

    >>> from pandq import Labels, Probs
    >>> from pandq.recalibrator import Recalibrator
    >>> half = Recalibrator("temperature", {"a": np.array(0.5)}, 0.0, np.full(2, 0.5), 0.0, 9)
    >>> found = row_parts(Labels([0]), Probs([[0.8, 0.2]]), np.zeros(1, int), [half])
    >>> np.exp(-found.loss).round(6), np.exp(-found.recalibrated).round(6), found.hit
    (array([0.8]), array([0.666667]), array([1.]))
    """
    for one in maps:
        one.require_for(q.n_classes, None)
    p, q = formed(p), formed(q)
    told = [one.row_map for one in maps]
    found = kernel.row_parts(p.kind, p.array, q.kind, q.array, folds, told)
    return by_formulas(p, q, folds, maps) if found is None else RowParts(**found)


def by_formulas(p: View, q: View, folds: Folds, maps: Sequence[Recalibrator]) -> RowParts:
    """What `row_parts` gives where there is no kernel."""
    q_law = q.law()
    log_c = _recalibrated(q_law.log_prob, folds, maps, Recalibrator.by_formula)
    confidence, top = scores.confidence(q_law), scores.top_class(q_law).astype(np.float64)
    if isinstance(p, Labels):
        at = np.arange(len(p)), p.array
        loss, after = 0.0 - q_law.log_prob[at], 0.0 - log_c[at]
        return RowParts(loss, after, confidence, scores.top_shares(q_law)[at], top)
    law, c = p.law(), Law.from_log_probs(log_c)
    loss, after = (measures.cross_entropy(law, x) for x in (q_law, c))
    before, recalibrated = (_brier(law.prob, x.prob) for x in (q_law, c))
    return RowParts(
        loss=loss,
        recalibrated=after,
        confidence=confidence,
        hit=scores.at_top(law, q_law),
        q_class=top,
        entropy=measures.entropy(law),
        brier=before,
        brier_recalibrated=recalibrated,
        squares=row_sums(np.square(law.prob)),
    )


def ranked_parts(p: View, q: View, folds: Folds, maps: Sequence[Recalibrator]) -> Squares:
    """The ranked probability score of each row: its events are "this class or one before".

    Args:
        p: n rows over K ordered classes, what is true.
        q: n rows over K ordered classes, what is predicted.
        folds: (n,) which of the maps is each row's.
        maps: by their numbers.

    >>> from pandq import Labels, Probs
    >>> half = Recalibrator("temperature", {"a": np.array(0.5)}, 0.0, np.full(2, 0.5), 0.0, 9)
    >>> found = ranked_parts(Labels([0], 2), Probs([[0.8, 0.2]]), np.zeros(1, int), [half])
    >>> found.before.round(6), found.after.round(6), found.own
    (array([0.04]), array([0.111111]), array([0.]))
    """
    p, q = formed(p), formed(q)
    n = len(q)
    found = Squares(np.empty(n), np.empty(n), np.empty(n))
    for rows in blocks(n, q.n_classes or 1):
        law = q[rows].law()
        log_c = _recalibrated(law.log_prob, folds[rows], maps, Recalibrator.apply)
        true, before, after = (
            scores.cumulative(x) for x in (p[rows].law().prob, law.prob, np.exp(log_c))
        )
        found.before[rows] = scores.squared_score(true, before)
        found.after[rows] = scores.squared_score(true, after)
        found.own[rows] = scores.squared_score(true, true)
    return found


def _recalibrated(
    log_q: Floats,
    folds: Folds,
    maps: Sequence[Recalibrator],
    by: Callable[[Recalibrator, Floats], Floats],
) -> Floats:
    """Each row of log q under the map of its fold."""
    log_c = np.empty_like(log_q)
    for fold in np.unique(folds):
        rows = folds == fold
        log_c[rows] = by(maps[fold], log_q[rows])
    return log_c


def _brier(p: Floats, q: Floats) -> Floats:
    score: Floats = 1.0 - 2.0 * np.einsum("ik,ik->i", p, q) + np.einsum("ik,ik->i", q, q)
    return score
