"""Bregman divergences of the logarithm of Gamma, to the last digits from 1e-300 to 1e300.

The Bregman divergence of f is D_f(b, a) = f(b) - f(a) - (b - a) f'(a). Written so, it loses what
f(b) and f(a) have in common, which for large or nearly equal a and b is everything. Here
log Gamma(x) = x log x - x + nu(x), and with u = log b/a and e(u) = exp(u) - 1 - u

    D of x log x - x  is  b e(-u)         D of -log x  is  e(u)
    D of x^-n         is  a^-n (e(-n u) + n e(u))

so that nu's Stirling series -log(x)/2 + 1/(12 x) - ... has a divergence without a difference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from pandq.core.numerics import exp_remainder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# Of log Gamma: x^-n and its coefficient, B_2j / (2j (2j - 1)) with n = 2j - 1.
STIRLING = (
    (1, 1 / 12),
    (3, -1 / 360),
    (5, 1 / 1260),
    (7, -1 / 1680),
    (9, 1 / 1188),
    (11, -691 / 360360),
    (13, 1 / 156),
)
# From here on the series is right to the last digit; smaller numbers are moved up to it.
SHIFT = 16
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(12)


def log_ratio(a: Floats, b: Floats, c: Floats, d: Floats) -> Floats:
    """log(a b / (c d)) of positive numbers, to the last digits also where it is nearly 0.

    The two products are formed exactly, and scaled so that they cannot overflow.

    Source: Dekker 1971, section 5 (the exact product); Kahan's difference of products.

    >>> one = np.array(1.0)
    >>> float(log_ratio(np.array(1e300), np.array(1 + 2**-52), np.array(1e300), one))
    2.22044604925031...e-16
    """
    (ma, ea), (mb, eb), (mc, ec), (md, ed) = (np.frexp(x) for x in (a, b, c, d))
    power = (ea + eb) - (ec + ed)
    top, top_rest = _product(ma, mb)
    bottom, bottom_rest = _product(mc, md)
    scale = np.ldexp(1.0, np.clip(power, -4, 4))
    change = ((top * scale - bottom) + (top_rest * scale - bottom_rest)) / bottom
    close = (np.abs(power) <= 4) & (np.abs(change) <= 0.5)
    found: Floats = np.where(
        close, np.log1p(np.where(close, change, 0.0)), np.log(top / bottom) + power * np.log(2.0)
    )
    return found


def _product(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """A product and what it rounds away."""
    split = 134217729.0  # 2^27 + 1
    (a1, a2), (b1, b2) = ((h := split * x - (split * x - x), x - h) for x in (a, b))
    found = a * b
    return found, a2 * b2 - (((found - a1 * b1) - a2 * b1) - a1 * b2)


def scaled_excess(scale: Floats, u: Floats) -> Floats:
    """Scale times exp(u) - 1 - u, also where exp(u) alone would overflow."""
    with np.errstate(over="ignore", invalid="ignore"):
        half = np.exp(u / 2)
        far = (scale * half) * half - scale * (1 + u)
    return np.where(u > 1.0, far, scale * exp_remainder(np.minimum(u, 1.0)))


def nu_divergence(b: Floats, a: Floats, step: Floats) -> Floats:
    """D(b, a) of nu(x) = log Gamma(x) - x log x + x, never negative.

    Args:
        b: positive.
        a: positive.
        step: b - a, which need not be formed from them.

    >>> a = np.array(1e300)
    >>> float(nu_divergence(2 * a, a, a))  # (1 - log 2) / 2
    0.15342640972002...
    """
    shift, near = _shift(b, a), np.where(_is_near(a, step), step, 0.0)
    up = np.log1p(near / (a + shift))
    found = exp_remainder(up) / 2
    for order, c in STIRLING:
        found += c * _power(a + shift, up, order)
    small, near = _only(shift > 0, a, near)
    steps = (small + near + SHIFT) * exp_remainder(-np.log1p(near / (small + SHIFT)))
    steps -= (small + near) * exp_remainder(-np.log1p(near / small))
    for k in range(SHIFT):
        steps += exp_remainder(np.log1p(near / (small + k)))
    with np.errstate(over="ignore"):
        far = _nu(b) - _nu(a) - step * _nu_slope(a)
    return np.where(_is_near(a, step), found + np.where(shift > 0, steps, 0.0), far)


def nu_loss(b: Floats, a: Floats, step: Floats, more: Floats) -> Floats:
    """D_nu(b, a) - D_nu(b + more, a + more), never negative; `more` is at most min(a, b).

    It is the integral over what is added of the divergence of -nu', by Gauss and Legendre's rule:
    no difference of two divergences that have nearly everything in common.
    """
    found = np.zeros(np.broadcast(a, b, more).shape)
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        add = (1 + node) / 2 * more
        found += weight / 2 * (more / (a + add)) * _slope_divergence(b + add, a + add, step)
    return found


def nu_slope_change(b: Floats, a: Floats) -> Floats:
    """nu'(b) - nu'(a)."""
    return _nu_slope(b) - _nu_slope(a)


def _slope_divergence(b: Floats, a: Floats, step: Floats) -> Floats:
    """A times D(b, a) of -nu'(x) = log x - digamma(x), never negative."""
    shift, near = _shift(b, a), np.where(_is_near(a, step), step, 0.0)
    up = np.log1p(near / (a + shift))
    found = _power(a + shift, up, 1) / 2
    for order, c in STIRLING:
        found += order * c * _power(a + shift, up, order + 1)
    small, near = _only(shift > 0, a, near)
    steps = exp_remainder(np.log1p(near / (small + SHIFT)))
    steps -= exp_remainder(np.log1p(near / small))
    for k in range(SHIFT):
        steps += _power(small + k, np.log1p(near / (small + k)), 1)
    with np.errstate(over="ignore"):
        far = a * -nu_slope_change(b, a) + step * _nu_bend(a)
    return np.where(_is_near(a, step), a * (found + np.where(shift > 0, steps, 0.0)), far)


def _is_near(a: Floats, step: Floats) -> NDArray[np.bool_]:
    """Is b = a + step so close to a that the three terms of a divergence cancel?"""
    return (-0.6 * a <= step) & (step <= 1.5 * a)


def _only(these: NDArray[np.bool_], a: Floats, step: Floats) -> tuple[Floats, Floats]:
    """A and the step where they are wanted, and elsewhere what any formula takes."""
    return np.where(these, a, SHIFT), np.where(these, step, 0.0)


def _shift(b: Floats, a: Floats) -> Floats:
    """What is added to a and b so that Stirling's series holds."""
    return np.where(np.minimum(a, b) < SHIFT, float(SHIFT), 0.0)


def _power(a: Floats, u: Floats, n: int) -> Floats:
    """D(b, a) of x^-n."""
    return a ** float(-n) * (exp_remainder(-n * u) + n * exp_remainder(u))


def _nu(x: Floats) -> Floats:
    large = np.maximum(x, SHIFT)
    series = np.log(2 * np.pi / large) / 2 + sum(c * large ** float(-n) for n, c in STIRLING)
    return np.where(x < SHIFT, special.gammaln(x) - special.xlogy(x, x) + x, series)


def _nu_slope(x: Floats) -> Floats:
    large = np.maximum(x, SHIFT)
    series = -0.5 / large - sum(n * c * large ** float(-n - 1) for n, c in STIRLING)
    return np.where(x < SHIFT, special.digamma(x) - np.log(x), series)


def _nu_bend(x: Floats) -> Floats:
    """X times nu''(x); trigamma(x) = trigamma(1 + x) + x^-2."""
    large = np.maximum(x, SHIFT)
    series = 0.5 / large + sum(n * (n + 1) * c * large ** float(-n - 1) for n, c in STIRLING)
    return np.where(x < SHIFT, x * special.polygamma(1, 1 + x) + 1 / x - 1, series)
