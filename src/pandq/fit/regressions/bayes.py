"""BayesianSoftmaxRegression: a Gaussian over the coefficients, fitted by the evidence bound."""

from __future__ import annotations

import warnings
from functools import partial
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted, validate_data
from threadpoolctl import threadpool_limits

from pandq.core.checks import is_number
from pandq.errors import InputError
from pandq.fit.regressions.bayesfit import Prior, maximised
from pandq.fit.regressions.bayessums import DrawSums, Rule, scores_of, softmax, spreads
from pandq.fit.regressions.posterior import Covariance
from pandq.fit.regressions.softmax import NotConverged, check_steps, checked, chunks_of, rows_of
from pandq.fit.regressions.softmaxfit import InMemory
from pandq.fit.regressions.softmaxsums import Problem
from pandq.montecarlo import elbo
from pandq.read.feature_scan import FeatureScan
from pandq.views import Ensemble

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from pandq.engines.run import Run
    from pandq.fit.regressions.softmaxfit import Passes

    Floats = NDArray[np.float64]

# A matrix of the squared number of coefficients is kept; more of them than this would not fit.
MOST_COEFFICIENTS = 3000
# Fresh draws for the reported bound, apart from the rule that it was optimised with.
FRESH = 256
FEW_NODES = 64
PREDICTED_ROWS = 1 << 12
# Beyond these a prior says nothing, or all, and its square or its inverse has no digits left.
SCALES = (1e-100, 1e4)


class BayesianSoftmaxRegression(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Softmax regression with a Gaussian prior: q(w) is Gaussian and maximises the ELBO.

    ELBO = E_q[log p(data | w)] - KL(q || prior) is at most the log evidence, and falls short of it
    by KL(q || p(w | data)): maximising it minimises that divergence. Votes are independent
    observations, a row of soft labels is one.

    Args:
        covariance: of q: "full"; "blocks", one per class's score; or "diagonal", which is known to
            be too narrow where features are correlated.
        prior_scale: standard deviation of every coefficient's prior; "auto" for the one of the
            largest ELBO.
        intercept_scale: that of the intercept's.
        fit_intercept: whether there is one.
        tol: stop once a step moves no mean by more than this many posterior standard deviations,
            and no standard deviation by more than this share of itself.
        max_iter: at most so many steps, of about one pass over the rows each.
        n_nodes: of the rule that takes expectations over a row's scores, for more than two classes;
            so many only where 64 do not see the same bound.
        random_state: seed of the rule, of fresh draws and of members.

    Attributes:
        classes_: (K,) class labels.
        coef_: (K, d), or (1, d) for two classes: the mean of q.
        intercept_: (K,) or (1,).
        posterior_: q, with its covariance.
        elbo_: an Estimate of the ELBO in nats, from fresh draws: its interval is of the draws.
        bound_: the deterministic bound that was maximised.
        kl_prior_: KL(q || prior), exact.
        prior_scale_: as given or chosen.
        n_iter_: steps.
        gradient_norm_: the largest component of the bound's gradient at the end.

    Source: Opper and Archambeau 2009; Giordano, Ingram and Broderick 2024 (a deterministic bound).

    >>> X = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    >>> model = BayesianSoftmaxRegression().fit(X, [0, 0, 1, 1])
    >>> model.predict([[3.0]])
    array([1])
    >>> bool(model.elbo_.value < 0)
    True
    """

    def __init__(
        self,
        *,
        covariance: Covariance = "full",
        prior_scale: float | Literal["auto"] = 1.0,
        intercept_scale: float = 10.0,
        fit_intercept: bool = True,
        tol: float = 1e-3,
        max_iter: int = 500,
        n_nodes: int = 256,
        random_state: int = 0,
        callback: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self.covariance = covariance
        self.prior_scale = prior_scale
        self.intercept_scale = intercept_scale
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.max_iter = max_iter
        self.n_nodes = n_nodes
        self.random_state = random_state
        self.callback = callback

    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: ArrayLike | None = None,
        *,
        run: Run | None = None,
    ) -> Self:
        """Fit to labels, votes, soft labels, a view, or rows from files.

        Args:
            X: (n, d) features, dense or scipy sparse; or a FeatureScan, which brings its own P.
            y: (n,) labels of any kind; (n, K) probabilities; or a view of n rows.
            sample_weight: (n,) not negative: how often each row counts.
            run: for a FeatureScan, a `pandq.engines.Run` that goes through its rows, such as
                Run(Dask(client)); this process when left out.

        Returns:
            Itself.

        Raises:
            InputError: P or the options cannot be used.
            ValueError: features or labels that scikit-learn's conventions refuse.
        """
        self._check_options()
        if isinstance(X, FeatureScan):
            if y is not None or sample_weight is not None:
                raise InputError(what="a scan brings its own P and weights")
            intercept = bool(self.fit_intercept)
            found = rows_of(X, run, fit_intercept=intercept, as_votes=True)
            return self._fitted(*found)
        X, targets, w = checked(self, X, y, sample_weight, as_votes=True)
        problem = Problem(targets.n_classes, X.shape[1], bool(self.fit_intercept))
        chunks = list(chunks_of(X, targets.p, w, problem, rough=False))
        return self._fitted(InMemory(chunks), problem, targets.classes)

    def _fitted(self, rows: Passes, problem: Problem, classes: NDArray[Any]) -> Self:
        d, s = problem.shape
        if d * s > MOST_COEFFICIENTS:
            raise InputError(
                what=f"a posterior over {d * s:,} coefficients is too large",
                remedy=f"Up to {MOST_COEFFICIENTS:,} can be kept: take fewer features.",
            )
        self.classes_, self.n_features_in_ = classes, problem.n_features
        self.curve_: list[dict[str, Any]] = []
        joint = self.covariance == "full" and s > 1
        sizes = sorted({min(FEW_NODES, self.n_nodes), self.n_nodes}) if s > 1 else [self.n_nodes]
        rules = [Rule.of(s - joint, size, self.random_state) for size in sizes]
        prior = Prior(
            problem.shape,
            None if self.prior_scale == "auto" else float(self.prior_scale),
            float(self.intercept_scale) if problem.intercept else None,
        )
        # chunks are shared out over the cores: a second pool inside each product would fight them
        with threadpool_limits(limits=1, user_api="blas"):
            found = maximised(
                rows,
                problem,
                rules,
                prior,
                self.covariance,
                tol=self.tol,
                max_iter=self.max_iter,
                tell=self._tell,
            )
            q = found.q
            draws = q.draws(FRESH, np.random.default_rng([self.random_state, 1]))
            of = partial(DrawSums.of, problem=problem, coefficients=draws)
            fresh = rows.summarise("fresh draws", of, DrawSums.empty(FRESH))
        if not found.converged:
            warnings.warn(
                f"BayesianSoftmaxRegression stopped after {found.steps} steps with a gradient of"
                f" {found.gradient_norm:.1e}, above tol = {self.tol:g}",
                NotConverged,
                stacklevel=3,
            )
        self.posterior_, self.prior_scale_, self.bound_ = q, found.scale, found.bound
        self.n_iter_, self.gradient_norm_ = found.steps, found.gradient_norm
        self.kl_prior_ = q.kl(prior.variance(found.scale))
        self.elbo_ = elbo(fresh.log_likelihood, self.kl_prior_)
        k = problem.n_features
        self.coef_ = np.ascontiguousarray(q.mean[:k].T)
        self.intercept_ = q.mean[k] if problem.intercept else np.zeros(s)
        return self

    def _tell(self, told: dict[str, Any]) -> None:
        self.curve_.append(told)
        if self.callback is not None:
            self.callback(told)

    def decision_function(self, X: Any) -> Floats:
        """Mean scores: (n, K), or (n,) log-odds of the second class for two."""
        z = self._features(X) @ self.posterior_.mean
        return z[:, 0] if z.shape[1] == 1 else z

    def predict_proba(self, X: Any) -> Floats:
        """The predictive distribution, E_q[softmax(x w)], (n, K)."""
        x, q = self._features(X), self.posterior_
        rule = Rule.of(q.mean.shape[1] - q.joint, self.n_nodes, self.random_state)
        found = [
            _whole(rule.mean(softmax(rule.scores(part @ q.mean, spreads(q, part), rule.nodes))[1]))
            for part in _parts(x)
        ]
        return np.concatenate(found)

    def predict_log_proba(self, X: Any) -> Floats:
        """Logarithms of the predictive distribution, (n, K) nats."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable class of each row under the predictive distribution, (n,)."""
        places = self.predict_proba(X).argmax(axis=1)
        labels: NDArray[Any] = self.classes_[places]
        return labels

    def predict_members(self, X: Any, n: int = 32) -> Ensemble:
        """The distributions under n draws of the coefficients, the same draws for all rows.

        Args:
            X: (m, d) features.
            n: members.

        Returns:
            An Ensemble of m rows; `pandq.audit(p, ensemble)` splits its uncertainty.
        """
        x = self._features(X)
        if n < 2:
            raise InputError(what="an ensemble has two members at least", got=str(n))
        draws = self.posterior_.draws(n, np.random.default_rng([self.random_state, 2]))
        found = [_whole(softmax(scores_of(part, draws))[1]) for part in _parts(x)]
        return Ensemble.of_array("probs", np.concatenate(found))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _features(self, X: Any) -> Floats:
        """Features with the intercept's ones, (n, d + 1)."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", dtype=np.float64, reset=False)
        x = _dense(X)
        wide = len(self.posterior_.mean) > x.shape[1]
        found: Floats = np.column_stack([x, np.ones(len(x))]) if wide else x
        return found

    def _check_options(self) -> None:
        if self.covariance not in get_args(Covariance):
            known = ", ".join(get_args(Covariance))
            raise InputError(what=f"covariance is one of {known}", got=repr(self.covariance))
        if not (isinstance(self.tol, int | float) and 0 < self.tol < np.inf):
            raise InputError(what="tol must be positive and finite", got=repr(self.tol))
        scales = {"intercept_scale": self.intercept_scale}
        if self.prior_scale != "auto":
            scales["prior_scale"] = self.prior_scale
        low, high = SCALES
        for name, value in scales.items():
            if not (isinstance(value, int | float) and low <= value <= high):
                what = f"{name} is a number from {low:g} to {high:g}"
                raise InputError(what, got=repr(value))
        check_steps(self.max_iter)
        if (
            not is_number(self.n_nodes, Integral)
            or self.n_nodes < 4
            or self.n_nodes & (self.n_nodes - 1)
        ):
            raise InputError(what="n_nodes is a power of two, 4 at least", got=repr(self.n_nodes))


def _whole(law: Floats) -> Floats:
    """(..., K) probabilities: one score is the second class's against the first."""
    return np.concatenate([1.0 - law, law], axis=-1) if law.shape[-1] == 1 else law


def _dense(x: Any) -> Floats:
    found: Floats = x.toarray() if hasattr(x, "toarray") else x
    return found


def _parts(x: Floats) -> list[Floats]:
    return [x[start : start + PREDICTED_ROWS] for start in range(0, len(x), PREDICTED_ROWS)]
