"""Fitting recalibration maps to soft labels: Newton for the softmax maps, PAV for isotonic."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import special
from scipy.optimize import isotonic_regression, minimize_scalar

from pandq.core.kernels.maps import SHORT_CLASSES
from pandq.core.threads import alone, over_cores
from pandq.errors import InputError
from pandq.estimate.calibration.families import FAMILIES
from pandq.estimate.calibration.foldrows import LEAST_NUMBERS, FoldRows
from pandq.estimate.calibration.inputs import as_targets, as_weights, check_log_q
from pandq.estimate.calibration.linkfit import cumulative_map
from pandq.estimate.calibration.mixing import mixing_weight
from pandq.estimate.calibration.softmaxfits import SMALLEST_SCALE, softmax_parameters
from pandq.recalibrator import KINDS, Kind, Recalibrator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from pandq.estimate.calibration.foldrows import Training

    Array = NDArray[np.float64]

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
            one bias per class (for many classes), "isotonic" needs K = 2. Of classes in their
            order "ordered" is a bias map whose biases mostly rise evenly, and "cumulative" one line
            through the log-odds of all cumulative probabilities.
        p: (n, K) class weights summing to one per row, or (n,) integer labels.
        log_q: (n, K) float64 normalised log-probabilities in nats, -inf where q = 0.
        weights: (n,) non-negative row weights, only their ratios matter; None for equal ones.
        strength: factor of all ridges.

    Returns:
        The fitted map.

    Raises:
        InputError: for malformed p, log_q or weights, an unknown kind, isotonic with K != 2, or
            ordered with K > 64.

    Source: Berta, Holzmueller, Jordan, Bach 2025, arXiv 2511.03685 (structured regularisation).

    Example:
        >>> c = fit_map("identity", np.array([0, 1]), np.log([[0.9, 0.1], [0.2, 0.8]]))
        >>> np.exp(c.apply(np.log([[0.9, 0.1]]))).round(6).tolist()
        [[0.9, 0.1]]
    """
    log_q = check_log_q(log_q)
    n, k = log_q.shape
    rows = FoldRows.of(log_q, as_targets(p, n, k), as_weights(weights, n))
    return fit_maps([kind], rows, [rows.without(None)], strength=strength)[kind][0].map


class FittedMap(NamedTuple):
    """A map, and the cross entropies in nats of the rows that it was not fitted to, in order."""

    map: Recalibrator
    held_out: Array


def fit_maps(
    kinds: Sequence[Kind],
    rows: FoldRows,
    trainings: Sequence[Training],
    *,
    strength: float = 1.0,
) -> dict[Kind, list[FittedMap]]:
    """Fit maps of several kinds to several sets of the same rows.

    Args:
        kinds: which maps.
        rows: the rows, by folds.
        trainings: what each map is fitted to; the first holds the rows of all others, whose fits
            start where its own ended.
        strength: factor of all ridges.

    Returns:
        Of each kind the maps, in the order of the trainings.

    Raises:
        InputError: for an unknown kind, isotonic with K != 2.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise InputError(what=f"unknown kind {kind!r}, known: {', '.join(KINDS)}")
        if kind == "isotonic" and rows.k != 2:
            raise InputError(what=f"isotonic needs two classes, got {rows.k}")
        if kind == "ordered" and rows.k > SHORT_CLASSES:
            raise InputError(what=f"ordered is for at most {SHORT_CLASSES} classes, got {rows.k}")

    # few rows take less than to wake a thread for them
    with alone() if rows.x.size <= LEAST_NUMBERS else nullcontext():
        thetas = softmax_parameters([k for k in kinds if k in FAMILIES], rows, trainings, strength)
        eps: dict[Kind, float] = {}

        def fitted(task: tuple[Kind, int]) -> FittedMap:
            kind, place = task
            theta = thetas[kind][place] if kind in FAMILIES else None
            return _fitted(kind, theta, rows, trainings[place], eps.get(kind))

        rows.log_q, rows.zero, rows.movable  # noqa: B018  (formed once, not by each thread)
        if "cumulative" in kinds:
            rows.edges  # noqa: B018
        whole = over_cores(fitted, [(kind, 0) for kind in kinds])
        eps |= {one.map.kind: one.map.eps for one in whole}
        tasks = [(kind, place) for kind in kinds for place in range(1, len(trainings))]
        others = iter(over_cores(fitted, tasks))
    return {one.map.kind: [one, *(next(others) for _ in trainings[1:])] for one in whole}


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


def _fitted(
    kind: Kind, theta: Array | None, rows: FoldRows, training: Training, start: float | None
) -> FittedMap:
    """A map with its mixing weight, for which there may be a guess, and its losses elsewhere."""
    entries, freq, pseudo_rows = rows.entries, training.freq, SOFTMAX_PSEUDO_ROWS
    weight, parameters, ruled_out = entries.weight, {}, None
    if theta is not None:
        parameters, inside = (
            FAMILIES[kind].named(theta, rows.k),
            rows.at_entries(kind, theta, training),
        )
    elif kind == "cumulative":
        parameters, inside = cumulative_map(rows, training)
    elif kind == "isotonic":
        parameters, inside = _isotonic(rows, training)
        pseudo_rows = ISOTONIC_PSEUDO_ROWS
    else:
        # the identity mixes nothing into rows in which Q rules no class out
        zero = np.zeros(len(rows.x), bool) if rows.zero is None else np.any(rows.zero, axis=1)
        ruled_out = entries.spread(zero)
        inside, weight = np.exp(rows.log_q), np.where(ruled_out, weight, 0.0)
    pieces = [rows.entries_of(place) for place in training.folds]
    if ruled_out is not None and not any((weight[piece] > 0).any() for piece in pieces):
        eps = pseudo_rows / (training.n + pseudo_rows)
    else:
        # the weights have mean 1 when they are multiplied with the factor
        needed = pseudo_rows / training.factor
        told = weight, inside, entries.column, freq, needed
        eps = mixing_weight(*told, pieces=pieces, start=start)
    held_out = []
    for place in sorted({*range(rows.n_folds)} - {*training.folds}):
        here = rows.entries_of(place)
        with np.errstate(divide="ignore"):
            log_c = np.log((1 - eps) * inside[here] + eps * freq[entries.column[here]])
        if ruled_out is not None:
            log_c = np.where(ruled_out[here], log_c, rows.log_q[here])
        held_out.append(rows.losses(place, log_c))
    found = Recalibrator(kind, parameters, eps, freq, training.floor, training.n)
    return FittedMap(found, np.concatenate(held_out) if held_out else np.empty(0))


def _isotonic(rows: FoldRows, training: Training) -> tuple[dict[str, Array], Array]:
    """Knots, and the probabilities of all entries."""
    log_odds = rows.x[:, 1] - rows.x[:, 0]
    told = (rows.parts(training, a) for a in (log_odds, rows.p[:, 1], rows.w))
    parameters = isotonic_knots(*told)
    y = np.interp(log_odds, parameters["t"], parameters["y"])
    return parameters, rows.entries.of(np.stack([1 - y, y], axis=1))


def isotonic_knots(log_odds: Array, p: Array, w: Array) -> dict[str, Array]:
    """Knots of the centred isotonic regression of p_1 on the log-odds of q.

    The non-decreasing fit (least squares and least cross entropy coincide) is constant on blocks;
    a knot sits at each block's mean log-odds, the map is linear in log-odds between knots and
    constant beyond them.  Ties are pooled first.  Log-odds of -inf and +inf get their own knot.

    Source: Oron & Flournoy 2017, Centered Isotonic Regression, section 2.
    """
    t, tie = np.unique(log_odds[w > 0], return_inverse=True)
    mass = np.bincount(tie, weights=w[w > 0])
    mean = np.bincount(tie, weights=(w * p)[w > 0]) / mass
    level = isotonic_regression(mean, weights=mass).x
    new_block = (np.diff(level) != 0) | (np.diff(np.isinf(t).astype(int)) != 0)
    start = np.concatenate([[0], np.flatnonzero(new_block) + 1])
    centre = np.add.reduceat(mass * t, start) / np.add.reduceat(mass, start)
    return {"t": centre, "y": level[start]}
