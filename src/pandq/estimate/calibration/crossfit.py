"""Cross-fitted recalibration: which map helps on rows it has not seen, and by how much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pandq.errors import InputError
from pandq.estimate.calibration.fitting import fit_map
from pandq.estimate.calibration.inputs import as_targets, as_weights, check_log_q, row_losses

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from pandq.estimate.calibration.maps import Array
    from pandq.recalibrator import Kind, Recalibrator

MATRIX_MAX_CLASSES = 30
"""Above this the Newton step of the matrix map, K(K + 1) parameters, takes more than seconds."""

VECTOR_MAX_CLASSES = 64
"""Above this, one common scale and K biases replace K scales and K biases."""

BIAS_MAX_CLASSES = 1500
"""Above this, the Newton step of K biases takes more than seconds."""


@dataclass(frozen=True)
class PairedMean:
    """Weighted mean of per-row differences (nats) and its standard error over rows."""

    mean: float
    standard_error: float


@dataclass(frozen=True, eq=False)
class CrossFit:
    """Result of `crossfit`.

    Args:
        kinds: the candidates, in order of preference at equal loss.
        loss: kind -> weighted mean out-of-fold cross entropy H(P, c(Q)), nats.
        gain: kind -> paired mean of H(P, Q) - H(P, c(Q)) per row, nats.
        fold_kind: fold id -> the kind chosen for that fold without looking at its rows.
        fold_map: fold id -> the chosen map, fitted on the other folds.
        row_loss: (n,) float64 out-of-fold cross entropy of the fold's chosen map, nats.
        row_gain: (n,) float64 H(P, Q) - row_loss, nats; infinite where H(P, Q) is.
        calibration loss: paired mean of row_gain: below KL(c(Q) || Q) in expectation, may be < 0.
        kind: the kind with the least cross-fitted loss over all rows.
        map: that kind fitted on all rows, for rows outside this sample.
    """

    kinds: tuple[Kind, ...]
    loss: Mapping[Kind, float]
    gain: Mapping[Kind, PairedMean]
    fold_kind: Mapping[int, Kind]
    fold_map: Mapping[int, Recalibrator]
    row_loss: Array
    row_gain: Array
    calibration_loss: PairedMean
    kind: Kind
    map: Recalibrator


def default_kinds(n_classes: int) -> tuple[Kind, ...]:
    """Candidate maps for K classes, simplest first, the identity always among them.

    Example:
        >>> default_kinds(1000)
        ('identity', 'temperature', 'bias')
    """
    if n_classes == 2:
        return ("identity", "temperature", "vector", "isotonic")
    if n_classes <= MATRIX_MAX_CLASSES:
        return ("identity", "temperature", "bias", "vector", "matrix")
    if n_classes <= VECTOR_MAX_CLASSES:
        return ("identity", "temperature", "bias", "vector")
    if n_classes <= BIAS_MAX_CLASSES:
        return ("identity", "temperature", "bias")
    return ("identity", "temperature")


def crossfit(
    p: ArrayLike,
    log_q: ArrayLike,
    folds: NDArray[np.integer],
    n_folds: int = 5,
    kinds: Sequence[Kind] | None = None,
    weights: ArrayLike | None = None,
) -> CrossFit:
    """Fit every map on all folds but one, score it on that one, choose without the scored rows.

    The kind used for fold j has the least out-of-fold loss over the rows of the other folds, so
    no row takes part in choosing the map that scores it.  (The maps behind those losses were
    fitted with rows of fold j among others, which matters only below a few hundred rows.)

    Args:
        p: (n, K) class weights summing to one per row, or (n,) integer labels.
        log_q: (n, K) float64 normalised log-probabilities in nats, -inf where q = 0.
        folds: (n,) integers in 0 .. n_folds - 1, from a hash of the row id; rows that belong
            together (same patient, same image) must share a fold.
        n_folds: number of folds; at least two must hold rows.
        kinds: candidates; None for `default_kinds`.
        weights: (n,) non-negative row weights; None for equal ones.

    Returns:
        Losses, choices, maps and the calibration loss estimate.

    Raises:
        InputError: for malformed input, no candidate, fold ids out of range, or one fold only.

    Source: out-of-sample lower bound KL(c(Q) || Q) >= E[H(P, Q) - H(P, c(Q))] for calibrated c,
        Broecker 2009 (decomposition of proper scores); cross-fitting, Chernozhukov et al. 2018.

    Example:
        >>> log_q = np.log(np.tile([[0.99, 0.01], [0.01, 0.99]], (100, 1)))
        >>> labels = np.tile([0, 1, 0, 1, 1, 0, 0, 1], 25)
        >>> result = crossfit(labels, log_q, np.arange(200) // 8 % 5)
        >>> result.kind != "identity", round(result.calibration_loss.mean, 1)
        (True, 0.6)
    """
    log_q = check_log_q(log_q)
    n, k = log_q.shape
    target, w = as_targets(p, n, k), as_weights(weights, n)
    kinds = default_kinds(k) if kinds is None else tuple(kinds)
    folds = np.asarray(folds)
    if not kinds:
        raise InputError(what="kinds is empty")
    if folds.shape != (n,) or folds.min() < 0 or folds.max() >= n_folds:
        raise InputError(what=f"folds must be ({n},) integers in 0 .. {n_folds - 1}")
    used = [int(j) for j in np.unique(folds)]
    if len(used) < 2:
        raise InputError(what="at least two folds must hold rows")

    before = row_losses(target, log_q)
    fold_maps = {
        j: {kind: fit_map(kind, target[folds != j], log_q[folds != j], w[folds != j])
            for kind in kinds}
        for j in used
    }  # fmt: skip
    row_loss = {kind: np.empty(n) for kind in kinds}
    row_gain = {kind: np.empty(n) for kind in kinds}
    for j in used:
        held_out = folds == j
        for kind, c in fold_maps[j].items():
            after = row_losses(target[held_out], c.apply(log_q[held_out]))
            row_loss[kind][held_out] = after
            row_gain[kind][held_out] = before[held_out] - after

    fold_kind = {j: least(kinds, row_loss, w * (folds != j)) for j in used}
    chosen_loss, chosen_gain = np.empty(n), np.empty(n)
    for j in used:
        held_out = folds == j
        chosen_loss[held_out] = row_loss[fold_kind[j]][held_out]
        chosen_gain[held_out] = row_gain[fold_kind[j]][held_out]
    best = least(kinds, row_loss, w)
    return CrossFit(
        kinds=kinds,
        loss={kind: weighted_mean(row_loss[kind], w) for kind in kinds},
        gain={kind: paired_mean(row_gain[kind], w) for kind in kinds},
        fold_kind=fold_kind,
        fold_map={j: fold_maps[j][fold_kind[j]] for j in used},
        row_loss=chosen_loss,
        row_gain=chosen_gain,
        calibration_loss=paired_mean(chosen_gain, w),
        kind=best,
        map=fit_map(best, target, log_q, w),
    )


def least(kinds: Sequence[Kind], row_loss: Mapping[Kind, Array], w: Array) -> Kind:
    """Kind with the least weighted mean loss; the earlier one at equal loss."""
    return min(kinds, key=lambda kind: weighted_mean(row_loss[kind], w))


def weighted_mean(x: Array, w: Array) -> float:
    """Sum w x / sum w over rows with w > 0; infinite if such a row is."""
    return float(w[w > 0] @ x[w > 0] / w.sum())


def paired_mean(difference: Array, w: Array) -> PairedMean:
    """Weighted mean of per-row differences with its standard error, sqrt(sum w^2 d^2) / sum w.

    Args:
        difference: (n,) float64 nats; may hold +inf, then the error is nan.
        w: (n,) float64 row weights.

    Example:
        >>> paired_mean(np.array([0.0, 2.0, 4.0, 2.0]), np.ones(4)).mean
        2.0
    """
    mean = weighted_mean(difference, w)
    if not np.isfinite(mean):
        return PairedMean(mean, float("nan"))
    effective = float(w.sum() ** 2 / (w @ w))
    spread = float(np.sqrt(w**2 @ (difference - mean) ** 2) / w.sum())
    # n / (n - 1) with the effective number of rows; one effective row says nothing of the spread.
    inflate = np.sqrt(effective / (effective - 1)) if effective > 1 else np.nan
    return PairedMean(mean, float(spread * inflate))
