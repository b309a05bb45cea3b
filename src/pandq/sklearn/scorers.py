"""Scorers: what an audit says of a classifier, as scikit-learn's searches take it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sklearn.utils.metadata_routing import MetadataRequest

from pandq.audits import audit
from pandq.errors import InputError, near_names
from pandq.quantities import QUANTITIES, keys
from pandq.sklearn.responses import classes_of, probabilities, truth_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from pandq.results.estimate import Estimate

# what a model is better for, of its rows and of its loss's parts
PARTS = ("grouping_loss", "calibration_loss", "refinement_loss")
MERITS = {key: QUANTITIES[key] for key in keys("average") + PARTS if QUANTITIES[key].better}


def scorer(key: str) -> Scorer:
    """A scorer of classifiers for `cross_validate`, `GridSearchCV` and whatever takes `scoring=`.

    The score is what `pandq.audit` of the held-out rows says, in nats, its sign turned where less
    is better: greater is better, as scikit-learn has it, and `name` is then "neg_" and the key.

    Args:
        key: "cross_entropy", "kl", "brier", "accuracy", "expected_accuracy"; or a part of the loss:
            "calibration_loss", "refinement_loss", "grouping_loss".

    Returns:
        A Scorer: `scorer(estimator, X, y, sample_weight=None)` is a number.

    Raises:
        InputError: there is no such score.

    >>> from sklearn.linear_model import LogisticRegression
    >>> score = scorer("brier")
    >>> model = LogisticRegression().fit([[0.0], [1.0]], ["cat", "dog"])
    >>> score.name, round(score(model, [[0.5]], ["dog"]), 6)
    ('neg_brier', -0.5)
    """
    if key not in MERITS:
        raise InputError(what=f"no score {key!r}", remedy=near_names(str(key), MERITS))
    return Scorer(key)


@dataclass(frozen=True)
class Scorer:
    """One quantity of a fitted classifier on rows that it is given; see `pandq.scorer`.

    Args:
        key: the quantity.
        weighted: whether metadata routing brings `sample_weight`, as `set_score_request` says.
    """

    key: str
    weighted: bool | str | None = None

    @property
    def name(self) -> str:
        """What the score is called: with "neg_" where its sign is turned."""
        return f"neg_{self.key}" if self._sign < 0 else self.key

    @property
    def _sign(self) -> int:
        return -1 if MERITS[self.key].better == "less" else 1

    def __call__(
        self, estimator: Any, X: Any, y: Any, sample_weight: ArrayLike | None = None
    ) -> float:
        """The score: greater is better.

        Args:
            estimator: a fitted classifier with `classes_` and `predict_proba`.
            X: (n, d) features as it takes them.
            y: (n,) labels out of its classes, (n, K) probabilities in their order, or a view.
            sample_weight: (n,) not negative.

        Returns:
            The score; -inf where what happened was given the probability 0.

        Raises:
            InputError: the rows cannot be scored, or are too few for a part of the loss.
        """
        p = truth_of(y, classes_of(estimator))
        q = probabilities(estimator, X)
        found = audit(p, q, weights=sample_weight, decompose=self.key in PARTS, worst=0)
        estimate: Estimate = found.cross_entropy
        if self.key not in PARTS:
            estimate = getattr(found, self.key)
        elif found.decomposition is None:
            raise InputError(what=found.notes[-1], where=f"a score of {self.key}")
        else:
            estimate = getattr(found.decomposition, self.key)
        return self._sign * float(estimate)

    def set_score_request(self, *, sample_weight: bool | str | None) -> Scorer:
        """The same with what scikit-learn's metadata routing is to bring it."""
        return replace(self, weighted=sample_weight)

    def get_metadata_routing(self) -> MetadataRequest:
        """What scikit-learn's metadata routing asks for."""
        request = MetadataRequest(owner=self)
        request.score.add_request(param="sample_weight", alias=self.weighted)
        return request

    def __repr__(self) -> str:
        return f"pandq.scorer({self.key!r})"
