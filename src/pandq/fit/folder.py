"""A fitted model as a folder: JSON and safetensors, which load without running anybody's code.

model.json           what it is, its classes, what its features were, how it was made
weights.safetensors  the numbers
curve.parquet        one row per epoch (of a network) or step (of a regression)
curve.svg            the same, drawn
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pandq.errors import InputError, MissingLibraryError
from pandq.estimate.recalibrator import Recalibrator
from pandq.fit.networks.classifier import NetworkClassifier
from pandq.fit.regressions.bayes import BayesianSoftmaxRegression
from pandq.fit.regressions.posterior import Posterior
from pandq.fit.regressions.softmax import SoftmaxRegression
from pandq.read.feature_scan import Scaling
from pandq.store import Own, read_json, write_json
from pandq.views import LogProbs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pandq.ensembles import Ensemble

Kind = Literal["softmax", "bayes", "mlp", "cnn"]
SCHEMA = "pandq/model/1"
JSON_FILE, WEIGHTS, CURVE = "model.json", "weights.safetensors", "curve.parquet"
CURVE_FIGURE = "curve.svg"
FOLDER = Own(JSON_FILE, "pandq/model/", (JSON_FILE, WEIGHTS, CURVE, CURVE_FIGURE))


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
        told: how it was made: options, command, versions, input.
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
    told: dict[str, Any] = field(default_factory=dict)

    def predict(self, x: NDArray[Any]) -> LogProbs:
        """Q of rows of features, or of pictures (n, h, w, 3) uint8.

        Raises:
            InputError: they are not of the shape that the model was fitted to.
        """
        log_q = self.estimator.predict_log_proba(self._features(x))
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
        return self.estimator.predict_members(self._features(x), n)

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
        **model.told,
    }
    write_json(document, folder / JSON_FILE)
    if not isinstance(model.estimator, NetworkClassifier):
        from safetensors.numpy import save_file

        if isinstance(model.estimator, BayesianSoftmaxRegression):
            q = model.estimator.posterior_
            arrays = {"posterior.mean": q.mean, "posterior.root": q.root}
        else:
            arrays = {"coef": model.estimator.coef_, "intercept": model.estimator.intercept_}
        if model.scaling is not None:
            arrays |= {"mean": model.scaling.mean, "scale": model.scaling.scale}
        save_file({k: np.ascontiguousarray(x) for k, x in arrays.items()}, folder / WEIGHTS)
    else:
        from safetensors.torch import save_file as save_tensors

        state = model.estimator.module_.state_dict()
        save_tensors({k: x.detach().cpu().contiguous() for k, x in state.items()}, folder / WEIGHTS)
    pq.write_table(pa.Table.from_pylist(model.curve), folder / CURVE)


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
        raise InputError(
            what=f"is no model: there is no {JSON_FILE}",
            where=str(path),
            remedy="A model is the folder that `pandq fit --out` writes.",
        )
    stored = read_json(folder / JSON_FILE)
    if stored.get("schema") != SCHEMA:
        raise InputError(
            what=f"is no {SCHEMA}", where=str(folder / JSON_FILE), got=str(stored.get("schema"))
        )
    try:
        return _loaded(stored, folder)
    except KeyError as error:
        what = f"is a broken model: it lacks {error.args[0]!r}"
        raise InputError(what, where=str(path)) from None
    except (ValueError, TypeError, RuntimeError, OSError, AttributeError) as error:
        if isinstance(error, InputError | MissingLibraryError):
            raise
        reason = str(error).split("\n", 1)[0]
        raise InputError(what="is a broken model", where=str(path), got=reason) from None


def _loaded(stored: dict[str, Any], folder: Path) -> Model:
    import pyarrow.parquet as pq

    features = stored["features"]
    shape = tuple(int(size) for size in features["shape"])
    classes = None if stored["classes"] is None else tuple(stored["classes"])
    names = np.arange(stored["n_classes"]) if classes is None else np.array(classes)
    scaling, estimator = None, None
    if stored["kind"] in ("softmax", "bayes"):
        arrays = _arrays(folder / WEIGHTS, "numpy")
        estimator = (_softmax if stored["kind"] == "softmax" else _bayes)(stored, arrays, names)
        scaling = Scaling(arrays["mean"], arrays["scale"]) if "mean" in arrays else None
    else:
        estimator = _network(stored, folder / WEIGHTS, shape, names)
    # what was lost on the way is not needed to go on
    there = (folder / CURVE).is_file()
    curve = pq.read_table(folder / CURVE).to_pylist() if there else []
    size = features["picture_size"]
    own = ("schema", "kind", "n_classes", "classes", "features", "recalibrator", "bayes")
    found = Model(
        kind=stored["kind"],
        estimator=estimator,
        columns=tuple(features["columns"]),
        size=None if size is None else (int(size[0]), int(size[1])),
        shape=shape,
        n_classes=stored["n_classes"],
        classes=classes,
        scaling=scaling,
        curve=curve,
        told={name: value for name, value in stored.items() if name not in own},
    )
    k = found.predict(np.zeros((1, *shape))).n_classes
    if k != found.n_classes or (classes is not None and k != len(classes)):
        named = found.n_classes if classes is None else len(classes)
        raise InputError(
            what="is a broken model: its weights and its classes do not fit",
            where=str(folder),
            got=f"weights of {k} classes, {named} in {JSON_FILE}",
        )
    return found


def _softmax(
    stored: dict[str, Any], arrays: dict[str, Any], names: NDArray[Any]
) -> SoftmaxRegression:
    del stored
    model = SoftmaxRegression()
    model.coef_, model.intercept_, model.classes_ = arrays["coef"], arrays["intercept"], names
    model.n_features_in_ = model.coef_.shape[1]
    return model


def _bayes(
    stored: dict[str, Any], arrays: dict[str, Any], names: NDArray[Any]
) -> BayesianSoftmaxRegression:
    told = stored["bayes"]
    model = BayesianSoftmaxRegression(
        covariance=told["covariance"], prior_scale=told["prior_scale"]
    )
    model.posterior_ = Posterior(
        arrays["posterior.mean"], arrays["posterior.root"], told["covariance"]
    )
    model.classes_ = names
    model.n_features_in_ = len(model.posterior_.mean) - 1
    return model


def _bayes_told(estimator: Any) -> dict[str, Any]:
    """What a Bayesian model's document says beside the others'."""
    if not isinstance(estimator, BayesianSoftmaxRegression):
        return {}
    return {
        "bayes": {
            "covariance": estimator.covariance,
            "prior_scale": estimator.prior_scale_,
            "elbo": estimator.elbo_.to_dict(),
            "kl_prior": estimator.kl_prior_,
        }
    }


def _network(
    stored: dict[str, Any], file: Path, shape: tuple[int, ...], names: NDArray[Any]
) -> NetworkClassifier:
    model = NetworkClassifier(stored["kind"])
    kept = stored["recalibrator"]
    recalibrator = None if kept is None else Recalibrator.from_dict(kept)
    model.restored(_arrays(file, "torch"), shape, names, recalibrator)
    return model


def _arrays(file: Path, framework: str) -> dict[str, Any]:
    """The arrays of a safetensors file."""
    from safetensors import SafetensorError

    if not file.is_file():
        raise InputError(what="is missing from the model", where=str(file))
    try:
        if framework == "torch":
            from safetensors.torch import load_file

            return dict(load_file(file))
        from safetensors.numpy import load_file as load_arrays

        return dict(load_arrays(file))
    except (SafetensorError, OSError) as error:
        raise InputError(what="is no safetensors file", where=str(file), got=str(error)) from None
    except ModuleNotFoundError:
        raise MissingLibraryError.of(library="torch", what="a network") from None
