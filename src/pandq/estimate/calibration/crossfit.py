"""Cross-fitted recalibration: which map helps on rows it has not seen, and by how much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pandq.errors import InputError
from pandq.estimate.calibration.fitting import fit_maps
from pandq.estimate.calibration.foldrows import FoldRows
from pandq.estimate.calibration.inputs import as_targets, as_weights, check_log_q

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from pandq.recalibrator import Kind, Recalibrator

    Array = NDArray[np.float64]

MATRIX_MAX_CLASSES = 30
"""Above this the Newton step of the matrix map, K(K + 1) parameters, takes more than seconds."""

VECTOR_MAX_CLASSES = 64
"""Above this, one common scale and K biases replace K scales and K biases."""

BIAS_MAX_CLASSES = 1500
"""Above this, the Newton step of K biases takes more than seconds."""


@dataclass(frozen=True, eq=False)
class CrossFit:
    """Result of `crossfit`.

    Args:
        n: how many rows there were.
        loss: candidate kind -> weighted mean out-of-fold cross entropy H(P, c(Q)), nats.
        fold_kind: fold id -> the kind chosen for that fold without looking at its rows.
        fold_map: fold id -> the chosen map, fitted on the other folds.
        kind: the kind with the least cross-fitted loss over all rows.
        map: that kind fitted on all rows, for rows outside this sample.
    """

    n: int
    loss: Mapping[Kind, float]
    fold_kind: Mapping[int, Kind]
    fold_map: Mapping[int, Recalibrator]
    kind: Kind
    map: Recalibrator

    def by_fold(self, n_folds: int) -> list[Recalibrator]:
        """Each fold's map; of a fold that had no row that of all, which saw none of it either."""
        return [self.fold_map.get(j, self.map) for j in range(n_folds)]


def default_kinds(n_classes: int, *, ordered: bool = False) -> tuple[Kind, ...]:
    """Candidate maps for K classes, simplest first, the identity always among them.

    Example:
        >>> default_kinds(1000)
        ('identity', 'temperature', 'bias')
        >>> default_kinds(5, ordered=True)
        ('identity', 'temperature', 'cumulative', 'ordered', 'vector', 'matrix')
    """
    first: tuple[Kind, ...] = ("identity", "temperature")
    if n_classes == 2:
        return (*first, "vector", "isotonic")
    if ordered:
        first = (*first, "cumulative")
    bias: Kind = "ordered" if ordered else "bias"
    if n_classes <= MATRIX_MAX_CLASSES:
        return (*first, bias, "vector", "matrix")
    if n_classes <= VECTOR_MAX_CLASSES:
        return (*first, bias, "vector")
    return (*first, "bias") if n_classes <= BIAS_MAX_CLASSES else first


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
        Losses, choices and maps.

    Raises:
        InputError: for malformed input, no candidate, fold ids out of range, or one fold only.

    Source: cross-fitting, Chernozhukov et al. 2018.

    Example:
        >>> log_q = np.log(np.tile([[0.99, 0.01], [0.01, 0.99]], (100, 1)))
        >>> labels = np.tile([0, 1, 0, 1, 1, 0, 0, 1], 25)
        >>> result = crossfit(labels, log_q, np.arange(200) // 8 % 5)
        >>> result.kind != "identity", round(result.loss["identity"] - result.loss[result.kind], 1)
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

    rows = FoldRows.of(log_q, target, w, folds)
    trainings = [rows.without(left_out) for left_out in (None, *range(len(used)))]
    fitted = fit_maps(kinds, rows, trainings)
    w, fold_of = rows.w, np.repeat(used, np.diff(rows.bounds))
    row_loss = {kind: np.concatenate([one.held_out for one in fitted[kind][1:]]) for kind in kinds}
    fold_kind = {j: least(kinds, row_loss, w * (fold_of != j)) for j in used}
    best = least(kinds, row_loss, w)
    return CrossFit(
        n=n,
        loss={kind: weighted_mean(row_loss[kind], w) for kind in kinds},
        fold_kind=fold_kind,
        fold_map={j: fitted[fold_kind[j]][place + 1].map for place, j in enumerate(used)},
        kind=best,
        map=fitted[best][0].map,
    )


def least(kinds: Sequence[Kind], row_loss: Mapping[Kind, Array], w: Array) -> Kind:
    """Kind with the least weighted mean loss; the earlier one at equal loss."""
    return min(kinds, key=lambda kind: weighted_mean(row_loss[kind], w))


def weighted_mean(x: Array, w: Array) -> float:
    """Sum w x / sum w over rows with w > 0; infinite if such a row is."""
    return float(w[w > 0] @ x[w > 0] / w.sum())
