"""A block of probability laws, one per row, in the one form that every formula reads.

A law keeps probabilities *and* their logarithms, because neither can be had exactly from the
other: exp(-800) is 0 in floating point while its logarithm is -800.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Law:
    """(n, K) float64 probabilities, their natural logarithms, and where known the shifted scores.

    `scores` - `log_norm` = `log_prob`; scores come from logits (or log-probabilities) with
    each row's maximum taken away, so that differences of two laws can be formed before the
    normalisers round anything away.
    """

    prob: NDArray[np.float64]
    log_prob: NDArray[np.float64]
    scores: NDArray[np.float64] | None = None
    log_norm: NDArray[np.float64] | None = None

    @classmethod
    def from_logits(cls, x: NDArray[np.float64]) -> Law:
        """Softmax of each row, with -inf for classes that are forbidden.

        The largest term is kept apart from the sum, so that the entropy of a row that is
        nearly certain keeps its digits: log Z = log1p(sum of the others).

        >>> Law.from_logits(np.array([[0.0, -50.0]])).log_prob[0, 0]
        np.float64(-1.9287498479639178e-22)
        """
        rows = np.arange(len(x))
        top = x.argmax(axis=1)
        with np.errstate(over="ignore"):
            scores = x - x[rows, top][:, None]
        prob = np.exp(scores)
        prob[rows, top] = 0.0
        others = prob.sum(axis=1)
        prob[rows, top] = 1.0
        prob /= (1.0 + others)[:, None]
        log_norm = np.log1p(others)
        return cls(prob, scores - log_norm[:, None], scores, log_norm)

    @classmethod
    def from_log_probs(cls, x: NDArray[np.float64]) -> Law:
        """Log-probabilities as given: nothing is renormalised."""
        return cls(np.exp(x), x, x, np.zeros(len(x)))

    @classmethod
    def from_probs(cls, x: NDArray[np.float64]) -> Law:
        """Probabilities as given: nothing is renormalised."""
        with np.errstate(divide="ignore"):
            return cls(x, np.log(x))

    @property
    def support(self) -> NDArray[np.bool_]:
        """Where a class is possible at all, even if its probability underflows."""
        return self.log_prob > -np.inf


def log_ratio(p: Law, q: Law) -> NDArray[np.float64]:
    """log(q_k / p_k), formed so that nearly equal laws keep their difference.

    Args:
        p: n laws over K classes.
        q: n laws over K classes.

    Returns:
        (n, K) nats; 0 where both are zero, -inf where only q is, +inf where only p is.

    >>> p, q = np.array([[0.5, 0.5]]), np.array([[0.5 + 1e-16, 0.5]])
    >>> log_ratio(Law.from_probs(p), Law.from_probs(q))
    array([[2.22044605e-16, 0.00000000e+00]])
    """
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        if p.scores is not None and q.scores is not None:
            shift = q.log_norm - p.log_norm  # type: ignore[operator]  # they come with scores
            t = (q.scores - p.scores) - shift[:, None]
        else:
            t = q.log_prob - p.log_prob
            change = (q.prob - p.prob) / p.prob
            close = np.abs(change) <= 0.5
            if p.scores is None and q.scores is None and close.any():
                t[close] = np.log1p(change[close])
    t[~p.support & ~q.support] = 0.0
    return t
