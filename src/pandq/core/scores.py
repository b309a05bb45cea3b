"""Scores that are not divergences: Brier, top class, confidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pandq.core.laws import Law


def brier_score(p: Law, q: Law) -> NDArray[np.float64]:
    """Expected squared error of Q for a label drawn from P (Brier 1950).

    sum (p - q)^2 + sum p (1 - p): what can be removed, and P's own part.
    """
    return (np.square(p.prob - q.prob) + p.prob * (1.0 - p.prob)).sum(axis=1)


def top_class(q: Law) -> NDArray[np.intp]:
    """The most probable class of each row; the lowest index among equals."""
    return q.log_prob.argmax(axis=1)


def confidence(q: Law) -> NDArray[np.float64]:
    """The largest probability of each row."""
    return q.prob.max(axis=1)
