"""CalibratedClassifier: a scikit-learn classifier with a recalibration map after it."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.model_selection import check_cv
from sklearn.utils import assert_all_finite, get_tags, indexable
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_sample_weight,
    check_is_fitted,
    column_or_1d,
    has_fit_parameter,
)

from pandq.calibrations import fit_calibration
from pandq.core.checks import unmasked
from pandq.errors import InputError, PandqWarning
from pandq.recalibrator import OF_ORDER
from pandq.sklearn.responses import classes_of, is_soft, predictions, truth_of
from pandq.views import LogProbs

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from pandq.core.laws import Law
    from pandq.recalibrator import Kind

    Floats = NDArray[np.float64]


class CalibratedClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier whose probabilities go through a map of `pandq.fit_calibration`.

    The map is fitted to predictions of rows that a classifier was not fitted to, and stands after
    the classifier that is fitted to all rows.

    Args:
        estimator: any classifier with predict_proba, or with a decision_function, of which the
            softmax is taken.
        kind: the map, as for `pandq.fit_calibration`; "best" needs rows for its five folds, and
            "ordered" and "cumulative" labels that are numbers, in the order of their values.
        cv: folds as scikit-learn has them (a number, a splitter, pairs of places), stratified where
            a number is given for labels; or "prefit": the estimator is fitted already, and all
            rows are for the map.

    Attributes:
        classes_: (K,) classes in the order of the columns.
        estimator_: the classifier that is fitted to all rows; of "prefit" the given one.
        recalibrator_: the Recalibrator.
        n_features_in_, feature_names_in_: those of `estimator_`, where it has them.

    Raises:
        InputError: the rows or predictions cannot be used, or no such map can be fitted to them.

    Source: Platt 1999, Probabilistic outputs for support vector machines (a map of held-out
        scores); Guo et al. 2017, On calibration of modern neural networks.

    >>> from sklearn.datasets import load_iris
    >>> from sklearn.naive_bayes import GaussianNB
    >>> x, y = load_iris(return_X_y=True)
    >>> model = CalibratedClassifier(GaussianNB()).fit(x, y)
    >>> model.recalibrator_.kind, model.predict_proba(x).shape
    ('temperature', (150, 3))
    """

    def __init__(
        self,
        estimator: Any,
        *,
        kind: Kind | Literal["best"] = "temperature",
        cv: Any = 5,
    ) -> None:
        self.estimator = estimator
        self.kind = kind
        self.cv = cv

    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the classifier, unless it is fitted already, and the map.

        Args:
            X: (n, d) features as the classifier takes them.
            y: (n,) labels of any kind; or (n, K) probabilities, where it takes such.
            sample_weight: (n,) not negative.

        Returns:
            Itself.

        Raises:
            InputError: the rows cannot be used, or no such map can be fitted to them.
            ValueError: what scikit-learn's conventions refuse.
        """
        X, y, w = _checked(X, y, sample_weight)
        if isinstance(self.cv, str):
            if self.cv != "prefit":
                raise InputError(what="cv is folds or 'prefit'", got=repr(self.cv))
            check_is_fitted(self.estimator)
            self.estimator_, rows = self.estimator, np.arange(len(y))
            q: Any = predictions(self.estimator, X)
        else:
            self.estimator_ = _fitted(self.estimator, X, y, w)
            q, rows = self._held_out(X, y, w)
        self.classes_ = classes_of(self.estimator_)
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.estimator_, name):
                setattr(self, name, getattr(self.estimator_, name))
        _require_order(self.kind, self.classes_)
        weights = None if w is None else w[rows]
        p = truth_of(y[rows], self.classes_)
        self.recalibrator_ = fit_calibration(p, q, self.kind, weights=weights)
        return self

    def predict_log_proba(self, X: Any) -> Floats:
        """Log-probabilities, (n, K) nats."""
        return self._law(X).log_prob

    def predict_proba(self, X: Any) -> Floats:
        """Probabilities, (n, K)."""
        return self._law(X).prob

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable class of each row, (n,)."""
        log_prob = self.predict_log_proba(X)
        labels: NDArray[Any] = self.classes_[log_prob.argmax(axis=1)]
        return labels

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self.estimator).input_tags
        return tags

    def _law(self, X: Any) -> Law:
        check_is_fitted(self)
        return self.recalibrator_.of(predictions(self.estimator_, X)).law()

    def _held_out(
        self, X: Any, y: NDArray[Any], w: Floats | None
    ) -> tuple[LogProbs, NDArray[np.intp]]:
        """Predictions by classifiers that were not fitted to a row, and which rows these are."""
        classes = classes_of(self.estimator_)
        found, rows = [], []
        for train, test in check_cv(self.cv, y, classifier=True).split(X, y):
            inside, labels = _safe_split(self.estimator, X, y, train)
            model = _fitted(self.estimator, inside, labels, None if w is None else w[train])
            outside, _ = _safe_split(self.estimator, X, y, test, train)
            log_q = np.full((len(test), len(classes)), -np.inf)
            # a class that a fold has not seen is ruled out by it
            places = np.flatnonzero(np.isin(classes, classes_of(model)))
            log_q[:, places] = predictions(model, outside).law().log_prob
            found.append(log_q)
            rows.append(test)
        which = np.concatenate(rows)
        order = np.argsort(which, kind="stable")
        return LogProbs(np.concatenate(found)[order]), which[order]


def _require_order(kind: str, classes: NDArray[Any]) -> None:
    """Refuse text, which scikit-learn sorts by its letters, where the order of classes counts.

    Raises:
        InputError: it does.
    """
    if kind in OF_ORDER and classes.dtype.kind not in "biuf" and len(classes) > 2:
        raise InputError(
            what=f"a {kind} map needs classes in their order, and text is sorted by its letters",
            got=", ".join(map(str, classes[:8])),
            remedy="Give the labels as numbers: 0, 1, 2 from one end to the other.",
        )


def _checked(X: Any, y: Any, sample_weight: Any) -> tuple[Any, NDArray[Any], Floats | None]:
    """Rows of equal number, with labels of classes or soft labels.

    Raises:
        InputError: there is no y.
        ValueError: what scikit-learn refuses.
    """
    if y is None:
        raise InputError(what="requires y to be passed, but the target y is None")
    y = unmasked("y", y)
    if not is_soft(y):
        y = column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y")
        check_classification_targets(y)
    X, y = indexable(X, y)
    w = None
    if sample_weight is not None:
        w = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    return X, y, w


def _fitted(estimator: Any, X: Any, y: NDArray[Any], w: Floats | None) -> Any:
    """A copy of a classifier, fitted to some rows, with their weights where it takes such."""
    model = clone(estimator)
    if w is None:
        return model.fit(X, y)
    if has_fit_parameter(model, "sample_weight"):
        return model.fit(X, y, sample_weight=w)
    message = f"{type(model).__name__} takes no sample_weight: weights are the map's alone"
    warnings.warn(message, PandqWarning, stacklevel=4)
    return model.fit(X, y)
