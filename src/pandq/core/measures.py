"""Entropies and divergences of P from Q: one float64 per row, in nats.

Every divergence is written as a sum of terms that cannot be negative. For laws that sum to one
the added parts cancel, and what is left is the textbook formula; in floating point they are what
keeps a small divergence right and a vanishing one at exactly zero. For probabilities that sum to
one only within tolerance, kl_divergence is therefore the I-divergence
sum of p log(p/q) - p + q (Csiszar 1975), and nothing was renormalised.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from pandq.core.laws import log_ratio
from pandq.core.numerics import exp_remainder, row_sums

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pandq.core.laws import Law

    Rows = NDArray[np.float64]

# Up to this |log q/p| a difference of two laws is formed from their log ratio.
_NEAR = 0.5


def impossible(p: Law, q: Law) -> NDArray[np.bool_]:
    """Which rows have a class that P allows and Q forbids: (n,) bool."""
    forbidden: NDArray[np.bool_] = np.any(p.support & ~q.support, axis=1)
    return forbidden


def entropy(p: Law) -> Rows:
    """H(P) = -sum p log p (Cover and Thomas 2006, eq. 2.1)."""
    return cross_entropy(p, p)


def cross_entropy(p: Law, q: Law) -> Rows:
    """H(P, Q) = -sum p log q; +inf where Q forbids what P allows."""
    with np.errstate(invalid="ignore"):
        terms = p.prob * -q.log_prob
    terms[p.prob == 0.0] = 0.0
    total = row_sums(terms)
    total[impossible(p, q)] = np.inf
    return total


def kl_divergence(p: Law, q: Law) -> Rows:
    """KL(P||Q) = sum p (q/p - 1 - log q/p) (Csiszar 1975; Cover and Thomas 2006, eq. 2.26)."""
    total = row_sums(_divergence_terms(p, q, log_ratio(p, q)))
    total[impossible(p, q)] = np.inf
    return total


def jeffreys_divergence(p: Law, q: Law) -> Rows:
    """J(P,Q) = KL(P||Q) + KL(Q||P) = sum (q - p) log q/p (Jeffreys 1946)."""
    t = log_ratio(p, q)
    total = row_sums(_product(_difference(p, q, t), t))
    total[impossible(p, q) | impossible(q, p)] = np.inf
    return total


def js_divergence(p: Law, q: Law, w: float) -> Rows:
    """W KL(P||M) + (1-w) KL(Q||M), M = w P + (1-w) Q (Lin 1991, eq. 4.1)."""
    t = log_ratio(p, q)
    with np.errstate(over="ignore", invalid="ignore"):
        # log m/p and log m/q, from log q/p alone, so that near laws keep their difference
        to_p = np.where(t < 1.0, np.log1p((1 - w) * np.expm1(t)), _log_mix(t, w))
        to_q = np.where(t > -1.0, np.log1p(w * np.expm1(-t)), _log_mix(-t, 1 - w))
    mix = w * p.prob + (1 - w) * q.prob
    total = w * _bregman(p.prob, mix, to_p) + (1 - w) * _bregman(q.prob, mix, to_q)
    return row_sums(total)


def renyi_divergence(p: Law, q: Law, alpha: float) -> Rows:
    """log(sum p^a q^(1-a)) / (a - 1) (van Erven and Harremoes 2014, eqs. 1, 9, 14)."""
    if alpha == 1.0:
        return kl_divergence(p, q)
    both = p.support & q.support
    if math.isinf(alpha):
        # the largest log P(A)/Q(A) over all events A, of which the whole space gives 0
        largest: Rows = np.where(both, -log_ratio(p, q), 0.0).max(axis=1, initial=0.0) + 0.0
        largest[impossible(p, q)] = np.inf
        return largest
    excess = _power_sum_less_one(p, q, alpha)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        logs = np.where(both, alpha * p.log_prob + (1 - alpha) * q.log_prob, -np.inf)
        top = np.where(both.any(axis=1), logs.max(axis=1), 0.0)
        far = top + np.log(np.exp(logs - top[:, None]).sum(axis=1))
        total = np.where(np.abs(excess) < _NEAR, np.log1p(excess), far) / (alpha - 1)
    if alpha > 1:
        total[impossible(p, q)] = np.inf
    return total + 0.0  # -0.0 would print as a negative divergence


def alpha_divergence(p: Law, q: Law, alpha: float) -> Rows:
    """(sum p^a q^(1-a) - a p - (1-a) q) / (a(a-1)) (Cichocki and Amari 2010, eq. 6)."""
    if alpha == 1.0:
        return kl_divergence(p, q)
    if alpha == 0.0:
        return kl_divergence(q, p)
    total = _power_sum_less_one(p, q, alpha) / (alpha * (alpha - 1))
    if alpha > 1:
        total[impossible(p, q)] = np.inf
    if alpha < 0:
        total[impossible(q, p)] = np.inf
    return total + 0.0


def total_variation_distance(p: Law, q: Law) -> Rows:
    """Half of sum |p - q|, between 0 and 1."""
    return 0.5 * row_sums(np.abs(_difference(p, q, log_ratio(p, q))))


def hellinger_distance(p: Law, q: Law) -> Rows:
    """The distance sqrt(half of sum (sqrt p - sqrt q)^2), between 0 and 1."""
    t = log_ratio(p, q)
    near = np.abs(t) <= _NEAR
    close = np.sqrt(p.prob) * np.expm1(np.where(near, t, 0.0) / 2)
    terms = np.where(near, close, np.sqrt(q.prob) - np.sqrt(p.prob))
    distance: Rows = np.sqrt(0.5 * row_sums(np.square(terms)))
    return distance


def chi2_divergence(p: Law, q: Law) -> Rows:
    """Pearson's sum (p - q)^2 / q; +inf where Q forbids what P allows."""
    t = log_ratio(p, q)
    with np.errstate(over="ignore", invalid="ignore"):
        # p^2/q - 2p + q in logarithms, because q may underflow while p^2/q does not
        far = np.exp(2 * p.log_prob - q.log_prob) - 2 * p.prob + q.prob
    near = np.abs(t) <= _NEAR
    close = q.prob * np.square(np.expm1(-np.where(near, t, 0.0)))
    terms = np.where(near, close, np.where(p.support, far, q.prob))
    total = row_sums(terms)
    total[impossible(p, q)] = np.inf
    return total


def _divergence_terms(p: Law, q: Law, t: Rows) -> Rows:
    """Q - p - p log q/p per class: what each class adds to KL(P||Q)."""
    return _bregman(p.prob, q.prob, t)


def _bregman(p: Rows, q: Rows, t: Rows) -> Rows:
    """Q - p - p t for t = log q/p: never negative, and right when q is close to p."""
    near = np.abs(t) <= _NEAR
    close = p * exp_remainder(np.where(near, t, 0.0))
    if near.all():
        return close
    return np.where(near, close, q - p - _product(p, t))


def _difference(p: Law, q: Law, t: Rows) -> Rows:
    """Q - p per class, from the log ratio where they are close."""
    near = np.abs(t) <= _NEAR
    return np.where(near, p.prob * np.expm1(np.where(near, t, 0.0)), q.prob - p.prob)


def _product(x: Rows, t: Rows) -> Rows:
    """X t with 0 times infinity = 0, as in 0 log 0."""
    with np.errstate(invalid="ignore"):
        return np.where(x == 0.0, 0.0, x * t)


def _log_mix(t: Rows, w: float) -> Rows:
    """log(w + (1-w) exp(t)) for t that may overflow exp; needs 0 < w < 1."""
    return np.logaddexp(math.log(w), math.log1p(-w) + t)


def _power_sum_less_one(p: Law, q: Law, alpha: float) -> Rows:
    """The sum of p^a q^(1-a) - a p - (1-a) q, whose terms all have one sign."""
    s = 1 - alpha
    t = log_ratio(p, q)
    both = p.support & q.support
    with np.errstate(over="ignore", invalid="ignore"):
        # whichever of p exp(s t) and q exp(-a t) is near its base leaves a small remainder
        by_p, by_q = both & (np.abs(s * t) <= _NEAR), both & (np.abs(alpha * t) <= _NEAR)
        from_p = p.prob * exp_remainder(np.where(by_p, s * t, 0.0))
        from_p = from_p - s * _bregman(p.prob, q.prob, t)
        from_q = q.prob * exp_remainder(np.where(by_q, -alpha * t, 0.0))
        from_q = from_q - alpha * _bregman(q.prob, p.prob, -t)
        power = np.where(both, np.exp(alpha * p.log_prob + s * q.log_prob), 0.0)
        far = power - alpha * p.prob - s * q.prob
    return row_sums(np.select([by_p, by_q], [from_p, from_q], far))
