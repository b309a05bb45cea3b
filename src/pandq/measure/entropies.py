"""The identity H(P, Q) = H(P) + KL(P||Q): its three terms for each row, in any of the views."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pandq.core import measures
from pandq.errors import ViewTypeError
from pandq.measure.blockwise import in_unit, of_one, of_two
from pandq.views import Labels, paired, require_view

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pandq.core.laws import Law
    from pandq.units import Unit
    from pandq.views import View

    Rows = NDArray[np.float64]


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
    return in_unit(of_one("q_entropy", measures.entropy, p), unit)


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
    return in_unit(of_two("cross_entropy", measures.cross_entropy, p, q), unit)


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
    return in_unit(of_two("kl", measures.kl_divergence, p, q), unit)


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
    return in_unit(of_two("cross_entropy", _log_loss, p_view, q), unit)


def _log_loss(p: Law, q: Law) -> Rows:
    loss: Rows = 0.0 - q.log_prob[np.arange(len(p.prob)), p.prob.argmax(axis=1)]
    return loss
