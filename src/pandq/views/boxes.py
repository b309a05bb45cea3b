"""Bounds of a divergence where each probability is known to lie between two ends.

Ends are certified on both sides: a lower one is a value of the dual problem, whatever point it was
found at; an upper one replaces each convex term by its chord, which only the one probability that
lies between its ends feels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = NDArray[np.float64]

# Halvings of the multiplier's logarithm, and steps of two distributions towards each other.
_HALVINGS = 80
_FURTHEST = 690.0
_STEPS = 40


@dataclass(frozen=True, slots=True)
class Box:
    """(n, K) distributions, each probability of which lies between `low` and `high`."""

    low: Rows
    high: Rows

    def scaled(self, x: Rows, t: Rows) -> Rows:
        """(n, K) x exp(-t), each within its ends."""
        return np.asarray(np.clip(x * np.exp(-t), self.low, self.high))

    @property
    def fixed(self) -> bool:
        """Is there one distribution in it, in every row?"""
        return bool((self.low == self.high).all())


def box_bounds(p: Box, q: Box) -> tuple[Rows, Rows]:
    """The least and the most that KL(P||Q) may be, (n,) nats each.

    Args:
        p: (n, K) what P may be.
        q: (n, K) what Q may be.

    Source: Lagrange duality of separable convex problems, Boyd and Vandenberghe 2004, section 5.1;
    of two sets the bound of Donsker and Varadhan 1983.
    """
    if p.fixed:
        low = _least_of_q(p.low, q)
    elif q.fixed:
        low = _least_of_p(p, q.low)
    else:
        low = _least_of_both(p, q)
    low = np.maximum(low, 0.0)
    return low, np.maximum(_most(p, q), low)


def _least_of_q(p: Rows, q: Box) -> Rows:
    """KL to the nearest Q: q = clip(p / m) of the m at which they sum to one."""
    entropy = _times_log(p, p).sum(axis=1)
    t = _multiplier(p, q)
    m, near = np.exp(t), q.scaled(p, t)
    cross = _times_log(p, near).sum(axis=1)
    # what a sum is too large by would only lift the bound, by rounding errors at most
    return np.asarray(entropy - cross + m[:, 0] * np.minimum(near.sum(axis=1) - 1, 0))


def _least_of_p(p: Box, q: Rows) -> Rows:
    """KL from the nearest P: p = clip(c q) of the c at which they sum to one."""
    t = _multiplier(q, p)
    near = p.scaled(q, t)
    # the price of what is too much or too little: the derivative of p log p/q, at p = q exp(-t)
    price = (1 - t)[:, 0]
    value = (_times_log(near, near) - _times_log(near, q)).sum(axis=1)
    return np.asarray(value + np.minimum(price * (1 - near.sum(axis=1)), 0))


def _nearest(x: Rows, box: Box) -> Rows:
    """The distribution of a box that is nearest to one outside, in either direction of KL."""
    return box.scaled(x, _multiplier(x, box))


def _multiplier(x: Rows, box: Box) -> Rows:
    """(n, 1) the t at which x exp(-t), within its ends, sums to one: by halving."""
    low, high = np.full((1, 1), -_FURTHEST), np.full((1, 1), _FURTHEST)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        much = box.scaled(x, middle).sum(axis=1, keepdims=True) > 1
        low, high = np.where(much, middle, low), np.where(much, high, middle)
    return np.asarray((low + high) / 2)


def _least_of_both(p: Box, q: Box) -> Rows:
    """The two that are nearest to each other, found by turns and certified by their ratio."""
    one, other = _inside(p), _inside(q)
    for _ in range(_STEPS):
        other = _nearest(one, q)
        one = _nearest(other, p)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(other > 0, one / other, 1e100)
    ratio = np.clip(ratio, 1e-100, 1e100)
    low = -_filled(p, -np.log(ratio))
    return np.asarray(low - np.log(_filled(q, ratio)))


def _inside(box: Box) -> Rows:
    """A distribution of the box: the same share of the way between the ends for all classes."""
    room = (box.high - box.low).sum(axis=1, keepdims=True)
    share = (1 - box.low.sum(axis=1, keepdims=True)) / np.where(room > 0, room, 1)
    return np.asarray(box.low + np.clip(share, 0, 1) * (box.high - box.low))


def _most(p: Box, q: Box) -> Rows:
    """The sum of chords where it is largest."""
    lost = ((p.high > 0) & (q.low == 0)).any(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        if p.fixed:
            ends = [np.where(p.low > 0, -p.low * np.log(x), 0.0) for x in (q.low, q.high)]
            box, rest = q, _times_log(p.low, p.low).sum(axis=1)
        else:
            # Q at its least in every class, which sums to one where Q is one distribution
            ends = [_times_log(x, x) - _times_log(x, q.low) for x in (p.low, p.high)]
            box, rest = p, np.zeros(len(p.low))
        width = box.high - box.low
        slope = np.where(width > 0, (ends[1] - ends[0]) / np.where(width > 0, width, 1), 0.0)
    at_least = np.where(np.isfinite(ends[0]), ends[0], 0.0).sum(axis=1)
    slope = np.where(np.isfinite(slope), slope, 0.0)
    found = rest + at_least + _filled(box, slope) - (slope * box.low).sum(axis=1)
    return np.where(lost, np.inf, found)


def _filled(box: Box, worth: Rows) -> Rows:
    """The largest sum of worth x probability: the dearest classes are filled first."""
    order = np.argsort(-worth, axis=1, kind="stable")
    room, each = (np.take_along_axis(x, order, axis=1) for x in (box.high - box.low, worth))
    left = 1 - box.low.sum(axis=1, keepdims=True) - (np.cumsum(room, axis=1) - room)
    filled = np.clip(left, 0, room)
    return np.asarray((worth * box.low).sum(axis=1) + (each * filled).sum(axis=1))


def _times_log(x: Rows, y: Rows) -> Rows:
    """X log y with 0 log 0 = 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(x > 0, x * np.log(y), 0.0)
