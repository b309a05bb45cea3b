"""Certified vectors for many votes: a quadratic programme around the plug-in estimate of entropy.

With many votes the linear programmes of `bernstein` fit the noise of the count frequencies.  Here
the frequencies are first replaced by those under a fitted mixing distribution, and what is traded
against the gap is the variance that a vector adds to the plug-in estimate, which is quadratic.
Neither choice touches validity: every vector is repaired until it is certified.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from pandq.estimate.floor.bernstein import (
    Side,
    bernstein_basis,
    certified_violation,
    check_points,
    contact_grid,
    entropy_term,
    repair,
)

Array = npt.NDArray[np.float64]

_EM_ROUNDS = 100
_CONTACT_POINTS = 300
_CUT_ROUNDS = 3
_CUTS_PER_ROUND = 40
# Violations below this (nats per cell) are repaired by a shift instead of another programme.
_SHIFT_TOLERANCE = 1e-7
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


def smoothed_law(share: Array) -> Array:
    """The distribution of counts under a smooth mixing distribution of p fitted to the frequencies.

    A hundred rounds of EM from the uniform start stop far short of the maximum likelihood, whose
    few atoms a programme would exploit; what remains is a proper mixture of binomials.

    Args:
        share: Relative frequencies of the counts 0..m, shape (m + 1,), sum 1.

    Returns:
        Shape (m + 1,), positive, sum 1.

    Source:
        Kiefer and Wolfowitz (1956); Laird (1978), Nonparametric maximum likelihood estimation of a
        mixing distribution, for the EM.

    >>> bool(abs(smoothed_law(np.array([0.5, 0.3, 0.2])).sum() - 1.0) < 1e-12)
    True
    """
    basis = _mixing_basis(share.size - 1)
    weight = np.full(basis.shape[0], 1.0 / basis.shape[0])
    for _ in range(_EM_ROUNDS):
        weight = weight * (basis @ (share / (weight @ basis)))
    law: Array = weight @ basis
    law /= law.sum()
    return law


def _quadratic_programme(gain: Array, curve: Array, matrix: Array, limit: Array) -> Array:
    """Maximises gain.e - sum_j curve_j e_j^2 / 2 subject to matrix @ e <= limit.

    In z = sqrt(curve) e - gain / sqrt(curve) it is the point of a polyhedron nearest to the origin,
    which the residual of one non-negative least squares problem gives.

    Source:
        Least distance programming, Lawson and Hanson (1974), chapter 23.
    """
    root = np.sqrt(curve)
    rows, free = matrix / root, gain / root
    system = -np.vstack([rows.T, limit - rows @ free])
    system /= np.linalg.norm(system, axis=0)
    target = np.zeros(system.shape[0])
    target[-1] = 1.0
    multipliers, _ = nnls(system, target, maxiter=50 * system.shape[1])
    residual = system @ multipliers - target
    if residual[-1] > -_TINY_RESIDUAL:
        msg = "the least distance programme has no solution at this precision"
        raise RuntimeError(msg)
    point: Array = (free - residual[:-1] / residual[-1]) / root
    return point


def smooth_bound_vector(share: Array, cells: float, *, side: Side, penalty: float) -> Array:
    """The certified vector with the best mean, less a penalty for the variance it adds.

    With V = plug-in + E it solves  max f.E - penalty / 2 sum_j (f_j + 1/N) E_j^2  subject to
    V below h on [0, 1] (mirrored for the upper bound), where f is the smoothed distribution of the
    counts.

    Args:
        share: Relative frequencies of the counts 0..m in the group, shape (m + 1,), sum 1.
        cells: N, the number of cells behind them.
        side: "lower" or "upper".
        penalty: Price of the variance of E per cell, > 0, in 1/nats.

    Returns:
        Certified Bernstein coefficients, shape (m + 1,), nats.

    Source:
        Wu and Yang (2016), Minimax rates of entropy estimation, for polynomials near zero beside
        the plug-in elsewhere; here both come out of one programme.

    >>> vector = smooth_bound_vector(np.full(7, 1 / 7), 100.0, side="lower", penalty=0.1)
    >>> bool(certified_violation(vector, "lower").max() <= 1e-15)
    True
    """
    m = share.size - 1
    sign = 1.0 if side == "lower" else -1.0
    law, centre = smoothed_law(share), plug_in_vector(m)
    curve = max(penalty, _LEAST_PENALTY) * (law + 1.0 / cells)
    check, grid, vector = check_points(), contact_grid(_CONTACT_POINTS), centre
    for _ in range(_CUT_ROUNDS):
        rows = sign * bernstein_basis(m, grid)
        limit = sign * entropy_term(grid) - rows @ centre
        try:
            vector = centre + _quadratic_programme(sign * law, curve, rows, limit)
        except RuntimeError:
            # Repairing the last vector, at worst the plug-in estimate, is sound if not tight.
            break
        violation = certified_violation(vector, side)
        worst = np.argsort(violation)[-_CUTS_PER_ROUND:]
        worst = worst[violation[worst] > _SHIFT_TOLERANCE]
        if worst.size == 0:
            break
        grid = np.unique(np.concatenate([grid, check[worst], check[worst + 1]]))
    return repair(vector, side)
