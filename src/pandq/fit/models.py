"""From rows in files to a fitted Model: what `pandq fit` does, for Python too."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Self, get_args

import numpy as np

from pandq.core.laws import Law
from pandq.core.measures import cross_entropy
from pandq.core.scores import at_top
from pandq.engines.checkpoints import identity, resumable
from pandq.engines.run import Run
from pandq.errors import InputError
from pandq.estimate.passes import check_seed, run_of
from pandq.fit.folder import Kind, Model
from pandq.fit.networks.classifier import NetworkClassifier
from pandq.fit.regressions.bayes import BayesianSoftmaxRegression
from pandq.fit.regressions.scaling import standardised
from pandq.fit.regressions.softmax import SoftmaxRegression
from pandq.fit.targets import Targets
from pandq.read.feature_scan import FeatureScan
from pandq.sums.summary import Summary, summary
from pandq.views import Labels

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from pandq.engines.contract import Engine, Progress
    from pandq.read.feature_scan import FeatureChunk, Scaling
    from pandq.views import View

    Told = Callable[[dict[str, Any]], None]

# What a network of each kind starts from, where nothing else was asked for.
NETWORK_DEFAULTS: dict[str, dict[str, Any]] = {
    "mlp": {"epochs": 30, "batch_size": 128, "lr": 3e-3, "weight_decay": 0.01, "augment": "none"},
    "cnn": {
        "epochs": 35,
        "batch_size": 64,
        "lr": 3e-3,
        "weight_decay": 0.05,
        "augment": "flip-crop",
    },
}
VALID = 0.1


@resumable
def fit_model(
    rows: FeatureScan,
    kind: Kind | None = None,
    *,
    valid: FeatureScan | float | None = None,
    seed: int = 0,
    engine: Engine | None = None,
    checkpoint: str | Path | None = None,
    progress: Progress | None = None,
    callback: Told | None = None,
    **options: Any,
) -> Model:
    """Fit Q to P.

    Args:
        rows: features and P, as `scan_features` makes them.
        kind: "softmax" or "bayes" (regressions, in constant memory), "mlp" or "cnn" (networks,
            whose rows are kept in memory); cnn for pictures and softmax for features when left out.
        valid: rows to watch, or what share of `rows` is to be; by default a tenth for a network,
            none for a regression.
        seed: of everything that is drawn.
        engine: of a regression: who goes through the rows; `pandq.engines.Dask(client)` for a
            cluster, this process when left out. The model is the same, to the last bit.
        checkpoint: a folder that keeps the state of a fit; after a loss the same call resumes it.
        progress: of a regression: called with a `pandq.engines.Done` as each pass goes on.
        callback: called with each row of the curve.
        options: of `SoftmaxRegression` (l2, tol, max_iter) or `BayesianSoftmaxRegression`
            (covariance, prior_scale), whose features are standardised, or of `NetworkClassifier`
            (epochs, batch_size, lr, weight_decay, patience, augment, device).

    Returns:
        A Model.

    Raises:
        InputError: rows, P or options cannot be used.
        EngineError: the engine was lost.
        MissingLibraryError: a network without torch.

    >>> import pyarrow as pa
    >>> from pandq import scan_features
    >>> votes = [[3, 0], [2, 1], [1, 2], [0, 3]]
    >>> table = pa.table({"x": [[0.0], [1.0], [2.0], [3.0]], "votes": votes})
    >>> model = fit_model(scan_features(table, p="counts:votes"), "softmax")
    >>> model.predict(np.array([[1.5]])).law().prob.round(3)
    array([[0.5, 0.5]])
    """
    if not isinstance(rows, FeatureScan):
        raise InputError(
            what="a model is fitted to rows of features",
            got=type(rows).__name__,
            remedy='pandq.scan_features(data, x="...", p="KIND:COLUMN") makes them.',
        )
    check_seed(seed)
    kind = _kind(rows, kind)
    shape = _shape(rows)
    watched = _watched(valid, shape)
    regression = kind in ("softmax", "bayes")
    run = None
    if not regression:
        options["checkpoint"] = checkpoint
    passes = engine is not None or progress is not None
    if passes or (regression and checkpoint is not None):
        if not regression or rows.size is not None:
            raise InputError(
                what="an engine goes through the rows of regressions on features in columns",
                got=f"{kind} on {'pictures' if rows.size else 'features'}",
                remedy="A network is trained on several processes by torchrun.",
            )
        told = valid if watched is None or checkpoint is None else identity(watched)["input"]
        about = {"command": "fit", "model": kind, "seed": seed, "valid": told, **options}
        run = run_of(rows, engine, progress, checkpoint, about)
    if regression:
        estimator, scaling = _regression(rows, kind, valid, seed, callback, run, options)
    else:
        estimator, scaling = _network(rows, kind, valid, seed, callback, options)
    found = Model(
        kind,
        estimator,
        rows.columns,
        rows.size,
        shape,
        len(estimator.classes_),
        rows.classes,
        scaling,
        estimator.curve_,
    )
    if regression and valid:
        held = rows.parted(float(valid), seed)[1] if isinstance(valid, int | float) else valid
        found.curve[-1].update(evaluated(found, held, run))
    return found


def _kind(rows: FeatureScan, kind: Kind | None) -> Kind:
    """The model's kind, or the usual one for such rows.

    Raises:
        InputError: there is no such model, or it is not for such rows.
    """
    kind = kind or ("softmax" if rows.size is None else "cnn")
    if kind not in get_args(Kind):
        raise InputError(
            what="unknown model", got=repr(kind), remedy=f"There is: {', '.join(get_args(Kind))}."
        )
    if kind == "cnn" and rows.size is None:
        raise InputError(
            what="a cnn needs pictures",
            where=rows.source.name,
            got=f"columns {', '.join(rows.columns)}",
            remedy="For features in columns use --model softmax or mlp.",
        )
    return kind


def _watched(valid: FeatureScan | float | None, first: tuple[int, ...]) -> FeatureScan | None:
    """Rows of their own to watch; None where they are to be a share of those learnt from.

    Raises:
        InputError: the share is none, or the rows have other features.
    """
    if valid is None or isinstance(valid, int | float):
        if valid is not None and not 0 <= valid < 1:
            raise InputError(what="valid is a share from 0 to below 1, or rows", got=str(valid))
        return None
    if (shape := _shape(valid)) != first:
        raise InputError(
            what="rows to watch have other features than those learnt from",
            where=valid.source.name,
            got=f"{_times(shape)}, not {_times(first)}",
        )
    return valid


def _shape(rows: FeatureScan) -> tuple[int, ...]:
    """The shape of a row's features.

    Raises:
        InputError: there are no rows.
    """
    shape = rows.row_shape()
    if shape is None or rows.n_rows == 0:
        what = "there are no rows to learn from, or to watch"
        raise InputError(what, where=rows.source.name)
    return shape


def _require_rows(rows: FeatureScan) -> None:
    """Refuse a share of rows in which there are none."""
    if not any(len(chunk) for chunk in rows.chunks()):
        what = "there are no rows to learn from, or to watch"
        raise InputError(what, where=rows.source.name)


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _regression(
    rows: FeatureScan,
    kind: Kind,
    valid: FeatureScan | float | None,
    seed: int,
    callback: Told | None,
    run: Run | None,
    options: dict[str, Any],
) -> tuple[SoftmaxRegression | BayesianSoftmaxRegression, Scaling | None]:
    if valid and isinstance(valid, int | float):
        rows, watched = rows.parted(float(valid), seed)
        _require_rows(watched)
    scaled = standardised(rows, run)
    model: SoftmaxRegression | BayesianSoftmaxRegression
    if kind == "softmax":
        model = SoftmaxRegression(callback=callback, **options)
    else:
        model = BayesianSoftmaxRegression(random_state=seed, callback=callback, **options)
    return model.fit(scaled, run=run), scaled.scaling


def _network(
    rows: FeatureScan,
    kind: Kind,
    valid: FeatureScan | float | None,
    seed: int,
    callback: Told | None,
    options: dict[str, Any],
) -> tuple[NetworkClassifier, Scaling | None]:
    share = VALID if valid is None else valid
    model = NetworkClassifier(
        kind,
        random_state=seed,
        callback=callback,
        valid=share if isinstance(share, int | float) else 0.0,
        **{**NETWORK_DEFAULTS[kind], **options},
    )
    x, p, w = loaded(rows)
    if w is not None and not w.any():
        raise InputError(what="all weights are zero", where=rows.source.name)
    validation = None
    if not isinstance(share, int | float):
        x_valid, p_valid, _ = loaded(share)
        validation = (x_valid, p_valid)
    return model.fit(x, p, sample_weight=w, validation=validation), None


def loaded(rows: FeatureScan) -> tuple[NDArray[Any], View, NDArray[np.float64] | None]:
    """All rows in memory: features, P and weights.

    Raises:
        InputError: there are none, or one cannot be used.
    """
    chunks = [chunk for chunk in rows.chunks() if len(chunk)]
    if not chunks or chunks[0].p is None:
        raise InputError(what="there are no rows to learn from", where=rows.source.name)
    first = chunks[0].p
    views = [chunk.p.array for chunk in chunks if chunk.p is not None]
    p = type(first).trusted(np.concatenate(views), first.n_classes, first.classes)
    weights = [chunk.w for chunk in chunks if chunk.w is not None]
    x = np.concatenate([chunk.x for chunk in chunks])
    return x, p, np.concatenate(weights) if weights else None


@summary
class HeldOutSums(Summary):
    """Sums over rows of weight, cross entropy, entropy, and of P at Q's top class."""

    weight: float = 0.0
    cross_entropy: float = 0.0
    entropy: float = 0.0
    hits: float = 0.0

    @classmethod
    def of(cls, chunk: FeatureChunk, model: Model) -> Self:
        """The losses of some rows under a model."""
        if not len(chunk):
            return cls()
        targets = Targets.of(chunk.p)
        log_q = model.predict(chunk.x).array
        hard = targets.p.ndim == 1
        p = Labels(targets.p, model.n_classes).law() if hard else Law.from_probs(targets.p)
        w = np.ones(len(chunk)) if chunk.w is None else chunk.w
        losses = cross_entropy(p, Law.from_log_probs(log_q))
        hits = at_top(p, Law.from_log_probs(log_q))
        sums = (float(w.sum()), float(w @ losses), float(w @ targets.entropies()), float(w @ hits))
        return cls(*sums)


def evaluated(model: Model, rows: FeatureScan, run: Run | None = None) -> dict[str, float]:
    """What a model loses on rows that it has not seen, as a row of the curve says it.

    Raises:
        InputError: there are no rows, or one cannot be used.
    """
    of = partial(HeldOutSums.of, model=model)
    sums = (run or Run()).summarise("evaluating", rows, of, HeldOutSums(), once=True)
    if not sums.weight > 0:
        raise InputError(what="there are no rows to watch", where=rows.source.name)
    loss, floor = sums.cross_entropy / sums.weight, sums.entropy / sums.weight
    return {
        "valid_cross_entropy": loss,
        "valid_floor": floor,
        "valid_kl": loss - floor,
        "valid_expected_accuracy": sums.hits / sums.weight,
    }
