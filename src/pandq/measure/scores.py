"""Scores of Q that are no divergences: squared errors, and what its most probable class says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pandq.core import scores
from pandq.measure.blockwise import by_blocks, of_one, of_two
from pandq.views import Labels, paired, require_view

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pandq.views import View

    Rows = NDArray[np.float64]


def brier_score(p: View, q: View) -> Rows:
    """Expected squared error of Q for a label drawn from P, summed over the classes.

    Args:
        p: n rows over K classes.
        q: n rows over K classes.

    Returns:
        (n,) float64 between 0 and 2, no unit: sum (p - q)^2 + sum p (1 - p), so that for
        Labels it is the usual score (twice scikit-learn's for two classes).

    Raises:
        ViewTypeError: an argument is not a view.
        InputError: the numbers of rows or classes differ.

    Source: Brier 1950, eq. 2.

    >>> from pandq import Labels, Probs
    >>> brier_score(Labels([0]), Probs([[0.75, 0.25]]))
    array([0.125])
    """
    return of_two("brier", scores.brier_score, *paired(p, q))


def ranked_probability_score(p: View, q: View) -> Rows:
    """Expected squared error of Q's cumulative probabilities for a label drawn from P.

    The classes are in their order: it is the Brier score of "this class or one before", summed over
    all classes but the last. It counts in steps between classes: where Q is certain of one class it
    is the number of steps to the label. For two classes it is half the Brier score.

    Args:
        p: n rows over K ordered classes.
        q: n rows over K ordered classes.

    Returns:
        (n,) float64 between 0 and K - 1, no unit: with F the cumulative probabilities of P and G
        those of Q, sum (F - G)^2 + sum F (1 - F). The second sum is half the expected number of
        steps between two labels drawn from P. It is not divided by K - 1.

    Raises:
        ViewTypeError: an argument is not a view.
        InputError: the numbers of rows or classes differ.

    Source: Epstein 1969; in this form Murphy 1971, A note on the ranked probability score.

    >>> from pandq import Labels, Probs
    >>> ranked_probability_score(Labels([0, 2]), Probs([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]]))
    array([0.25, 2.  ])
    """
    return by_blocks(scores.ranked_probability_score, *paired(p, q))


def top1(p: View, q: View) -> Rows:
    """Does Q's most probable class agree with P's? For Labels: is Q right?

    Args:
        p: n rows over K classes.
        q: n rows over K classes.

    Returns:
        (n,) float64, 1 or 0; of m equally probable classes each counts 1/m.

    Raises:
        ViewTypeError: an argument is not a view.
        InputError: the numbers of rows or classes differ.

    Source: the complement of the 0-1 loss.

    >>> from pandq import Labels, Probs
    >>> top1(Labels([0, 0]), Probs([[0.6, 0.4], [0.4, 0.6]]))
    array([1., 0.])
    """
    p, q = paired(p, q)
    tops = _tops(p), _tops(q)
    right = np.equal(*tops).astype(np.float64)
    tied = np.flatnonzero((tops[0] == scores.TIED) | (tops[1] == scores.TIED))
    right[tied] = by_blocks(scores.accuracy, p[tied], q[tied])
    return right


def top_class(q: View) -> NDArray[np.intp]:
    """The most probable class of each row.

    Args:
        q: n rows over K classes.

    Returns:
        (n,) class numbers; the lowest among equals.

    Raises:
        ViewTypeError: `q` is not a view.

    >>> from pandq import Counts
    >>> top_class(Counts([[1, 3], [2, 2]]))
    array([1, 0])
    """
    tops = _tops(require_view("q", q))
    tied = np.flatnonzero(tops == scores.TIED)
    tops[tied] = by_blocks(scores.first_top, q[tied]).astype(np.intp)
    return tops


def confidence(q: View) -> Rows:
    """The probability that Q gives its most probable class.

    Args:
        q: n rows over K classes.

    Returns:
        (n,) float64 between 1/K and 1, no unit.

    Raises:
        ViewTypeError: `q` is not a view.

    Source: Guo et al. 2017, section 2.

    >>> from pandq import Probs
    >>> confidence(Probs([[0.6, 0.4]]))
    array([0.6])
    """
    return of_one("confidence", scores.confidence, require_view("q", q))


def _tops(q: View) -> NDArray[np.intp]:
    """The most probable class of each row, TIED where several are."""
    if isinstance(q, Labels):
        return q.array.copy()
    return of_one("q_class", scores.top_class, q).astype(np.intp)
