"""Polynomials in Bernstein form that are certified to lie below or above h(x) = -x ln x.

If c is binomial(m, p), the mean of V[c] is the polynomial P(p) = sum_j V[j] B_{j,m}(p), whatever p
is.  A vector V with P <= h on [0, 1] therefore turns counts into an unbiased estimate of something
that lies below the mean of h(p), without any assumption about how p is distributed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import comb, xlogy

from pandq.errors import InputError

Array = npt.NDArray[np.float64]
Side = Literal["lower", "upper"]

# Smallest positive grid point: h(1e-18) = 4e-17 is below the rounding error of the vectors.
_TINY = 1e-18
_CHECK_POINTS = 1_000
# Covers the rounding of a polynomial evaluation up to degree 50, beyond which it grows with the
# degree (from the powers of 1 - x); relative to the largest entry of the vector.
_ROUNDING = 1e-14
_ROUNDING_DEGREE = 50


def entropy_term(x: Array) -> Array:
    """h(x) = -x ln x, with h(0) = 0.

    Args:
        x: Probabilities in [0, 1], any shape, float64.

    Returns:
        The entropy contribution of each probability, in nats, shape of x.

    Source:
        Shannon (1948), section 6.

    >>> bool(entropy_term(np.array([0.5]))[0] == 0.5 * np.log(2.0))
    True
    """
    return -np.asarray(xlogy(x, x), dtype=np.float64)


def bernstein_basis(degree: int, x: Array) -> Array:
    """The Bernstein polynomials B_{j,m}(x), that is the binomial probabilities of j.

    Args:
        degree: m >= 0.
        x: Points in [0, 1], shape (g,), float64.

    Returns:
        Shape (g, m + 1), float64; every row sums to one.

    Source:
        Lorentz, Bernstein Polynomials (1953), chapter 1.

    >>> bernstein_basis(2, np.array([0.5])).tolist()
    [[0.25, 0.5, 0.25]]
    """
    j = np.arange(degree + 1)
    choose = comb(degree, j)
    powers: Array = choose * x[:, None] ** j * (1.0 - x[:, None]) ** (degree - j)
    return powers


def contact_grid(points: int) -> Array:
    """A grid on [0, 1] that is dense near both ends, where the bounds touch h.

    The sin^2 spacing makes dx^2 / x constant, which is what the curvature 1/x of h asks for; the
    logarithmic points reach down to where h itself is below rounding.

    Args:
        points: Number of intervals of the sin^2 part, at least 2.

    Returns:
        Increasing points from 0 to 1, float64.

    Source:
        Chebyshev-Lobatto nodes; Trefethen, Approximation Theory and Approximation Practice (2013).

    >>> grid = contact_grid(100)
    >>> float(grid[0]), float(grid[-1])
    (0.0, 1.0)
    """
    nodes = np.sin(0.5 * np.pi * np.arange(points + 1) / points) ** 2
    small = np.geomspace(_TINY, nodes[1], max(60, points // 5))
    return np.unique(np.concatenate([[0.0], small, nodes[1:-1], 1.0 - small[small > 1e-9], [1.0]]))


@lru_cache(maxsize=12)
def _check_basis(degree: int) -> tuple[Array, Array]:
    """The grid between whose points bounds are checked, and the basis there."""
    grid = contact_grid(_CHECK_POINTS)
    return grid, bernstein_basis(degree, grid)


@dataclass(frozen=True)
class Check:
    """How far polynomials lie on the right side of h, in each interval of a grid.

    Args:
        violation: Upper bounds on how far each lies on the wrong side, shape (G, g - 1), nats;
            negative where it certainly does not.
        at: Where each comes closest within an interval, shape (G, g - 1); NaN where that is at an
            end of it, or where it is far.
        depth: How far it lies on the wrong side there, shape (G, g - 1), nats.
        grid: The points, shape (g,).
    """

    violation: Array
    at: Array
    depth: Array
    grid: Array

    @property
    def worst(self) -> Array:
        """The largest violation of each, at least 0, shape (G,)."""
        largest: Array = np.maximum(self.violation.max(axis=1), 0.0)
        return largest


def check(vectors: Array, side: Side) -> Check:
    """Bounds how far polynomials may lie on the wrong side of h anywhere on [0, 1].

    Between neighbours a < b of the grid the distance departs from the cubic with the same values
    and slopes at a and b by at most M (b - a)^4 / 384, where M bounds its fourth derivative: that
    of h by 2 / a^3, and that of the polynomial by its differences.  When a = 0, h lies above its
    chord, by at most b / e.

    Args:
        vectors: Bernstein coefficients, shape (G, m + 1), nats.
        side: "lower" checks P <= h, "upper" checks P >= h.

    Returns:
        The check.

    Source:
        Error of Hermite interpolation; de Boor, A Practical Guide to Splines (1978), chapter 4.

    >>> bool(check(np.zeros((1, 3)), "lower").worst[0] < 1e-12)
    True
    """
    m = vectors.shape[1] - 1
    grid, basis = _check_basis(m)
    inner, step = grid[1:], np.diff(grid)
    sign = 1.0 if side == "lower" else -1.0
    gap = sign * (entropy_term(grid) - vectors @ basis.T)
    slope = -sign * (m * np.diff(vectors) @ _check_basis(m - 1)[1].T)
    slope[:, 1:] -= sign * (np.log(inner) + 1.0)
    slope[:, 0] = slope[:, 1]  # of the first interval only its chord counts
    left, right = gap[:, :-1], gap[:, 1:]
    fall, rise = slope[:, :-1] * step, slope[:, 1:] * step
    departure = _departure(vectors, grid, side)
    # A cubic lies above the lower end less 4/27 of the slopes that lead further down.
    least = np.minimum(left, right)
    least[:, 1:] -= (4.0 / 27.0) * (np.maximum(-fall, 0.0) + np.maximum(rise, 0.0))[:, 1:]
    violation = departure - least
    at, depth = np.full_like(violation, np.nan), np.full_like(violation, -np.inf)
    g, i = np.nonzero(violation[:, 1:] > 0.0)
    i += 1
    lowest, t = _cubic_minimum(left[g, i], right[g, i], fall[g, i], rise[g, i])
    violation[g, i] = departure[g, i] - lowest
    at[g, i], depth[g, i] = grid[i] + t * step[i], -lowest
    return Check(violation, at, depth, grid)


def _departure(vectors: Array, grid: Array, side: Side) -> Array:
    """How far a distance from h may lie below its interpolant in each interval, with rounding."""
    m, step = vectors.shape[1] - 1, np.diff(grid)

    def largest(order: int) -> Array:
        """Of a derivative of the polynomials: (G, 1)."""
        if m < order:
            return np.zeros((len(vectors), 1))
        scale = float(math.perm(m, order))
        found: Array = scale * np.abs(np.diff(vectors, order)).max(axis=1, keepdims=True)
        return found

    departure: Array = np.empty((len(vectors), step.size))
    departure[:, 1:] = (largest(4) + 2.0 / grid[1:-1] ** 3) * step[1:] ** 4 / 384.0
    departure[:, :1] = largest(2) * step[0] ** 2 / 8.0 + (grid[1] / np.e if side == "upper" else 0)
    # P(x) - V[0] is of the order of m x near 0, and so is its rounding error.
    near_zero = np.minimum(1.0, m * grid[1:])
    rounding = _ROUNDING * max(1.0, m / _ROUNDING_DEGREE)
    size = np.abs(vectors).max(axis=1, keepdims=True)
    departure += rounding * (np.abs(vectors[:, :1]) + near_zero * size)
    return departure


def _cubic_minimum(left: Array, right: Array, fall: Array, rise: Array) -> tuple[Array, Array]:
    """The minimum on [0, 1] of cubics given by their values and slopes at 0 and 1, and its place.

    >>> lowest, at = _cubic_minimum(np.ones(1), np.ones(1), -np.ones(1), np.ones(1))
    >>> float(lowest[0]), float(at[0])
    (0.75, 0.5)
    """
    climb = right - left
    square, cube = 3.0 * climb - 2.0 * fall - rise, fall + rise - 2.0 * climb
    with np.errstate(divide="ignore", invalid="ignore"):
        t = -fall / (square + np.sqrt(square**2 - 3.0 * cube * fall))
    t = np.where((t > 0.0) & (t < 1.0), t, np.nan)
    inside = left + t * (fall + t * (square + t * cube))
    lowest: Array = np.fmin(np.minimum(left, right), inside)
    return lowest, t


def repair(vectors: Array, side: Side) -> Array:
    """Shift nearly feasible vectors until they are certified on all of [0, 1].

    A lower vector keeps V[0] <= 0 and is lowered in the other entries only, so that empty cells,
    of which there are K - 1 per row, do not make up for the repair.

    Args:
        vectors: Bernstein coefficients, shape (G, m + 1), nats.
        side: Which bound they are meant to be.

    Returns:
        Certified vectors, shape (G, m + 1).

    Source:
        Partition of unity of the Bernstein polynomials.

    >>> repair(np.array([[0.0, 0.3]]), "lower")[0, 1] <= 0.0
    np.True_
    """
    fixed, m = vectors.copy(), vectors.shape[1] - 1
    if side == "lower":
        fixed[:, 0] = np.minimum(fixed[:, 0], 0.0)
        found = check(fixed, side)
        bad = np.maximum(found.violation, 0.0)
        at_zero = bad[:, 0] > 0.0
        fixed[at_zero] -= found.worst[at_zero, None]
        lever = -np.expm1(m * np.log1p(-found.grid[1:-1]))
        fixed[~at_zero, 1:] -= (bad[~at_zero, 1:] / lever).max(axis=1, keepdims=True)
    # Lowering V[1:] changes the curvature a little; whatever is left is of second order.
    shift = check(fixed, side).worst[:, None]
    return fixed - shift if side == "lower" else fixed + shift


def bound_vectors(shares: Array, cells: Array, *, side: Side, kappa: float) -> Array:
    """The certified vectors that are best for groups of cells with given laws of one or two votes.

    Each solves  max f.L - kappa sum_j delta_j |L_j|  subject to  sum_j L_j B_j(x) <= h(x)
    (mirrored for the upper bound), with delta_j = sqrt((f_j + 1/N) / N) the sampling error of f_j:
    the robust counterpart that keeps a vector from exploiting noise in f.

    Args:
        shares: f, relative frequencies of the counts 0..m in each group, shape (G, m + 1), sums 1,
            m at most 2.
        cells: N, the number of cells behind them, shape (G,).
        side: "lower" or "upper".
        kappa: Size of the uncertainty set in standard errors, > 0.

    Returns:
        Certified Bernstein coefficients, shape (G, m + 1), nats.

    Raises:
        RuntimeError: A programme has no solution even for 128 kappa.

    Source:
        Bertsimas and Sim (2004), The Price of Robustness; the moment bounds are those of Karlin
        and Studden, Tchebycheff Systems (1966).

    >>> one = bound_vectors(np.array([[0.5, 0.5]]), np.array([100.0]), side="lower", kappa=1.0)
    >>> bool(abs(one).max() < 1e-15)
    True
    """
    errors = np.sqrt((shares + 1.0 / cells[:, None]) / cells[:, None])
    best = (_best_below if side == "lower" else _best_above)[shares.shape[1] - 2]
    pairs = zip(shares, kappa * errors, strict=True)
    return repair(np.array([_robust(best, share, error) for share, error in pairs]), side)


def _robust(
    best: Callable[[Array, Array], list[float] | None], share: Array, error: Array
) -> Array:
    # Noise can put f farther than kappa errors from every distribution of counts, and then the
    # programme is unbounded; the uncertainty set has to grow until it contains one.
    for strength in 2.0 ** np.arange(8):
        vector = best(share, strength * error)
        if vector is not None:
            return np.array(vector)
    msg = f"no bound of degree {share.size - 1}: its programme is unbounded"
    raise RuntimeError(msg)


def _nothing_below(share: Array, error: Array) -> list[float]:  # noqa: ARG001
    """One vote: what is linear and below h at both ends is not above 0."""
    return [0.0, 0.0]


def _tangent_above(share: Array, error: Array) -> list[float]:
    """One vote: a line above h is best where it touches at the mean of the dearest law."""
    none, one = share + error
    t = max(one / (none + one), _TINY)
    return [t, t - math.log(t) - 1.0]


def _pair_below(share: Array, error: Array) -> list[float] | None:
    """Two votes: the parabola through (0, 0) that touches h where the other atom is.

    The dual is a law with atoms at 0 and t whose counts are within the errors: as few ones and as
    many twos as they allow, as L_1 > 0 > L_2. There is none if it has too few zeros.
    """
    one, two = share[1] - error[1], share[2] + error[2]
    if one <= 0.0:
        return [0.0, 0.0, 0.0]
    if one * one > 4.0 * two * (share[0] + error[0]):
        return None
    t = two / (0.5 * one + two)
    return [0.0, 0.5 * (1.0 - math.log(t)), 1.0 - math.log(t) - 1.0 / t]


def _pair_above(share: Array, error: Array) -> list[float] | None:
    """Two votes: the parabola through (1, 0) that touches h where the other atom, y, is.

    The dual has as many zeros and ones as the errors allow.  Where no law has so many ones, the
    one with an atom at y alone serves if it has not too few: then U_1 = 0.
    """
    none, one, two = share + error
    if one * one > 4.0 * none * two:
        one = 2.0 * math.sqrt(none * two)
        if one < share[1] - error[1]:
            return None
        y = math.sqrt(two) / (math.sqrt(two) + math.sqrt(none))
        # the value h(y) and the slope h'(y) of U_0 (1 - x)^2 + U_2 x^2
        h, slope = -y * math.log(y), -math.log(y) - 1.0
        return [(h - 0.5 * y * slope) / (1.0 - y), 0.0, (h + 0.5 * (1.0 - y) * slope) / y]
    y, r = max(one / (2.0 * none + one), _TINY), 2.0 * none / (2.0 * none + one)
    log_y = math.log1p(-r) if r < 0.5 else math.log(y)
    h = -y * log_y
    bend = (1.0 + log_y - h / r) / r
    a = h / r - bend * r
    return [a + bend, 0.5 * a, 0.0]


_best_below = (_nothing_below, _pair_below)
_best_above = (_tangent_above, _pair_above)


def thinning(votes: Array, counts: Array, degree: int) -> Array:
    """How a class's votes are spread when only `degree` of a row's votes are kept, at random.

    V[c] = sum_j Hypergeometric(j; votes, c, degree) V'[j] is the mean of V' over all ways to keep
    `degree` of the votes, so it has the same polynomial and a smaller variance: a Bernstein vector
    of a low degree serves rows with any number of votes.

    Args:
        votes: m >= degree, the votes of each row, shape (n,), whole numbers below 2^53.
        counts: c <= m, those for the class, shape (n,).
        degree: m', of the vector.

    Returns:
        Shape (n, m' + 1), float64; every row sums to one. V = thinning @ V'.

    Raises:
        InputError: a row has fewer votes than the degree.

    Source:
        Degree elevation, Farin, Curves and Surfaces for CAGD (2002), section 6.1; it is the
        Rao-Blackwell step over random thinning.

    >>> thinning(np.array([2.0, 2.0]), np.array([1.0, 2.0]), 1).tolist()
    [[0.5, 0.5], [0.0, 1.0]]
    """
    m, c = (np.asarray(x, dtype=np.float64)[:, None] for x in (votes, counts))
    if m.size and m.min() < degree:
        least = int(m.min())
        raise InputError(what=f"cannot thin {least} votes to {degree}: lower the degree")
    i = np.arange(degree)
    start = np.ones_like(m)
    # the product of (c)_j (m - c)_(m' - j) over (m)_m', its factors paired so that none overflows
    hit = np.cumprod(np.hstack([start, np.maximum(c - i, 0.0) / (m - i)]), axis=1)
    miss = np.maximum(m - c - i, 0.0) / (m - degree + 1 + i)
    missed = np.cumprod(np.hstack([start, miss]), axis=1)[:, ::-1]
    ways: Array = comb(degree, np.arange(degree + 1)).astype(np.float64)
    law: Array = ways * hit * missed
    return law
