"""What a classifier says of rows, and what is true of them, in the order of its classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from pandq.core.checks import unmasked
from pandq.errors import InputError
from pandq.views import Labels, Logits, LogProbs, Probs, View

if TYPE_CHECKING:
    from numpy.typing import NDArray


def classes_of(estimator: Any) -> NDArray[Any]:
    """The (K,) classes that a fitted classifier tells apart, in the order of its columns.

    Raises:
        InputError: it has none, or is fitted to several outputs.
    """
    found = getattr(estimator, "classes_", None)
    if found is None or isinstance(found, list):
        raise InputError(
            what="a fitted classifier with one classes_ is needed", got=type(estimator).__name__
        )
    return np.asarray(found)


def probabilities(estimator: Any, X: Any) -> View:
    """The probabilities that a fitted classifier gives n rows, a view of (n, K).

    They are taken as logarithms where it has such: what is tiny is then not rounded to 0.

    Raises:
        InputError: it gives none, or what it gives are none.
    """
    # many classifiers have log(predict_proba), in which a 0 is nothing to warn of
    with np.errstate(divide="ignore"):
        if hasattr(estimator, "predict_log_proba"):
            return LogProbs(estimator.predict_log_proba(X))
        if hasattr(estimator, "predict_proba"):
            return Probs(estimator.predict_proba(X))
    raise InputError(
        what="a classifier that gives probabilities is needed",
        got=f"{type(estimator).__name__} without predict_proba",
        remedy="pandq.CalibratedClassifier gives it some.",
    )


def predictions(estimator: Any, X: Any) -> View:
    """The same; of a classifier that has scores alone their softmax.

    Raises:
        InputError: it gives neither.
    """
    if hasattr(estimator, "predict_proba") or not hasattr(estimator, "decision_function"):
        return probabilities(estimator, X)
    scores = np.asarray(estimator.decision_function(X))
    if scores.ndim == 1:
        scores = np.stack([np.zeros(len(scores)), scores], axis=1)
    return Logits(scores)


def truth_of(y: Any, classes: NDArray[Any]) -> View:
    """P of n rows, by classes in this order.

    Args:
        y: (n,) labels, (n, K) probabilities, or a view.
        classes: (K,) classes.

    Raises:
        InputError: a label is none of the classes, or the columns are of others.
    """
    if isinstance(y, View):
        return y
    y = unmasked("y", y)
    if is_soft(y):
        p = Probs(y)
        if p.n_classes != len(classes):
            raise InputError(
                what=f"soft labels need a column for each of {len(classes)} classes",
                got=f"{p.n_classes} columns",
            )
        return p
    y = y.reshape(-1)
    unknown = sorted({str(label) for label in set(y.tolist()) - set(classes.tolist())})
    if unknown:
        raise InputError(
            what="y has labels that the classifier was not fitted to",
            got=", ".join(unknown[:10]) + (", ..." if len(unknown) > 10 else ""),
            remedy="Let every training fold have every class: cv=StratifiedKFold(...).",
        )
    place = {label: k for k, label in enumerate(cast("list[Any]", classes.tolist()))}
    return Labels(np.array([place[label] for label in y.tolist()], dtype=np.int64), len(classes))


def is_soft(y: NDArray[Any]) -> bool:
    """Whether these are probabilities of classes; a column of labels is labels."""
    return y.ndim == 2 and y.shape[1] > 1
