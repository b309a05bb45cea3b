"""Fitting one recalibration map to soft labels: Newton for the softmax maps, PAV for isotonic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import special
from scipy.optimize import brentq, isotonic_regression, minimize_scalar

from pandq.errors import InputError
from pandq.estimate.calibration.inputs import as_targets, as_weights, check_log_q
from pandq.estimate.calibration.maps import (
    Array,
    Rows,
    RowSums,
    bias_sums,
    chunks,
    matrix_sums,
    newton,
    penalised_mean,
    softmax_terms,
    temperature_sums,
    vector_sums,
)
from pandq.recalibrator import KINDS, Kind, Recalibrator, pure_map, with_zeros

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

SMALLEST_SCALE = 1e-3
"""Lower bound of the temperature map's a: where a model's order is worthless, a stays here."""

SOFTMAX_PSEUDO_ROWS = 0.1
"""Chosen by held-out loss on CIFAR-10H, forest-like q with zeros and two-class simulations."""

ISOTONIC_PSEUDO_ROWS = 1.0
"""More than for softmax maps: the outer blocks of the isotonic fit are exactly 0 and 1 in-sample,
so the training rows cannot tell how often they are wrong."""


def fit_map(
    kind: Kind,
    p: ArrayLike,
    log_q: Array,
    weights: Array | None = None,
    *,
    strength: float = 1.0,
) -> Recalibrator:
    """Fit one map to soft labels by minimising the mean cross entropy H(P, c(Q)).

    Ridges (on the sum of losses, in units of the fitted temperature a0): 2K on per-class scales
    around a0, 2K(K - 1) on off-diagonals around 0 (the defaults of structured matrix scaling) and
    `bias_ridge` on biases, all times `strength`.  Temperature and the common scale have none.

    Args:
        kind: which map; "vector" is one scale and one bias per class, "bias" one common scale and
            one bias per class (for many classes), "isotonic" needs K = 2.
        p: (n, K) class weights summing to one per row, or (n,) integer labels.
        log_q: (n, K) float64 normalised log-probabilities in nats, -inf where q = 0.
        weights: (n,) non-negative row weights, only their ratios matter; None for equal ones.
        strength: factor of all ridges.

    Returns:
        The fitted map.

    Raises:
        InputError: for malformed p, log_q or weights, an unknown kind, isotonic with K != 2.

    Source: Berta, Holzmueller, Jordan, Bach 2025, arXiv 2511.03685 (structured regularisation).

    Example:
        >>> c = fit_map("identity", np.array([0, 1]), np.log([[0.9, 0.1], [0.2, 0.8]]))
        >>> np.exp(c.apply(np.log([[0.9, 0.1]]))).round(6).tolist()
        [[0.9, 0.1]]
    """
    if kind not in KINDS:
        raise InputError(what=f"unknown kind {kind!r}, known: {', '.join(KINDS)}")
    log_q = with_zeros(check_log_q(log_q))
    n, k = log_q.shape
    target = as_targets(p, n, k)
    w = as_weights(weights, n)
    freq = (w @ target + 1 / k) / (w.sum() + 1)
    zero = np.isneginf(log_q)
    floor = float(log_q[~zero].min())
    if kind == "identity":
        eps = _identity_weight(target, np.exp(log_q), freq, w, np.any(zero, axis=1))
        return Recalibrator(kind, {}, eps, freq, floor, n)
    if kind == "isotonic":
        parameters = _isotonic_knots(target, log_q, w)
    else:
        any_zero = bool(zero.any())
        rows = Rows(
            np.where(zero, floor, log_q) if any_zero else log_q,
            np.where(zero, 0.0, target) if any_zero else target,
            w,
            zero if any_zero else None,
        )
        parameters = _softmax_parameters(kind, rows, strength)
    pseudo_rows = ISOTONIC_PSEUDO_ROWS if kind == "isotonic" else SOFTMAX_PSEUDO_ROWS
    m = pure_map(kind, parameters, log_q, floor)
    eps = mixing_weight(target, m, freq, w, pseudo_rows)
    return Recalibrator(kind, parameters, eps, freq, floor, n)


def fit_cautious_temperature(
    p: ArrayLike, log_q: Array, weights: Array | None = None
) -> Recalibrator:
    """A temperature map pulled towards 1, with nothing mixed in; on its rows never worse than Q.

    Minimises sum_i w_i H(P_i, c(Q_i)) + (log a)^2 / 2 over the scale a. Where rows can be told
    apart without an error the likeliest scale is infinite, and what `fit_map` mixes in against that
    can cost more than recalibration gains; here the prior, worth about one row, keeps it finite.

    Args:
        p: (n, K) class weights summing to one per row, or (n,) integer labels.
        log_q: (n, K) float64 log-probabilities in nats, finite.
        weights: (n,) non-negative row weights, only their ratios matter; None for equal ones.

    Returns:
        A map of kind "temperature" with eps = 0.

    Raises:
        InputError: if the arguments do not fit together.

    Source: Guo et al. 2017, section 4.2, with a log-normal prior on the scale.

    >>> log_q = np.log([[0.9, 0.1], [0.1, 0.9]])
    >>> bool(1 < fit_cautious_temperature([0, 1], log_q).parameters["a"] < 5)
    True
    """
    check_log_q(log_q)
    n, k = log_q.shape
    target, w = as_targets(p, n, k), as_weights(weights, n)
    linear = float(w @ np.einsum("ik,ik->i", target, log_q))

    def objective(log_a: float) -> float:
        a = np.exp(log_a)
        loss = float(w @ special.logsumexp(a * log_q, axis=1)) - float(a) * linear
        return loss + log_a**2 / 2

    found = minimize_scalar(objective, bounds=(np.log(SMALLEST_SCALE), -np.log(SMALLEST_SCALE)))
    log_a = float(found.x) if found.fun < objective(0.0) else 0.0
    freq = (w @ target + 1 / k) / (w.sum() + 1)
    parameters = {"a": np.array(np.exp(log_a))}
    return Recalibrator("temperature", parameters, 0.0, freq, float(log_q.min()), n)


def _softmax_parameters(kind: Kind, rows: Rows, strength: float) -> dict[str, Array]:
    """Newton fit of a softmax map, started at and pulled to the fitted temperature a0."""
    k = rows.x.shape[1]
    start = np.ones(1)
    a0 = newton(penalised_mean(temperature_sums, rows), start, lower=SMALLEST_SCALE).theta[0]
    if kind == "temperature":
        return {"a": np.array(a0)}
    on_scale = 2 * k * strength / a0**2
    on_bias = bias_ridge(rows, a0) * strength
    sums: RowSums
    if kind == "bias":
        centre = np.concatenate([[a0], np.zeros(k)])
        ridge = np.concatenate([[0.0], np.full(k, on_bias)])
        sums = bias_sums
    elif kind == "vector":
        centre = np.concatenate([np.full(k, a0), np.zeros(k)])
        ridge = np.concatenate([np.full(k, on_scale), np.full(k, on_bias)])
        sums = vector_sums
    else:
        centre = np.hstack([a0 * np.eye(k), np.zeros((k, 1))]).ravel()
        off = (k - 1) * on_scale
        weights = np.where(np.eye(k) == 1, on_scale, off)
        ridge = np.hstack([weights, np.full((k, 1), on_bias)]).ravel()
        sums = matrix_sums
    theta = newton(penalised_mean(sums, rows, ridge=ridge, centre=centre), centre).theta
    if kind == "bias":
        return {"a": np.array(theta[0]), "b": theta[1:]}
    if kind == "vector":
        return {"v": theta[:k], "b": theta[k:]}
    table = theta.reshape(k, k + 1)
    return {"W": table[:, :k].copy(), "b": table[:, k].copy()}


def bias_ridge(rows: Rows, a0: float) -> float:
    """Ridge on the biases: one over their estimated variance, at most 2K.

    With biases b_k of variance v around 0, the score g_k = sum_i r_ik at b = 0 has
    E g_k^2 = h_k^2 v + sum_i r_ik^2, h_k its derivative; the method of moments solves for v.  It
    needs no validation rows and knows from the residuals r how much more 50 votes say than one.
    2K, the default of structured matrix scaling, is far too strong for many classes.

    Args:
        rows: training rows.
        a0: fitted temperature scale.

    Returns:
        The ridge, on the scale of the sum of losses.

    Source: DerSimonian & Laird 1986 (moment estimate of a variance component);
        Berta et al. 2025 for 2K.
    """
    k = rows.x.shape[1]
    score, noise, slope = np.zeros(k), np.zeros(k), np.zeros(k)
    for chunk in chunks(rows, k):
        _, m, s, r = softmax_terms(a0 * chunk.x, chunk)
        score += r.sum(axis=0)
        noise += np.einsum("ik,ik->k", r, r)
        slope += s @ (m * (1 - m))
    excess, information = float(score @ score - noise.sum()), float(slope @ slope)
    strongest = 2.0 * k
    return float(min(strongest, information / excess)) if excess > 0 else strongest


def _isotonic_knots(p: Array, log_q: Array, w: Array) -> dict[str, Array]:
    """Knots of the centred isotonic regression of p_1 on the log-odds of q.

    The non-decreasing fit (least squares and least cross entropy coincide) is constant on blocks;
    a knot sits at each block's mean log-odds, the map is linear in log-odds between knots and
    constant beyond them.  Ties are pooled first.  Log-odds of -inf and +inf get their own knot.

    Source: Oron & Flournoy 2017, Centered Isotonic Regression, section 2.
    """
    if log_q.shape[1] != 2:
        raise InputError(what=f"isotonic needs two classes, got {log_q.shape[1]}")
    log_odds = log_q[:, 1] - log_q[:, 0]
    t, tie = np.unique(log_odds[w > 0], return_inverse=True)
    mass = np.bincount(tie, weights=w[w > 0])
    mean = np.bincount(tie, weights=(w * p[:, 1])[w > 0]) / mass
    level = isotonic_regression(mean, weights=mass).x
    new_block = (np.diff(level) != 0) | (np.diff(np.isinf(t).astype(int)) != 0)
    start = np.concatenate([[0], np.flatnonzero(new_block) + 1])
    centre = np.add.reduceat(mass * t, start) / np.add.reduceat(mass, start)
    return {"t": centre, "y": level[start]}


def _identity_weight(p: Array, q: Array, freq: Array, w: Array, zeros: NDArray[np.bool_]) -> float:
    """The identity's eps, of the rows with zeros alone; pseudo-rows' share where there are none."""
    if not (w[zeros] > 0).any():
        return SOFTMAX_PSEUDO_ROWS / (len(w) + SOFTMAX_PSEUDO_ROWS)
    return mixing_weight(p[zeros], q[zeros], freq, w[zeros], SOFTMAX_PSEUDO_ROWS)


def mixing_weight(p: Array, m: Array, freq: Array, w: Array, pseudo_rows: float) -> float:
    """Weight eps of the class frequencies: the likeliest one, given some pseudo-rows that need it.

    Maximises sum_i w_i sum_k p_ik log((1 - eps) m_ik + eps f_k) + pseudo_rows log eps, concave in
    eps.  The pseudo-rows keep eps > 0 (about pseudo_rows / n for a map without surprises); labels
    that fall where the map gives almost nothing raise it to the rate at which they occur.

    Args:
        p: (n, K) float64 class weights per row.
        m: (n, K) float64 probabilities of the map.
        freq: (K,) float64 class frequencies.
        w: (n,) float64 row weights with mean 1.
        pseudo_rows: positive number of pseudo-rows.

    Returns:
        eps in (0, 1].

    Example:
        >>> p = np.tile([1.0, 0.0], (99, 1))
        >>> eps = mixing_weight(p, p, np.array([0.5, 0.5]), np.ones(99), 1.0)
        >>> round(1 / eps, 6)
        50.0
    """
    row, column = np.nonzero(p)
    weight = w[row] * p[row, column]
    inside, outside = m[row, column], freq[column]
    gain = outside - inside

    def slope(log_eps: float) -> float:
        eps = np.exp(log_eps)
        return float(weight @ (eps * gain / (inside + eps * gain)) + pseudo_rows)

    if slope(0.0) >= 0:
        return 1.0
    return float(np.exp(brentq(slope, -60.0, 0.0, xtol=1e-12)))
