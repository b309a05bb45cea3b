"""Measure: two views in, one float64 per row out. P first, always.

All functions take P as a view and Q as a view, in any of the five kinds, and go through the
rows in blocks, so that memory does not grow with their number.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from pandq.core import kernels, measures, scores
from pandq.core.checks import is_number, numbers
from pandq.core.numerics import blocks
from pandq.errors import InputError, ViewTypeError
from pandq.units import Unit, per_nat
from pandq.views import Labels, paired, require_view

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from pandq.core.laws import Law
    from pandq.views import View

    Rows = NDArray[np.float64]

# Of an order beyond this the product with itself is no float64.
LARGEST_ORDER = 1e100


def entropy(p: View, *, unit: Unit = "nat") -> Rows:
    """H(P), the floor that no model can pass.

    Args:
        p: n rows; of Counts, the plug-in entropy of the votes' shares (biased low).
        unit: "nat" or "bit".

    Returns:
        (n,) float64, in `unit`.

    Raises:
        ViewTypeError: `p` is not a view.

    Source: Shannon 1948; Cover and Thomas, Elements of Information Theory, 2006, eq. 2.1.

    >>> from pandq import Probs
    >>> entropy(Probs([[0.5, 0.5], [1.0, 0.0]]), unit="bit")
    array([1., 0.])
    """
    p = require_view("p", p)
    if isinstance(p, Labels):
        return np.zeros(len(p))
    return _of_one("q_entropy", measures.entropy, p) * per_nat(unit)


def cross_entropy(p: View, q: View, *, unit: Unit = "nat") -> Rows:
    """H(P, Q) = H(P) + KL(P||Q), the loss that Q incurs when P is true.

    Args:
        p: n rows over K classes, what is true.
        q: n rows over K classes, what is predicted.
        unit: "nat" or "bit".

    Returns:
        (n,) float64, in `unit`; +inf where q = 0 < p.

    Raises:
        ViewTypeError: an argument is not a view.
        InputError: the numbers of rows or classes differ.

    Source: Cover and Thomas 2006, section 2.3.

    >>> from pandq import Labels, Probs
    >>> cross_entropy(Labels([0]), Probs([[0.9, 0.1]]))
    array([0.10536052])
    """
    p, q = paired(p, q)
    if isinstance(p, Labels):
        return log_loss(p, q, unit=unit)
    return _of_two("cross_entropy", measures.cross_entropy, p, q) * per_nat(unit)


def kl_divergence(p: View, q: View, *, unit: Unit = "nat") -> Rows:
    """KL(P||Q), the part of the cross entropy that a better Q would remove.

    Args:
        p: n rows over K classes, what is true.
        q: n rows over K classes, what is predicted.
        unit: "nat" or "bit".

    Returns:
        (n,) float64, in `unit`; never negative, exactly 0 for P = Q, +inf where q = 0 < p.

    Raises:
        ViewTypeError: an argument is not a view.
        InputError: the numbers of rows or classes differ.

    Source: Kullback and Leibler 1951; as I-divergence, Csiszar 1975.

    Dog or cat: P is certain that it is a dog, Q gives it 90 %.

    >>> from pandq import Probs
    >>> p = Probs([[1.0, 0.0]])
    >>> kl_divergence(p, Probs([[0.9, 0.1]])).round(6)
    array([0.105361])
    >>> kl_divergence(p, p)
    array([0.])
    """
    p, q = paired(p, q)
    if isinstance(p, Labels):
        return log_loss(p, q, unit=unit)
    return _of_two("kl", measures.kl_divergence, p, q) * per_nat(unit)


def log_loss(p: Labels, q: View, *, unit: Unit = "nat") -> Rows:
    """-log q of the label: the negative log likelihood of each row.

    Args:
        p: n Labels.
        q: n rows over K classes.
        unit: "nat" or "bit".

    Returns:
        (n,) float64, in `unit`; +inf where the label has q = 0.

    Raises:
        ViewTypeError: `p` is not Labels.
        InputError: the numbers of rows or classes differ.

    Source: Good 1952.

    >>> from pandq import Labels, Logits
    >>> log_loss(Labels([0, 1]), Logits([[0.0, 0.0], [0.0, -1e30]]))
    array([6.93147181e-01, 1.00000000e+30])
    """
    p_view, q = paired(p, q)
    if not isinstance(p_view, Labels):
        raise ViewTypeError(
            what="log_loss needs Labels as P",
            got=type(p).__name__,
            remedy="For any other P use cross_entropy(p, q).",
        )
    return _of_two("cross_entropy", _log_loss, p_view, q) * per_nat(unit)


def js_divergence(
    p: View, q: View, *, weights: tuple[float, float] = (0.5, 0.5), unit: Unit = "nat"
) -> Rows:
    """Jensen-Shannon divergence: mean KL of P and Q from their mixture.

    Args:
        p: n rows over K classes.
        q: n rows over K classes.
        weights: the shares of P and Q in the mixture, both positive, summing to one.
        unit: "nat" or "bit".

    Returns:
        (n,) float64, in `unit`; at most log 2 for equal weights.

    Raises:
        ViewTypeError: an argument is not a view.
        InputError: rows or classes differ, or the weights are not two positive shares.

    Source: Lin 1991, eq. 4.1.

    >>> from pandq import Probs
    >>> js_divergence(Probs([[1.0, 0.0]]), Probs([[0.0, 1.0]]), unit="bit")
    array([1.])
    """
    shares = np.atleast_1d(numbers("weights", weights)).tolist() if weights is not None else []
    if len(shares) != 2 or not 0 < shares[0] < 1 or not abs(sum(shares) - 1) < 1e-12:
        raise InputError(
            what="weights must be two positive shares that sum to one", got=str(weights)
        )
    return _divergence(partial(measures.js_divergence, w=shares[0]), p, q, unit)


def jeffreys_divergence(p: View, q: View, *, unit: Unit = "nat") -> Rows:
    """KL(P||Q) + KL(Q||P).

    Args:
        p: n rows over K classes.
        q: n rows over K classes.
        unit: "nat" or "bit".

    Returns:
        (n,) float64, in `unit`; +inf where exactly one of p, q is zero.

    Raises:
        ViewTypeError: an argument is not a view.
        InputError: the numbers of rows or classes differ.

    Source: Jeffreys 1946.

    >>> from pandq import Logits
    >>> jeffreys_divergence(Logits([[0.0, 1.0]]), Logits([[1.0, 0.0]])).round(6)
    array([0.924234])
    """
    return _divergence(measures.jeffreys_divergence, p, q, unit)


def renyi_divergence(p: View, q: View, *, alpha: float, unit: Unit = "nat") -> Rows:
    """Renyi's divergence log(sum p^alpha q^(1-alpha)) / (alpha - 1).

    Args:
        p: n rows over K classes.
        q: n rows over K classes.
        alpha: order, 0 to infinity; 1 is KL(P||Q), infinity the largest log p/q.
        unit: "nat" or "bit".

    Returns:
        (n,) float64, in `unit`.

    Raises:
        ViewTypeError: an argument is not a view.
        InputError: rows or classes differ, or alpha is negative.

    Source: van Erven and Harremoes 2014, eqs. 1, 9, 14.

    >>> from pandq import Probs
    >>> renyi_divergence(Probs([[0.5, 0.5]]), Probs([[0.9, 0.1]]), alpha=float("inf")).round(6)
    array([1.609438])
    """
    if not is_number(alpha) or not alpha >= 0:
        raise InputError(what="alpha is a number, and not negative", got=repr(alpha))
    return _divergence(partial(measures.renyi_divergence, alpha=float(alpha)), p, q, unit)


def alpha_divergence(p: View, q: View, *, alpha: float, unit: Unit = "nat") -> Rows:
    """The alpha-divergence (sum p^a q^(1-a) - 1) / (a (a - 1)).

    Args:
        p: n rows over K classes.
        q: n rows over K classes.
        alpha: any finite order; 1 is KL(P||Q), 0 is KL(Q||P), 1/2 is 4 hellinger_distance^2,
            2 is half of chi2.
        unit: "nat" or "bit".

    Returns:
        (n,) float64, in `unit`.

    Raises:
        ViewTypeError: an argument is not a view.
        InputError: rows or classes differ, or alpha is not finite.

    Source: Cichocki and Amari 2010, eq. 6; Minka 2005, eq. 9.

    >>> from pandq import Probs
    >>> alpha_divergence(Probs([[1.0, 0.0]]), Probs([[0.25, 0.75]]), alpha=0.5)
    array([2.])
    """
    if not is_number(alpha) or not abs(alpha) <= LARGEST_ORDER:
        what = f"alpha is a number between -{LARGEST_ORDER:g} and {LARGEST_ORDER:g}"
        raise InputError(what, got=repr(alpha))
    return _divergence(partial(measures.alpha_divergence, alpha=float(alpha)), p, q, unit)


def total_variation_distance(p: View, q: View) -> Rows:
    """Half of sum |p - q|: the largest difference in the probability of any event.

    Args:
        p: n rows over K classes.
        q: n rows over K classes.

    Returns:
        (n,) float64 between 0 and 1, no unit.

    Raises:
        ViewTypeError: an argument is not a view.
        InputError: the numbers of rows or classes differ.

    Source: Levin, Peres and Wilmer, Markov Chains and Mixing Times, 2009, prop. 4.2.

    >>> from pandq import Probs
    >>> total_variation_distance(Probs([[1.0, 0.0]]), Probs([[0.75, 0.25]]))
    array([0.25])
    """
    return _divergence(measures.total_variation_distance, p, q)


def hellinger_distance(p: View, q: View) -> Rows:
    """Hellinger's distance sqrt(half of sum (sqrt p - sqrt q)^2).

    Args:
        p: n rows over K classes.
        q: n rows over K classes.

    Returns:
        (n,) float64 between 0 and 1, no unit.

    Raises:
        ViewTypeError: an argument is not a view.
        InputError: the numbers of rows or classes differ.

    Source: van der Vaart, Asymptotic Statistics, 1998, section 14.5, scaled to [0, 1].

    >>> from pandq import Probs
    >>> hellinger_distance(Probs([[1.0, 0.0]]), Probs([[0.0, 1.0]]))
    array([1.])
    """
    return _divergence(measures.hellinger_distance, p, q)


def chi2_divergence(p: View, q: View) -> Rows:
    """Pearson's chi-squared divergence sum (p - q)^2 / q.

    Args:
        p: n rows over K classes.
        q: n rows over K classes.

    Returns:
        (n,) float64, no unit; +inf where q = 0 < p.

    Raises:
        ViewTypeError: an argument is not a view.
        InputError: the numbers of rows or classes differ.

    Source: Pearson 1900; Tsybakov, Nonparametric Estimation, 2009, section 2.4.

    >>> from pandq import Probs
    >>> chi2_divergence(Probs([[1.0, 0.0]]), Probs([[0.5, 0.5]]))
    array([1.])
    """
    return _divergence(measures.chi2_divergence, p, q)


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
    return _of_two("brier", scores.brier_score, *paired(p, q))


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
    right[tied] = _by_blocks(scores.accuracy, p[tied], q[tied])
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
    tops[tied] = _by_blocks(scores.first_top, q[tied]).astype(np.intp)
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
    return _of_one("confidence", scores.confidence, require_view("q", q))


def _log_loss(p: Law, q: Law) -> Rows:
    loss: Rows = 0.0 - q.log_prob[np.arange(len(p.prob)), p.prob.argmax(axis=1)]
    return loss


def _of_two(name: str, formula: Callable[[Law, Law], NDArray[np.number]], p: View, q: View) -> Rows:
    """What a kernel measures by that name, or else the formula."""
    found = kernels.measured(p.kind, p.array, q.kind, q.array, whole=name == "brier")
    return _by_blocks(formula, p, q) if found is None else found[name]


def _of_one(name: str, formula: Callable[[Law], NDArray[np.number]], q: View) -> Rows:
    """The same for a measure of Q alone: the labels do not matter."""
    found = kernels.measured("labels", np.zeros(len(q), np.int64), q.kind, q.array)
    return _by_blocks(formula, q) if found is None else found[name]


def _tops(q: View) -> NDArray[np.intp]:
    """The most probable class of each row, TIED where several are."""
    if isinstance(q, Labels):
        return q.array.copy()
    return _of_one("q_class", scores.top_class, q).astype(np.intp)


def _divergence(formula: Callable[[Law, Law], Rows], p: View, q: View, unit: Unit = "nat") -> Rows:
    return _by_blocks(formula, *paired(p, q)) * per_nat(unit)


def _by_blocks(formula: Callable[..., NDArray[np.number]], *views: View) -> Rows:
    """A formula over distributions, applied to blocks of rows."""
    for view in views:
        if isinstance(view, Labels):
            view.check_range()
    out = np.empty(len(views[0]))
    for rows in blocks(len(views[0]), views[0].n_classes or 1):
        out[rows] = formula(*(view[rows].law() for view in views))
    return out
