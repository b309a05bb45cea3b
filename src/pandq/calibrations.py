"""Calibrations: a recalibration map, or the calibration error, without an audit around it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Literal

from threadpoolctl import threadpool_limits

from pandq.errors import InputError
from pandq.estimate.calibration.fitting import fit_map
from pandq.estimate.decomposition.estimates import calibration_error_of
from pandq.estimate.decomposition.partsums import reliability_of
from pandq.estimate.decomposition.trained import cross_fitted_maps, kept_together
from pandq.estimate.findings import Seen
from pandq.estimate.passes import (
    Shape,
    check_seed,
    check_truth,
    name_of,
    require_order,
    rows_of,
    run_of,
)
from pandq.estimate.sampling import reasons_to_stop, sample_of, sample_size, shares_of, weights_of
from pandq.recalibrator import KINDS, OF_ORDER, Kind
from pandq.rows import measure_rows
from pandq.sums.reliability import Reliability
from pandq.sums.sample import Sample
from pandq.sums.summary import Summary, summary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from pandq.read.chunks import Chunk
    from pandq.recalibrator import Recalibrator
    from pandq.results.decomposition import CalibrationError

# A Newton step solves for all parameters of a map at once: a matrix of their number squared.
MOST_PARAMETERS = 5000


def fit_calibration(
    p: object,
    q: object = None,
    kind: Kind | Literal["best"] = "best",
    *,
    weights: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
    ids: ArrayLike | None = None,
    classes: Sequence[str] | None = None,
    ordered: bool = False,
    seed: int = 0,
) -> Recalibrator:
    """Fit a recalibration map c, so that c(Q) has the least cross entropy with P.

    It is the map that `pandq.audit` of the same rows has as its `recalibrator`, to the last bit,
    without the audit. Of many rows a sample is trained on, as there. What the map gains on these
    rows says nothing of others: `pandq.audit` measures it on rows that a map has not seen.

    Args:
        p: n rows over K classes, what is true: labels, votes or probabilities, never turned into
            labels; or a Scan of files (then `q` and the columns are its own).
        q: n rows over K classes, what is predicted.
        kind: the map. "best" has the least loss of all that suit K, each row's loss under a map
            that was fitted without it (five folds). "temperature" is one scale of log q, "bias"
            that and one number per class, "vector" a scale and a number per class, "matrix" every
            class from every other, "isotonic" any rising function of the log-odds of two classes;
            "identity" changes nothing but classes that Q rules out. Of classes in their order
            "ordered" is a bias map whose numbers mostly rise evenly, and "cumulative" one line
            through the log-odds of all cumulative probabilities: both keep a row that Q ranks above
            another above it.
        weights: (n,) row weights, not negative.
        cluster: (n,) values that say which rows belong together; folds keep them together.
        ids: (n,) names of the rows, which say the folds; their numbers from 0 when left out.
        classes: class names in the order of Q's columns; the map then refuses others.
        ordered: whether Q's columns are classes in their order, as of `pandq.audit`: "best" tries
            maps that respect it.
        seed: random seed of the folds.

    Returns:
        A Recalibrator: `of(view)` recalibrates predictions, `to_dict()` stores it.

    Raises:
        ViewTypeError: an argument is not a view.
        InputError: the rows cannot be used, are too few for five folds, or the map is not for so
            many classes.

    Source: Guo et al. 2017, On calibration of modern neural networks; Kull et al. 2019, Beyond
        temperature scaling; Berta et al. 2025, Structured matrix scaling.

    Of 400 images that a model calls a dog with 90 %, 3 of 4 people say dog:

    >>> from pandq import Counts, Probs
    >>> q = Probs([[0.9, 0.1]] * 400)
    >>> c = fit_calibration(Counts([[3, 1]] * 400), q, kind="temperature")
    >>> c.of(q[0]).law().prob.round(2)
    array([[0.75, 0.25]])
    """
    check_seed(seed)
    if kind not in ("best", *KINDS):
        listed = ", ".join(("best", *KINDS))
        raise InputError(what=f"the kind of a map is one of {listed}", got=repr(kind))
    check_truth("ordered", ordered)
    rows = rows_of(p, q, classes=classes, cluster=cluster, ids=ids, weights=weights)
    if ordered or kind in OF_ORDER:
        require_order(rows)
    empty = LearntSums(Shape(), Sample.empty(0), Seen.empty())
    learn = partial(_learn, empty=empty, n_rows=rows.n_rows)
    found = run_of(rows, None, None, None, {}).summarise("measuring", rows, learn, empty)
    _require(found, kind, name_of(rows))
    sample = found.sample
    # many small products: BLAS threads would cost more than they bring
    with threadpool_limits(limits=1, user_api="blas"):
        if kind == "best":
            together = kept_together(clustered=rows.cluster is not None, copies=found.seen.copies)
            fitted = cross_fitted_maps(sample, seed, together, ordered=ordered).map
        else:
            shares, log_q = shares_of(sample.columns["p"]), sample.columns["log_q"]
            fitted = fit_map(kind, shares, log_q, weights_of(sample))
    names = found.shape.class_names(rows)
    return fitted if rows.classes is None else replace(fitted, classes=names)


def calibration_error(
    p: object, q: object = None, *, weights: ArrayLike | None = None
) -> CalibrationError:
    """The expected calibration error of Q's most probable class, and how much of it is noise.

    In 15 bins of Q's confidence, the mean distance of the confidence from P at the class that Q
    holds most probable. It is what `pandq.audit` reports, in one pass over the rows.

    Args:
        p: n rows over K classes, what is true: labels, votes or probabilities; or a Scan of files
            (then `q` and the weights are its own).
        q: n rows over K classes, what is predicted.
        weights: (n,) row weights, not negative.

    Returns:
        A CalibrationError: `value`, from 0 to 1; `of_a_calibrated_model`, about what a calibrated
        model would show on these rows, as noise within a bin counts as error; and the `method`.

    Raises:
        ViewTypeError: an argument is not a view.
        InputError: the rows cannot be used.

    Source: Guo et al. 2017, On calibration of modern neural networks, equation 3; its bias: Kumar,
        Liang and Ma 2019, Verified uncertainty calibration.

    >>> from pandq import Labels, Probs
    >>> found = calibration_error(Labels([0, 0, 0, 1]), Probs([[0.9, 0.1]] * 4))
    >>> round(found.value, 6)
    0.15
    """
    rows = rows_of(p, q, weights=weights)
    blank = Reliability.empty()
    found = run_of(rows, None, None, None, {}).summarise("measuring", rows, reliability_of, blank)
    if not found.count.sum():
        what = "all weights are zero" if rows.n_rows else "there are no rows"
        raise InputError(what=what, where=name_of(rows))
    return calibration_error_of(found)


@summary
class LearntSums(Summary):
    """What a map is fitted to, and whether its rows come again."""

    shape: Shape
    sample: Sample
    seen: Seen


def _learn(chunk: Chunk, *, empty: LearntSums, n_rows: int | None) -> LearntSums:
    few = sample_of(sample_size(chunk.q.n_classes or 1), chunk, of_rows=n_rows)
    measured = measure_rows(chunk.p, chunk.q)
    return LearntSums(Shape.of(chunk), few, empty.seen.of_only(chunk, measured))


def _require(found: LearntSums, kind: str, where: str) -> None:
    """Refuse rows that no map, or not this one, can be fitted to.

    Raises:
        InputError: they are such.
    """
    k, sample = found.shape.n_classes, found.sample
    if not len(sample):
        raise InputError(what="there are no rows", where=where)
    if not weights_of(sample).sum():
        raise InputError(what="all weights are zero", where=where)
    if k < 2:
        raise InputError(what="one class only: there is nothing to recalibrate", where=where)
    if kind == "best":
        for reason in reasons_to_stop(sample, k):
            remedy = 'A map of one kind needs no folds: kind="temperature".'
            raise InputError(what=reason, where=where, remedy=remedy)
        return
    parameters = {"matrix": k * (k + 1), "vector": 2 * k, "bias": k + 1}.get(kind, 1)
    if parameters > MOST_PARAMETERS:
        raise InputError(
            what=f"a {kind} map of {k:,} classes has {parameters:,} parameters",
            where=where,
            remedy=f'At most {MOST_PARAMETERS:,} are fitted; kind="best" takes what suits.',
        )
