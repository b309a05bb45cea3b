"""Polynomials in Bernstein form that are certified to lie below or above h(x) = -x ln x.

If c is binomial(m, p), the mean of V[c] is the polynomial P(p) = sum_j V[j] B_{j,m}(p), whatever p
is.  A vector V with P <= h on [0, 1] therefore turns counts into an unbiased estimate of something
that lies below the mean of h(p), without any assumption about how p is distributed.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog
from scipy.special import comb, xlogy

from pandq.errors import InputError

Array = npt.NDArray[np.float64]
Side = Literal["lower", "upper"]

# Smallest positive grid point: h(1e-18) = 4e-17 is below the rounding error of the vectors.
_TINY = 1e-18
_LP_POINTS = 300
_CHECK_POINTS = 20_000
_CUT_ROUNDS = 4
_CUTS_PER_ROUND = 40
# Violations below this (nats per cell) are repaired by a shift instead of another LP.
_SHIFT_TOLERANCE = 2e-9
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


@lru_cache(maxsize=4)
def _check_grid(points: int) -> Array:
    return contact_grid(points)


def check_points() -> Array:
    """The grid between whose points `certified_violation` measures."""
    return _check_grid(_CHECK_POINTS)


# A degree-50 basis on the check grid takes 8 MB and serves every group of a stratum.
@lru_cache(maxsize=12)
def _check_basis(degree: int, points: int) -> Array:
    return bernstein_basis(degree, _check_grid(points))


def certified_violation(vector: Array, side: Side, *, points: int = _CHECK_POINTS) -> Array:
    """How far the polynomial may lie on the wrong side of h in each interval of a fine grid.

    Between neighbours a < b of the grid a function with |f''| <= M departs from its chord by at
    most M (b - a)^2 / 8.  h lies above its chord, which helps the lower bound; for the upper bound
    it rises above it by at most (b - a)^2 / (8 a), and by b / e when a = 0.

    Args:
        vector: Bernstein coefficients, shape (m + 1,), nats.
        side: "lower" checks P <= h, "upper" checks P >= h.
        points: Size of the grid.

    Returns:
        Upper bounds on the violation, one per interval, nats; negative where the bound is slack.

    Source:
        Error of linear interpolation; de Boor, A Practical Guide to Splines (1978), chapter 3.

    >>> bool(certified_violation(np.zeros(3), "lower").max() <= 0.0)
    True
    """
    grid = _check_grid(points)
    m = vector.size - 1
    step = np.diff(grid)
    value = _check_basis(m, points) @ vector
    gap = entropy_term(grid) - value if side == "lower" else value - entropy_term(grid)
    bend = np.zeros_like(step)
    if m >= 2:
        second = np.abs(_check_basis(m - 2, points) @ (m * (m - 1) * np.diff(vector, 2)))
        third = 0.0 if m == 2 else m * (m - 1) * (m - 2) * np.abs(np.diff(vector, 3)).max()
        bend = np.maximum(second[:-1], second[1:]) + third * step
    departure = bend * step**2 / 8.0
    if side == "upper":
        departure[0] += grid[1] / np.e
        departure[1:] += step[1:] ** 2 / (8.0 * grid[1:-1])
    violation: Array = departure - np.minimum(gap[:-1], gap[1:])
    # P(x) - V[0] is of the order of m x near 0, and so is its rounding error.
    near_zero = np.minimum(1.0, m * grid[1:])
    rounding = _ROUNDING * max(1.0, m / _ROUNDING_DEGREE)
    violation += rounding * (abs(vector[0]) + near_zero * np.abs(vector).max())
    return violation


def repair(vector: Array, side: Side) -> Array:
    """Shift a nearly feasible vector until it is certified on all of [0, 1].

    A lower vector keeps V[0] <= 0 and is lowered in the other entries only, so that empty cells,
    of which there are K - 1 per row, do not make up for the repair.

    Args:
        vector: Bernstein coefficients, shape (m + 1,), nats.
        side: Which bound it is meant to be.

    Returns:
        A certified vector, shape (m + 1,).

    Source:
        Partition of unity of the Bernstein polynomials.

    >>> repair(np.array([0.0, 0.3]), "lower")[1] <= 0.0
    np.True_
    """
    fixed = vector.copy()
    m = vector.size - 1
    if side == "lower":
        fixed[0] = min(fixed[0], 0.0)
        violation = certified_violation(fixed, side)
        left = _check_grid(_CHECK_POINTS)[:-1]
        bad = violation > 0.0
        if bad.any():
            if not bad[0]:
                fixed[1:] -= np.max(violation[bad] / -np.expm1(m * np.log1p(-left[bad])))
            else:
                fixed -= violation.max()
        # Lowering V[1:] changes the curvature a little; whatever is left is of second order.
        return fixed - max(0.0, float(certified_violation(fixed, side).max()))
    return fixed + max(0.0, float(certified_violation(fixed, side).max()))


def _solve(share: Array, error: Array, grid: Array, *, side: Side, kappa: float) -> Array:
    """The robust programme with the constraint on a grid only."""
    m = share.size - 1
    sign = 1.0 if side == "lower" else -1.0
    rows = sign * bernstein_basis(m, grid)
    matrix, limit = np.hstack([rows, -rows]), sign * entropy_term(grid)
    # Noise can put f farther than kappa errors from every distribution of counts, and then the
    # programme is unbounded; the uncertainty set has to grow until it contains one.
    for strength in kappa * 2.0 ** np.arange(8):
        cost = np.concatenate([strength * error - sign * share, strength * error + sign * share])
        solution = linprog(
            cost,
            A_ub=matrix,
            b_ub=limit,
            bounds=(0.0, None),
            method="highs",
            options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
        )
        if solution.x is not None:
            vector: Array = solution.x[: m + 1] - solution.x[m + 1 :]
            return vector
    msg = f"no {side} bound of degree {m}: {solution.message}"
    raise RuntimeError(msg)


def bound_vector(share: Array, cells: float, *, side: Side, kappa: float) -> Array:
    """The certified vector that is best for a group of cells with a given distribution of counts.

    Solves  max f.L - kappa sum_j delta_j |L_j|  subject to  sum_j L_j B_j(x) <= h(x)  (mirrored for
    the upper bound), with delta_j = sqrt((f_j + 1/N) / N) the sampling error of f_j: the robust
    counterpart that keeps a vector from exploiting noise in f.

    Args:
        share: f, relative frequencies of the counts 0..m in the group, shape (m + 1,), sum 1.
        cells: N, the number of cells behind f.
        side: "lower" or "upper".
        kappa: Size of the uncertainty set in standard errors, > 0.

    Returns:
        Certified Bernstein coefficients, shape (m + 1,), nats.

    Raises:
        RuntimeError: The linear programme has no solution even for 128 kappa.

    Source:
        Bertsimas and Sim (2004), The Price of Robustness; the moment bounds are those of Karlin
        and Studden, Tchebycheff Systems (1966).

    >>> bound_vector(np.array([0.5, 0.5]), 100.0, side="lower", kappa=1.0)
    array([-0., -0.])
    """
    m = share.size - 1
    error = np.sqrt((share + 1.0 / cells) / cells)
    check = _check_grid(_CHECK_POINTS)
    grid = contact_grid(_LP_POINTS)
    vector = np.zeros(m + 1)
    for _ in range(_CUT_ROUNDS):
        vector = _solve(share, error, grid, side=side, kappa=kappa)
        violation = certified_violation(vector, side)
        worst = np.argsort(violation)[-_CUTS_PER_ROUND:]
        worst = worst[violation[worst] > _SHIFT_TOLERANCE]
        if worst.size == 0:
            break
        grid = np.unique(np.concatenate([grid, check[worst], check[worst + 1]]))
    return repair(vector, side)


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
