"""Scores that are not divergences: Brier, ranked probability, top class, confidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pandq.core.numerics import row_sums

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pandq.core.laws import Law

# Instead of a class where several share the largest probability (as in kernels/softmax.h).
TIED = -1


def brier_score(p: Law, q: Law) -> NDArray[np.float64]:
    """Expected squared error of Q for a label drawn from P (Brier 1950).

    sum (p - q)^2 + sum p (1 - p): what can be removed, and P's own part.
    """
    return squared_score(p.prob, q.prob)


def ranked_probability_score(p: Law, q: Law) -> NDArray[np.float64]:
    """The same of cumulative probabilities, for classes in their order (Epstein 1969)."""
    return squared_score(cumulative(p.prob), cumulative(q.prob))


def squared_score(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Expected squared error of the probabilities q of some events that have probabilities p."""
    return row_sums(np.square(p - q) + p * (1.0 - p))


def cumulative(prob: NDArray[np.float64]) -> NDArray[np.float64]:
    """The probability of each class but the last or one before it; (n, K - 1).

    >>> cumulative(np.array([[0.5, 0.25, 0.25]])).tolist()
    [[0.5, 0.75]]
    """
    return np.minimum(np.cumsum(prob[:, :-1], axis=1), 1.0)


def top_class(q: Law) -> NDArray[np.intp]:
    """The most probable class of each row; TIED where several are."""
    ranked = _ranked(q)
    ties = (ranked == ranked.max(axis=1, keepdims=True)).sum(axis=1)
    return np.where(ties > 1, TIED, first_top(q))


def first_top(q: Law) -> NDArray[np.intp]:
    """The most probable class of each row; the lowest index among equals."""
    top: NDArray[np.intp] = _ranked(q).argmax(axis=1)
    return top


def top_shares(q: Law) -> NDArray[np.float64]:
    """Each class's share of being the most probable one: 1, or 1/m where m are; (n, K)."""
    ranked = _ranked(q)
    at_top = ranked == ranked.max(axis=1, keepdims=True)
    shares: NDArray[np.float64] = at_top / at_top.sum(axis=1, keepdims=True)
    return shares


def _ranked(q: Law) -> NDArray[np.float64]:
    # neither is rounded: logarithms of probabilities would make equals of neighbours
    return q.prob if q.scores is None else q.scores


def accuracy(p: Law, q: Law) -> NDArray[np.float64]:
    """The chance that Q's most probable class is P's, where ties are broken by lot."""
    return row_sums(top_shares(p) * top_shares(q))


def same_top(p: Law, q: Law) -> NDArray[np.float64]:
    """How much of P's most probable class is Q's: 1 for the same ties too."""
    return row_sums(np.minimum(top_shares(p), top_shares(q)))


def at_top(p: Law, q: Law) -> NDArray[np.float64]:
    """P's probability of Q's most probable class, the mean of those that are."""
    return row_sums(p.prob * top_shares(q))


def confidence(q: Law) -> NDArray[np.float64]:
    """The largest probability of each row."""
    largest: NDArray[np.float64] = q.prob.max(axis=1)
    return largest
