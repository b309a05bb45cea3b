"""Divergences of P from Q other than KL, for each row, in any of the views."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from pandq.core import kernels, measures
from pandq.core.checks import is_number, numbers
from pandq.errors import InputError
from pandq.measure.blockwise import by_blocks, in_unit
from pandq.measure.entropies import kl_divergence
from pandq.views import in_pieces, paired

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from pandq.core.laws import Law
    from pandq.units import Unit
    from pandq.views import View

    Rows = NDArray[np.float64]

# Of an order beyond this the product with itself is no float64.
LARGEST_ORDER = 1e100


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
    w = shares[0]
    return _divergence("js", partial(measures.js_divergence, w=w), p, q, unit, w)


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
    return _divergence("jeffreys", measures.jeffreys_divergence, p, q, unit)


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
    alpha = float(alpha)
    if alpha == 1.0:
        return kl_divergence(p, q, unit=unit)
    name = "renyi_largest" if math.isinf(alpha) else "renyi"
    formula = partial(measures.renyi_divergence, alpha=alpha)
    return _divergence(name, formula, p, q, unit, alpha)


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
    alpha = float(alpha)
    if alpha in {0.0, 1.0}:
        return kl_divergence(p, q, unit=unit) if alpha else kl_divergence(q, p, unit=unit)
    formula = partial(measures.alpha_divergence, alpha=alpha)
    return _divergence("alpha", formula, p, q, unit, alpha)


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
    return _divergence("total_variation", measures.total_variation_distance, p, q)


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
    return _divergence("hellinger", measures.hellinger_distance, p, q)


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
    return _divergence("chi2", measures.chi2_divergence, p, q)


def _divergence(
    name: str,
    formula: Callable[[Law, Law], Rows],
    p: View,
    q: View,
    unit: Unit = "nat",
    parameter: float = 0.0,
) -> Rows:
    def of(p: View, q: View) -> Rows:
        found = kernels.divergence(name, parameter, p.kind, p.array, q.kind, q.array)
        return by_blocks(formula, p, q) if found is None else found

    return in_unit(in_pieces(of, *paired(p, q)), unit)
