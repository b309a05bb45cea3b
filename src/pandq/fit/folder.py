"""A fitted model as a folder: JSON and safetensors, which load without running anybody's code.

model.json           what it is, its classes, what its features were, how it was made
weights.safetensors  the numbers
curve.parquet        one row per epoch (of a network) or step (of a regression)
curve.svg            the same, drawn
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import numpy as np

from pandq.documents import Value, read_document
from pandq.errors import InputError
from pandq.fit.networks.classifier import NetworkClassifier
from pandq.fit.regressions.bayes import BayesianSoftmaxRegression
from pandq.fit.regressions.posterior import Covariance, Posterior
from pandq.fit.regressions.softmax import SoftmaxRegression
from pandq.read.feature_scan import Scaling
from pandq.recalibrator import Recalibrator
from pandq.sealed import read_sealed, write_sealed
from pandq.store import Own, write_json
from pandq.views import LogProbs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pandq.views import Ensemble

Kind = Literal["softmax", "bayes", "mlp", "cnn"]
SCHEMA = "pandq/model/1"
JSON_FILE, WEIGHTS, CURVE = "model.json", "weights.safetensors", "curve.parquet"
CURVE_FIGURE = "curve.svg"
FOLDER = Own(JSON_FILE, "pandq/model/", (JSON_FILE, WEIGHTS, CURVE, CURVE_FIGURE))
REMEDY = "A model is the folder that `pandq fit --out` writes."
# What a Model has fields for; the rest of its document is how it was made.
OWN = ("schema", "kind", "n_classes", "classes", "features", "recalibrator")
# Pictures are brought to this many pixels at most, and curves have fewer rows.
MOST_PIXELS, MOST_EPOCHS = 1 << 24, 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A fitted Q, and what it takes to predict from a table.

    Args:
        kind: "softmax", "bayes", "mlp" or "cnn".
        estimator: fitted.
        columns: of the features.
        size: (height, width) of pictures; None for features in columns.
        shape: of one row of features.
        n_classes: K.
        classes: their names, where they are known.
        scaling: of the features of a softmax regression.
        curve: what was lost on the way, a dict per epoch or step.
        metadata: how it was made: options, command, versions, input.
    """

    kind: Kind
    estimator: SoftmaxRegression | BayesianSoftmaxRegression | NetworkClassifier
    columns: tuple[str, ...]
    size: tuple[int, int] | None
    shape: tuple[int, ...]
    n_classes: int
    classes: tuple[str, ...] | None
    scaling: Scaling | None = None
    curve: list[dict[str, Any]] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)

    def predict(self, x: NDArray[Any]) -> LogProbs:
        """Q of rows of features, or of pictures (n, h, w, 3) uint8.

        Raises:
            InputError: they are not of the shape that the model was fitted to, or it overflows.
        """
        with np.errstate(over="ignore", invalid="ignore"):  # it is said below
            log_q = self.estimator.predict_log_proba(self._features(x))
        _refuse_none(log_q)
        return LogProbs.trusted(log_q, log_q.shape[1])

    def predict_members(self, x: NDArray[Any], n: int) -> Ensemble:
        """Q of rows under n draws of a Bayesian model's coefficients, the same for all rows.

        Raises:
            InputError: the model is no Bayesian one, or the rows are not of its shape.
        """
        if not isinstance(self.estimator, BayesianSoftmaxRegression):
            raise InputError(
                what=f"a {self.kind} model has no members",
                remedy="Fit one with --model bayes, or stack several models' predictions.",
            )
        with np.errstate(over="ignore", invalid="ignore"):  # it is said below
            found = self.estimator.predict_members(self._features(x), n)
        _refuse_none(found.array)
        return found

    def _features(self, x: NDArray[Any]) -> NDArray[Any]:
        if x.shape[1:] != self.shape:
            mine, theirs = (" x ".join(map(str, s)) for s in (self.shape, x.shape[1:]))
            raise InputError(what=f"the model takes {mine} numbers per row", got=theirs)
        return x if self.scaling is None else self.scaling.of(x)


def write_model(model: Model, folder: Path) -> None:
    """The files of a model, into a folder that is there."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    recalibrator = getattr(model.estimator, "recalibrator_", None)
    document = {
        "schema": SCHEMA,
        "kind": model.kind,
        "n_classes": model.n_classes,
        "classes": None if model.classes is None else list(model.classes),
        "features": {
            "columns": list(model.columns),
            "picture_size": None if model.size is None else list(model.size),
            "shape": list(model.shape),
        },
        "recalibrator": None if recalibrator is None else recalibrator.to_dict(),
        **_bayes_told(model.estimator),
        **model.metadata,
    }
    write_json(document, folder / JSON_FILE)
    write_sealed(folder / WEIGHTS, _weights(model), {"schema": SCHEMA})
    pq.write_table(pa.Table.from_pylist(model.curve), folder / CURVE)


def _weights(model: Model) -> dict[str, Any]:
    """A model's numbers by name: arrays, or tensors of a network."""
    if isinstance(model.estimator, NetworkClassifier):
        state = model.estimator.module_.state_dict()
        return {k: x.detach().cpu().contiguous() for k, x in state.items()}
    if isinstance(model.estimator, BayesianSoftmaxRegression):
        q = model.estimator.posterior_
        arrays = {"posterior.mean": q.mean, "posterior.root": q.root}
    else:
        arrays = {"coef": model.estimator.coef_, "intercept": model.estimator.intercept_}
    if model.scaling is not None:
        arrays |= {"mean": model.scaling.mean, "scale": model.scaling.scale}
    return {k: np.ascontiguousarray(x) for k, x in arrays.items()}


def load_model(path: str | Path) -> Model:
    """A model that `pandq fit` wrote.

    Args:
        path: its folder.

    Returns:
        A Model; `predict(x)` gives LogProbs.

    Raises:
        InputError: there is none, or a file of it is broken.
        MissingLibraryError: it is a network, and torch is not installed.
    """
    if not isinstance(path, str | Path):
        raise InputError(what="a model is named by its folder", got=repr(path))
    folder = Path(path)
    if not (folder / JSON_FILE).is_file():
        what = f"is no model: there is no {JSON_FILE}"
        raise InputError(what, where=str(path), remedy=REMEDY)
    stored = read_document(folder / JSON_FILE, "model", REMEDY)
    stored.schema(SCHEMA)
    features = stored["features"]
    size, shape = (
        features.get("picture_size"),
        tuple(item.whole(1, MOST_PIXELS) for item in features["shape"].items()),
    )
    if not shape or math.prod(shape) > MOST_PIXELS:
        features["shape"].refuse("must be the shape of a row")
    classes = None if stored["classes"].it is None else stored["classes"].texts()
    kind: Kind = cast("Kind", stored["kind"].one_of(*get_args(Kind)))
    weights = _read_weights(folder / WEIGHTS, network=kind in ("mlp", "cnn"))
    k = stored["n_classes"].whole(2)
    _refuse_others(weights, stored, shape, k)
    names = np.arange(k) if classes is None else np.array(classes)
    if len(names) != k:
        stored["classes"].refuse(f"must name {k} classes: they and n_classes do not fit")
    return Model(
        kind=kind,
        estimator=_LOADED[kind](stored, weights, shape, names),
        columns=tuple(item.text() for item in features["columns"].items()),
        size=None if size is None else _size(size, shape),
        shape=shape,
        n_classes=k,
        classes=classes,
        scaling=_scaling(weights, stored),
        curve=_curve(folder / CURVE),
        metadata=_metadata(stored),
    )


def _metadata(stored: Value) -> dict[str, Any]:
    """How a model was made: whatever its document says beside what it needs."""
    options = stored.get("options")
    if options is not None:
        options.entries()
    return {name: item for name, item in stored.it.items() if name not in OWN}


def _read_weights(file: Path, *, network: bool) -> dict[str, Any]:
    """The finite numbers of a model by name: arrays, or tensors of a network."""
    if not file.is_file():
        raise InputError(what="is missing from the model", where=str(file))
    # without a seal they may be another program's, and are taken for what they are
    weights, _ = read_sealed(
        file, "model's weights", framework="torch" if network else "numpy", seal=False
    )
    for name, x in weights.items():
        numbers = x.double().numpy() if network else x
        if numbers.dtype != np.float64 or not np.isfinite(numbers).all():
            what = f"is no model's weights: {name} must hold finite numbers"
            raise InputError(what, where=str(file), got=str(x.dtype))
    return weights


def _refuse_others(weights: dict[str, Any], stored: Value, shape: tuple[int, ...], k: int) -> None:
    """Refuse weights that are not of this shape and these classes, before memory is taken for it.

    Raises:
        InputError: there is such an array, or one too many, or one is missing.
    """
    kind, d, s = stored["kind"].it, math.prod(shape), 1 if k == 2 else k
    n = sum(math.prod(x.shape) for x in weights.values())
    if max(k, shape[-1], 1 if kind == "cnn" else d) > n:
        stored["n_classes"].refuse("and the shape of the features do not fit the weights", got="")
    if kind in ("mlp", "cnn"):
        return
    known: dict[str, tuple[int, ...]] = {"coef": (s, d), "intercept": (s,)}
    if kind == "bayes":
        roots = {"full": ((d + 1) * s,) * 2, "blocks": (s, d + 1, d + 1), "diagonal": (d + 1, s)}
        root = roots[stored["bayes"]["covariance"].one_of(*get_args(Covariance))]
        known = {"posterior.mean": (d + 1, s), "posterior.root": root}
    scaling = {"mean": (d,), "scale": (d,)} if "mean" in weights else {}
    found = {name: tuple(x.shape) for name, x in weights.items()}
    if found != known | scaling:
        raise InputError(
            what=f"is no model: its weights do not fit {k} classes and {d} features",
            where=str(Path(stored.file).parent),
            got=", ".join(f"{name} {size}" for name, size in sorted(found.items()))[:200],
            remedy=REMEDY,
        )


def _softmax(
    stored: Value, weights: dict[str, Any], shape: tuple[int, ...], names: NDArray[Any]
) -> SoftmaxRegression:
    del stored, shape
    model = SoftmaxRegression()
    model.coef_, model.intercept_, model.classes_ = weights["coef"], weights["intercept"], names
    model.n_features_in_ = model.coef_.shape[1]
    return model


def _bayes(
    stored: Value, weights: dict[str, Any], shape: tuple[int, ...], names: NDArray[Any]
) -> BayesianSoftmaxRegression:
    del shape
    told = stored["bayes"]
    kind = cast("Covariance", told["covariance"].one_of(*get_args(Covariance)))
    model = BayesianSoftmaxRegression(covariance=kind, prior_scale=told["prior_scale"].number(0))
    model.posterior_ = Posterior(weights["posterior.mean"], weights["posterior.root"], kind)
    model.classes_ = names
    model.n_features_in_ = len(model.posterior_.mean) - 1
    return model


def _network(
    stored: Value, weights: dict[str, Any], shape: tuple[int, ...], names: NDArray[Any]
) -> NetworkClassifier:
    kept = stored.get("recalibrator")
    recalibrator = None if kept is None else Recalibrator.from_dict(kept)
    if recalibrator is not None and len(recalibrator.freq) != len(names):
        stored["recalibrator"].refuse(f"must be for {len(names)} classes", got="another number")
    model = NetworkClassifier(stored["kind"].text())
    try:
        return model.restored(weights, shape, names, recalibrator)
    except RuntimeError as error:
        got = str(error).split("\n\t", 1)[-1].split("\n", 1)[0]
        raise InputError(
            what="is no model: its weights do not fit the network of its shape and classes",
            where=str(Path(stored.file).parent),
            got=got,
            remedy=REMEDY,
        ) from None


_LOADED: dict[Kind, Any] = {
    "softmax": _softmax, "bayes": _bayes, "mlp": _network, "cnn": _network
}  # fmt: skip


def _scaling(weights: dict[str, Any], stored: Value) -> Scaling | None:
    """What is done to the features of a regression first."""
    if stored["kind"].it in ("mlp", "cnn") or "mean" not in weights:
        return None
    if not (weights["scale"] > 0).all():
        stored.refuse("", got="a scale of features that is not positive")
    return Scaling(weights["mean"], weights["scale"])


def _size(told: Value, shape: tuple[int, ...]) -> tuple[int, int]:
    """The height and width of pictures."""
    sides = [item.whole(1, MOST_PIXELS) for item in told.items()]
    if (*sides, 3) != shape:
        told.refuse(f"must be the height and width of rows of shape {shape}")
    return sides[0], sides[1]


def _curve(file: Path) -> list[dict[str, Any]]:
    """What was lost on the way; it is not needed to go on."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not file.is_file():
        return []
    try:
        with pq.ParquetFile(file) as stored:
            n = stored.metadata.num_rows
            table = stored.read() if n <= MOST_EPOCHS else None
    except (pa.ArrowException, ValueError, OSError) as error:
        reason = str(error).split("\n", 1)[0]
        raise InputError(what="is no curve of a model", where=str(file), got=reason) from None
    if table is None:
        raise InputError(what="is no curve of a model", where=str(file), got=f"{n} rows")
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def _bayes_told(estimator: Any) -> dict[str, Any]:
    """What the document of a Bayesian model that was just fitted says beside the others'."""
    if not hasattr(estimator, "elbo_"):
        return {}
    return {
        "bayes": {
            "covariance": estimator.covariance,
            "prior_scale": estimator.prior_scale_,
            "elbo": estimator.elbo_.to_dict(),
            "kl_prior": estimator.kl_prior_,
        }
    }


def _refuse_none(found: NDArray[Any]) -> None:
    """Refuse rows to which a model gives no probabilities.

    Raises:
        InputError: there is one; its features or the weights are so large that they overflow.
    """
    if np.isnan(found).any():
        raise InputError(
            what="the model gives some rows no probabilities: its scores overflow",
            remedy="Look for features that are far larger than those it was fitted to.",
        )
