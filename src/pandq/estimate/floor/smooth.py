"""Certified vectors for many votes: a quadratic programme around the plug-in estimate of entropy.

With many votes the linear programmes of `bernstein` fit the noise of the count frequencies.  Here
the frequencies are first replaced by those under a fitted mixing distribution, and what is traded
against the gap is the variance that a vector adds to the plug-in estimate, which is quadratic.
Neither choice touches validity: every vector is repaired until it is certified.
"""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from pandq.estimate.floor.bernstein import (
    Side,
    bernstein_basis,
    check,
    entropy_term,
    repair,
)

Array = npt.NDArray[np.float64]

_EM_ROUNDS = 100
# A programme's first points in the angle, and below those.
_FIRST_POINTS, _SMALL_POINTS = 60, 20
_CUT_ROUNDS = 12
# Where P crosses h between points that bind, points are added so far from where it should touch, as
# parts of the distance to the nearest of them.
_CLUSTER = np.array([0.0, -0.03, 0.03, -0.2, 0.2, -0.5, 0.5, -1.0, 1.0])
# Points that bind on both sides of a crossing have one contact if neither is so much farther away.
_SHARED = 2.0
# Violations below this (nats per cell) are repaired by a shift instead of another programme.
SHIFT_TOLERANCE = 3e-8
# A lower price of variance strains double precision and would matter beyond 10^7 rows only.
_LEAST_PENALTY = 1e-4
# The last residual is about the penalty; below this the solution would be rounding error.
_TINY_RESIDUAL = 1e-13


def plug_in_vector(degree: int) -> Array:
    """Plug-in entropy of a cell with its first-order bias correction, the centre of the programme.

    Args:
        degree: m >= 1.

    Returns:
        h(j/m) + (1 - j/m) / (2 m) for j > 0 and 0 for j = 0, shape (m + 1,), nats.

    Source:
        Miller, Note on the bias of information estimates (1955).

    >>> plug_in_vector(1).tolist()
    [0.0, 0.0]
    """
    x = np.arange(degree + 1) / degree
    return entropy_term(x) + np.where(x > 0.0, (1.0 - x) / (2.0 * degree), 0.0)


@lru_cache(maxsize=4)
def _mixing_basis(degree: int) -> Array:
    # Even steps in ln p where one vote is rare, even steps in the angle above.
    small = np.geomspace(1e-5, 0.02, 60)
    nodes = np.sin(0.5 * np.pi * np.arange(201) / 200) ** 2
    return bernstein_basis(degree, np.unique(np.concatenate([small, nodes])))


def smoothed_laws(shares: Array) -> Array:
    """Distributions of counts under smooth mixing distributions of p fitted to the frequencies.

    A hundred rounds of EM from the uniform start stop far short of the maximum likelihood, whose
    few atoms a programme would exploit; what remains is a proper mixture of binomials.

    Args:
        shares: Relative frequencies of the counts 0..m in each group, shape (G, m + 1), sums 1.

    Returns:
        Shape (G, m + 1), positive, sums 1.

    Source:
        Kiefer and Wolfowitz (1956); Laird (1978), Nonparametric maximum likelihood estimation of a
        mixing distribution, for the EM.

    >>> bool(abs(smoothed_laws(np.array([[0.5, 0.3, 0.2]])).sum() - 1.0) < 1e-12)
    True
    """
    basis = _mixing_basis(shares.shape[1] - 1)
    weight = np.full((len(shares), basis.shape[0]), 1.0 / basis.shape[0])
    for _ in range(_EM_ROUNDS):
        weight *= (shares / (weight @ basis)) @ basis.T
    law: Array = weight @ basis
    law /= law.sum(axis=1, keepdims=True)
    return law


def _quadratic_programme(
    gain: Array, curve: Array, matrix: Array, limit: Array
) -> tuple[Array, Array]:
    """Maximises gain.e - sum_j curve_j e_j^2 / 2 subject to matrix @ e <= limit; and multipliers.

    In z = sqrt(curve) e - gain / sqrt(curve) it is the point of a polyhedron nearest to the origin,
    which the residual of one non-negative least squares problem gives.

    Source:
        Least distance programming, Lawson and Hanson (1974), chapter 23.
    """
    root = np.sqrt(curve)
    rows, free = matrix / root, gain / root
    system = -np.vstack([rows.T, limit - rows @ free])
    norms = np.linalg.norm(system, axis=0)
    system /= norms
    target = np.zeros(system.shape[0])
    target[-1] = 1.0
    multipliers, _ = nnls(system, target, maxiter=50 * system.shape[1])
    residual = system @ multipliers - target
    if residual[-1] > -_TINY_RESIDUAL:
        msg = "the least distance programme has no solution at this precision"
        raise RuntimeError(msg)
    point: Array = (free - residual[:-1] / residual[-1]) / root
    return point, multipliers / norms


@cache
def _first_points() -> Array:
    nodes = np.sin(0.5 * np.pi * np.arange(_FIRST_POINTS + 1) / _FIRST_POINTS) ** 2
    return np.union1d(np.geomspace(1e-7, 0.5 * nodes[1], _SMALL_POINTS), nodes)


def _about(binding: Array, weights: Array, crossings: Array) -> Array:
    """The points that bind, the crossings between them, and points about where these should be.

    On a grid the two points beside a point of contact share its multiplier, and their mean under it
    is the point itself up to second order, whereas the deepest crossing is always their middle.
    """
    if crossings.size == 0:
        return binding
    right = np.clip(np.searchsorted(binding, crossings), 1, binding.size - 1)
    x, w = binding[[right - 1, right]], weights[[right - 1, right]]
    away = np.abs(x - crossings)
    shared = away.max(axis=0) < _SHARED * away.min(axis=0)
    touch = np.where(shared, (w * x).sum(axis=0) / w.sum(axis=0), crossings)
    distance = np.abs(x - touch).min(axis=0)
    more = touch[:, None] + distance[:, None] * _CLUSTER
    return np.concatenate([binding, crossings, np.clip(more, 0.0, 1.0).ravel()])


def smooth_bound_vectors(
    shares: Array,
    cells: Array,
    *,
    side: Side,
    penalty: float,
    tolerance: float = SHIFT_TOLERANCE,
) -> Array:
    """The certified vectors with the best means, less a penalty for the variance they add.

    With V = plug-in + E each solves  max f.E - penalty / 2 sum_j (f_j + 1/N) E_j^2  subject to
    V below h on [0, 1] (mirrored for the upper bound), where f is the smoothed distribution of the
    counts.  Points where the constraint is broken are added, until it holds almost everywhere.

    Args:
        shares: Relative frequencies of the counts 0..m in each group, shape (G, m + 1), sums 1.
        cells: N, the number of cells behind them, shape (G,).
        side: "lower" or "upper".
        penalty: Price of the variance of E per cell, > 0, in 1/nats.
        tolerance: Violation that is repaired by a shift instead of another programme, nats per
            cell; a larger one costs width and never validity.

    Returns:
        Certified Bernstein coefficients, shape (G, m + 1), nats.

    Source:
        Wu and Yang (2016), Minimax rates of entropy estimation, for polynomials near zero beside
        the plug-in elsewhere; here both come out of one programme. The exchange of points is that
        of Remez, Hettich and Kortanek (1993), Semi-infinite programming, section 7.

    >>> flat = np.full((1, 7), 1 / 7)
    >>> vectors = smooth_bound_vectors(flat, np.ones(1), side="lower", penalty=0.1)
    >>> bool(check(vectors, "lower").worst[0] < 1e-12)
    True
    """
    m, sign = shares.shape[1] - 1, 1.0 if side == "lower" else -1.0
    laws, centre = smoothed_laws(shares), plug_in_vector(m)
    curves = max(penalty, _LEAST_PENALTY) * (laws + 1.0 / cells[:, None])
    vectors, open_ = np.tile(centre, (len(shares), 1)), np.arange(len(shares))
    start = _first_points()
    points, weights = [start] * len(shares), [start] * len(shares)
    for _ in range(_CUT_ROUNDS):
        going_on = []
        for g in open_:
            basis = sign * bernstein_basis(m, points[g])
            limit = sign * entropy_term(points[g]) - basis @ centre
            try:
                more, price = _quadratic_programme(sign * laws[g], curves[g], basis, limit)
            except RuntimeError:
                # Repairing the last vector, at worst the plug-in estimate, is sound if not tight.
                continue
            binds = price > 0.0
            vectors[g], points[g], weights[g] = centre + more, points[g][binds], price[binds]
            going_on.append(g)
        if not going_on:
            break
        found = check(vectors[going_on], side)
        crossed = found.depth > tolerance
        for g, at in zip(going_on, np.where(crossed, found.at, np.nan), strict=True):
            points[g] = np.union1d(start, _about(points[g], weights[g], at[np.isfinite(at)]))
        open_ = np.array(going_on)[crossed.any(axis=1)]
    return repair(vectors, side)
