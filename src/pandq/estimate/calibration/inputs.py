"""Checks of P, Q and row weights, and the row-wise cross entropy."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from pandq.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]


def check_log_q(log_q: ArrayLike) -> Array:
    """(n, K) float64 log-probabilities; InputError unless 2-d, K >= 2, n >= 1 and normalised."""
    x = np.asarray(log_q, dtype=np.float64)
    if x.ndim != 2 or x.shape[1] < 2 or x.shape[0] == 0:
        raise InputError(what=f"log_q must be (n, K) with n >= 1 and K >= 2, got {x.shape}")
    worst = float(np.abs(np.exp(x).sum(axis=1) - 1).max())
    if not worst <= 2e-2:
        raise InputError(
            what=f"log_q must be normalised in every row; a row sum is off by {worst:.3g}"
        )
    return x


def as_targets(p: ArrayLike, n: int, k: int) -> Array:
    """(n, K) float64 class weights from such weights or from (n,) integer labels.

    Raises:
        InputError: if the shape, a label, a sign or a row sum is wrong.
    """
    given = np.asarray(p)
    if given.ndim == 1 and given.shape[0] == n and np.issubdtype(given.dtype, np.integer):
        if given.min() < 0 or given.max() >= k:
            raise InputError(what=f"labels must lie in 0 .. {k - 1}")
        target = np.zeros((n, k))
        target[np.arange(n), given] = 1.0
        return target
    target = given.astype(np.float64)
    if target.shape != (n, k):
        raise InputError(
            what=f"p must be ({n}, {k}) weights or ({n},) integers, got {target.shape}"
        )
    if not (target.min() >= 0 and np.abs(target.sum(axis=1) - 1).max() <= 1e-6):
        raise InputError(what="p must be non-negative and sum to one in every row")
    return target


def as_weights(weights: ArrayLike | None, n: int) -> Array:
    """(n,) float64 row weights scaled to mean 1; InputError if negative, all zero or misshapen."""
    if weights is None:
        return np.ones(n)
    w = np.asarray(weights, dtype=np.float64)
    if w.shape != (n,) or not (w.min() >= 0 and 0 < w.sum() < np.inf):
        raise InputError(what=f"weights must be ({n},), non-negative, finite and not all zero")
    return cast("Array", w * (n / w.sum()))


def row_losses(p: Array, log_c: Array) -> Array:
    """(n,) float64 cross entropies -sum_k p_k log c_k in nats, with 0 log 0 = 0.

    Example:
        >>> row_losses(np.array([[1.0, 0.0]]), np.array([[0.0, -np.inf]])).tolist()
        [0.0]
    """
    terms = np.where(p > 0, log_c, 0.0)
    return cast("Array", 0.0 - np.einsum("ik,ik->i", p, terms))
