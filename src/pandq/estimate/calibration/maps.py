"""Newton's method for the softmax maps: per-chunk sums of loss, gradient and Hessian.

Every map here is ``softmax(z)`` with ``z`` linear in its parameters, so the cross entropy against
soft targets is convex and its loss, gradient and Hessian are sums over rows.  A `*_sums` function
takes one chunk of rows and returns these three sums; chunks, folds and machines add up.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import reduce
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from pandq.errors import PandqWarning

Array = NDArray[np.float64]

CHUNK_CELLS = 1 << 18
"""Cells (rows times width) per chunk: small enough for the cache, big enough for the BLAS."""

MAX_EVALUATIONS = 200
"""Of the objective in one fit; a map of real predictions takes ten to thirty."""

SMALL_STEP = 1e-3
"""A step this small polishes; a larger one that does not change the loss means nothing."""

FLAT = 1e-12
"""Less of the largest curvature than this is rounding: the rows do not identify that direction."""


class Rows(NamedTuple):
    """Rows ready for fitting: finite features, masked targets.

    Args:
        x: (n, K) float64, log q in nats with every -inf replaced by a finite number.
        p: (n, K) float64 class weights per row, zero where `zero`.
        w: (n,) float64 row weights.
        zero: (n, K) bool, where q is exactly 0, or None when it never is.
    """

    x: Array
    p: Array
    w: Array
    zero: NDArray[np.bool_] | None


class Sums(NamedTuple):
    """Sums over rows of the loss (nats), its gradient and its Hessian; they add."""

    loss: float
    gradient: Array
    hessian: Array

    def plus(self, other: Sums) -> Sums:
        """Sum of two disjoint sets of rows."""
        return Sums(
            self.loss + other.loss,
            self.gradient + other.gradient,
            self.hessian + other.hessian,
        )


class Fit(NamedTuple):
    """Where Newton's method stopped: parameters, objective, largest |gradient|, what it took."""

    theta: Array
    loss: float
    gradient_norm: float
    steps: int
    evaluations: int = 0


RowSums = Callable[[Array, Rows], Sums]


def softmax_terms(z: Array, rows: Rows) -> tuple[float, Array, Array, Array]:
    """Cross entropy of softmax(z) over the classes with q > 0, and what its derivatives need.

    The class weight that falls on q = 0 is left out: no softmax map can move it, so it carries no
    information about the parameters (the mixing weight of the map covers it instead).

    Args:
        z: (n, K) float64 finite scores; overwritten with -inf where q = 0.
        rows: the chunk of rows.

    Returns:
        loss: sum over rows of w_i (s_i logsumexp_k z_ik - sum_k p_ik z_ik), nats,
            with s_i = sum_k p_ik.
        m: (n, K) softmax.
        s: (n,) row masses w_i s_i.
        r: (n, K) derivative of the loss in z, s_i m_ik - w_i p_ik.

    Example:
        >>> rows = Rows(np.zeros((1, 2)), np.array([[0.5, 0.5]]), np.ones(1), None)
        >>> softmax_terms(np.zeros((1, 2)), rows)[0] == float(np.log(2))
        True
    """
    target = rows.w[:, None] * rows.p
    linear = float(np.vdot(target, z))
    if rows.zero is not None:
        z[rows.zero] = -np.inf
    top = z.max(axis=1)
    m = np.exp(z - top[:, None])
    total = m.sum(axis=1)
    m /= total[:, None]
    s = target.sum(axis=1)
    loss = float(s @ (top + np.log(total))) - linear
    return loss, m, s, s[:, None] * m - target


def temperature_sums(theta: Array, rows: Rows) -> Sums:
    """Sums for softmax(a log q); theta is (a,).

    Source: Guo et al. 2017, On Calibration of Modern Neural Networks, section 4.2.
    """
    x = rows.x
    loss, m, s, r = softmax_terms(theta[0] * x, rows)
    mx = m * x
    mean = mx.sum(axis=1)
    variance = np.einsum("ik,ik->i", mx, x) - mean * mean
    return Sums(loss, np.array([np.vdot(r, x)]), np.array([[s @ variance]]))


def bias_sums(theta: Array, rows: Rows) -> Sums:
    """Sums for softmax(a log q + b); theta is (a, b_1 .. b_K).

    Source: Alexandari, Kundaje, Shrikumar 2020, bias-corrected temperature scaling.
    """
    x = rows.x
    loss, m, s, r = softmax_terms(theta[0] * x + theta[1:], rows)
    mx = m * x
    mean = mx.sum(axis=1)
    variance = np.einsum("ik,ik->i", mx, x) - mean * mean
    hessian = np.empty((theta.size, theta.size))
    hessian[0, 0] = s @ variance
    hessian[0, 1:] = hessian[1:, 0] = s @ mx - (s * mean) @ m
    # Single precision is enough for a Newton direction and halves the cost for many classes.
    root = (np.sqrt(s)[:, None] * m).astype(np.float32)
    np.negative(root.T @ root, out=hessian[1:, 1:])
    diagonal = np.arange(1, theta.size)
    hessian[diagonal, diagonal] += s @ m
    return Sums(loss, np.concatenate([[np.vdot(r, x)], r.sum(axis=0)]), hessian)


def vector_sums(theta: Array, rows: Rows) -> Sums:
    """Sums for softmax(v * log q + b), one scale and one bias per class; theta is (v, b).

    Source: Guo et al. 2017, section 4.2 (vector scaling).
    """
    x, k = rows.x, rows.x.shape[1]
    loss, m, s, r = softmax_terms(theta[:k] * x + theta[k:], rows)
    mx = m * x
    root = np.sqrt(s)[:, None] * np.hstack([mx, m])
    cross = np.diag(s @ mx)
    hessian = np.block([[np.diag(s @ (mx * x)), cross], [cross, np.diag(s @ m)]]) - root.T @ root
    gradient = np.concatenate([np.einsum("ik,ik->k", r, x), r.sum(axis=0)])
    return Sums(loss, gradient, hessian)


def matrix_sums(theta: Array, rows: Rows) -> Sums:
    """Sums for softmax(W log q + b); theta is the (K, K + 1) matrix [W b], row after row.

    Source: Kull et al. 2019 (Dirichlet calibration, matrix scaling on log q); the Hessian is that
    of multinomial logistic regression, sum_i s_i (diag(m_i) - m_i m_i^T) kron f_i f_i^T.
    """
    n, k = rows.x.shape
    features = np.hstack([rows.x, np.ones((n, 1))])
    loss, m, s, r = softmax_terms(features @ theta.reshape(k, k + 1).T, rows)
    root = np.sqrt(s)
    outer = ((root[:, None] * m)[:, :, None] * features[:, None, :]).reshape(n, -1)
    hessian = -(outer.T @ outer)
    blocks = outer.T @ (root[:, None] * features)
    for c in range(k):
        block = slice(c * (k + 1), (c + 1) * (k + 1))
        hessian[block, block] += blocks[block]
    return Sums(loss, (r.T @ features).ravel(), hessian)


def chunks(rows: Rows, width: int) -> Iterator[Rows]:
    """Yield consecutive chunks of about `CHUNK_CELLS / width` rows, at least 1024 rows each."""
    step = max(1024, CHUNK_CELLS // width)
    for start in range(0, rows.x.shape[0], step):
        part = slice(start, start + step)
        zero = None if rows.zero is None else rows.zero[part]
        yield Rows(rows.x[part], rows.p[part], rows.w[part], zero)


def penalised_mean(
    sums: RowSums, rows: Rows, *, ridge: Array | None = None, centre: Array | None = None
) -> Callable[[Array], Sums]:
    """Objective theta -> (sum over rows + sum_d ridge_d (theta_d - centre_d)^2 / 2) / sum of w.

    Args:
        sums: one of the `*_sums` functions.
        rows: all rows.
        ridge: (d,) float64 non-negative strengths on the scale of the sum; None for no penalty.
        centre: (d,) float64 point the ridge pulls to; None for zero.

    Returns:
        A function of theta that returns loss, gradient and Hessian of the objective.
    """
    total = float(rows.w.sum())

    def objective(theta: Array) -> Sums:
        parts = (sums(theta, chunk) for chunk in chunks(rows, max(theta.size, rows.x.shape[1])))
        loss, gradient, hessian = reduce(Sums.plus, parts)
        if ridge is not None:
            off = theta if centre is None else theta - centre
            loss += float(ridge @ (off * off)) / 2
            gradient = gradient + ridge * off
            hessian = hessian + np.diag(ridge)
        return Sums(loss / total, gradient / total, hessian / total)

    return objective


def newton(
    objective: Callable[[Array], Sums],
    start: Array,
    *,
    lower: float = -np.inf,
    tolerance: float = 1e-11,
    max_evaluations: int = MAX_EVALUATIONS,
) -> Fit:
    """Minimise a convex function by Newton steps, halved until the function decreases.

    Every step but the last lowers the loss by more than its rounding, or halves the gradient; and
    one that the loss cannot tell must be small, or it goes along what the rows do not identify.

    Args:
        objective: theta -> (loss, gradient, Hessian).
        start: (d,) first theta; parameters that are not identified stay where it has them.
        lower: lower bound of every parameter; used for one-parameter problems only.
        tolerance: stop once every component of the (projected) gradient is this small, or once
            neither the loss nor the gradient gets smaller in float64.
        max_evaluations: give up, with a PandqWarning, after so many evaluations.

    Returns:
        The minimiser, its loss, the largest |gradient| and the numbers of steps and evaluations.

    Source: Boyd & Vandenberghe 2004, algorithm 9.5 (damped Newton).

    Example:
        >>> fit = newton(lambda t: Sums(float(t @ t), 2 * t, 2 * np.eye(1)), np.array([3.0]))
        >>> abs(float(fit.theta[0])) < 1e-10, fit.steps
        (True, 1)
    """
    theta = np.maximum(start, lower)
    here, evaluations, steps = objective(theta), 1, 0
    while (norm := _free_gradient(theta, here, lower)) > tolerance:
        direction = -solve_positive(here.hessian, here.gradient)
        slope = float(here.gradient @ direction)
        rounding = 4 * np.finfo(np.float64).eps * max(abs(here.loss), 1.0)
        small = np.abs(direction).max() <= SMALL_STEP * max(1.0, float(np.abs(theta).max()))
        if -slope <= rounding and not small:
            break
        length, found = 1.0, None
        while evaluations < max_evaluations and (length == 1.0 or -length * slope > rounding):
            trial = np.maximum(theta + length * direction, lower)
            there, evaluations = objective(trial), evaluations + 1
            if there.loss <= here.loss + 1e-4 * length * slope + rounding:
                found = there
                break
            length /= 2
        if found is None and evaluations >= max_evaluations:
            message = f"a recalibration map met its bound of {evaluations} evaluations"
            warnings.warn(f"{message}, |gradient| {norm:.1e}", PandqWarning, stacklevel=2)
        if found is None or not (
            here.loss - found.loss > rounding or _free_gradient(trial, found, lower) < norm / 2
        ):
            break
        theta, here, steps = trial, found, steps + 1
    return Fit(theta, here.loss, norm, steps, evaluations)


def _free_gradient(theta: Array, here: Sums, lower: float) -> float:
    """Largest |gradient| among parameters that are not held back by their lower bound."""
    free = (theta > lower) | (here.gradient < 0)
    return float(np.abs(here.gradient * free).max())


def solve_positive(hessian: Array, gradient: Array) -> Array:
    """Solve H d = g; along directions in which H has no curvature beyond rounding d is 0."""
    try:
        factor, lower = cho_factor(hessian, lower=True)
        pivots = np.square(np.diag(factor))
        if pivots.min() > FLAT * pivots.max():
            return np.asarray(cho_solve((factor, lower), gradient), dtype=np.float64)
    except LinAlgError:
        pass
    curvature, turned = np.linalg.eigh(hessian)
    curved = curvature > FLAT * curvature[-1]
    found: Array = turned[:, curved] @ (turned[:, curved].T @ gradient / curvature[curved])
    return found
