"""Ordered classes as intervals between the log-odds of their cumulative probabilities.

Class k lies between v = logit P(before k) and u = logit P(k or before). Both, and how far apart
they are, come from log-probabilities without cancellation, and so does what a rising line a x + b
with a > 0 makes of the class:

    sigma(a u + b) - sigma(a v + b) = sigma(a u + b) sigma(-a v - b) (1 - exp(-a (u - v)))

It is positive wherever q is, and sums to one over the classes: no row has a negative probability.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import special

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


class Edges(NamedTuple):
    """Where classes begin and end among the log-odds; of one shape.

    Args:
        below: v, -inf where nothing lies before.
        above: u, +inf where nothing lies after.
        width: u - v, 0 where q = 0, else positive, +inf at either end.
    """

    below: Array
    above: Array
    width: Array

    @staticmethod
    def of(log_q: Array) -> Edges:
        """The edges of (n, K) log-probabilities of ordered classes, -inf where q = 0.

        >>> found = Edges.of(np.log([[0.5, 0.25, 0.25]]))
        >>> found.below.round(6).tolist(), found.above.round(6).tolist()
        ([[-inf, 0.0, 1.098612]], [[0.0, 1.098612, inf]])
        """
        n = len(log_q)
        none = np.full((n, 1), -np.inf)
        up_to = np.logaddexp.accumulate(log_q, axis=1)
        from_on = np.logaddexp.accumulate(log_q[:, ::-1], axis=1)[:, ::-1]
        before, after = np.hstack([none, up_to[:, :-1]]), np.hstack([from_on[:, 1:], none])
        zero = np.isneginf(log_q)
        with np.errstate(invalid="ignore"):  # of zeros it is said below
            width = np.logaddexp(0.0, log_q - before) + np.logaddexp(0.0, log_q - after)
            below, above = before - from_on, up_to - after
        return Edges(
            np.where(np.isneginf(before), -np.inf, below),
            np.where(np.isneginf(after), np.inf, above),
            np.where(zero, 0.0, width),
        )

    def log_mapped(self, a: float, b: float) -> Array:
        """The logarithm of what the line a x + b, a > 0, makes of the classes' probabilities."""
        with np.errstate(divide="ignore"):
            inside = np.log(-np.expm1(-a * self.width))
        ends = special.log_expit(a * self.above + b) + special.log_expit(-a * self.below - b)
        found: Array = np.where(self.width == 0, -np.inf, ends + inside)
        return found
