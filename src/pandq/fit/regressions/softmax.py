"""SoftmaxRegression: Q as a softmax of linear scores, fitted to any P by its divergence."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal, Self, cast

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
from threadpoolctl import threadpool_limits

from pandq.core.checks import is_number, unmasked
from pandq.core.laws import Law
from pandq.engines.local import Local
from pandq.engines.run import Run
from pandq.errors import InputError, PandqWarning
from pandq.fit.regressions.softmaxfit import InMemory, Scanned, SoftmaxFit, minimum_of
from pandq.fit.regressions.softmaxsums import Problem, Rows
from pandq.fit.targets import Targets, view_or_array
from pandq.read.feature_scan import FeatureScan, flattened
from pandq.views import View

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

    from pandq.fit.regressions.softmaxfit import Passes
    from pandq.read.parts import Part

    Floats = NDArray[np.float64]

Loss = Literal["kl", "cross_entropy"]

# Rows of a chunk have about this many numbers, which stay in a core's cache from one product to the
# next, and are few enough for the library's quick path for small matrices.
CHUNK_NUMBERS = 1 << 16
LEAST_ROWS = 64
# Below so many features in all, single precision gains nothing.
ROUGH_NUMBERS = 1 << 20
# Files of no more features than this are read once; larger ones in every pass.
KEPT_NUMBERS = 1 << 26


class NotConverged(PandqWarning, ConvergenceWarning):  # type: ignore[misc]
    """A fit stopped before its optimum, or has none."""


class SoftmaxRegression(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Softmax (multinomial logistic) regression on labels, votes or soft labels.

    Minimises sum of w_i KL(P_i||Q_i) + l2/2 |W|^2 over Q_i = softmax(x_i W + b); the intercept b is
    not penalised. Minimising the cross entropy is the same problem: its objective is larger by the
    weighted mean of H(P), its gradient is the same. Two classes have one score, as in logistic
    regression.

    Args:
        objective: "kl" or "cross_entropy": what `objective_` says; coefficients are the same bits.
        l2: strength of the penalty on the sum over rows; scikit-learn's 1 / C.
        fit_intercept: whether to fit b.
        tol: stop once the largest component of the gradient of the mean objective, each divided by
            its feature's root mean square, is at most this.
        max_iter: at most so many Newton steps.
        callback: called with each step's row of the curve.

    Attributes:
        classes_: (K,) class labels; 0 ... K - 1 for soft labels.
        coef_: (K, d), or (1, d) for two classes.
        intercept_: (K,) or (1,).
        n_iter_: (1,) Newton steps.
        objective_: the weighted mean objective at the end, nats, penalty included.
        curve_: a dict per Newton step: cross entropy, floor and KL in nats, without the penalty,
            and the gradient.
        gradient_norm_: the largest component of its gradient, measured likewise.

    Source: Boehning 1992; McCullagh and Nelder 1989, section 5.2.4.

    >>> import numpy as np
    >>> x, p = np.array([[0.0], [1.0]]), np.array([[0.9, 0.1], [0.2, 0.8]])
    >>> SoftmaxRegression(l2=0.0).fit(x, p).predict_proba(x).round(6)
    array([[0.9, 0.1],
           [0.2, 0.8]])
    """

    def __init__(
        self,
        *,
        objective: Loss = "kl",
        l2: float = 1.0,
        fit_intercept: bool = True,
        tol: float = 1e-10,
        max_iter: int = 200,
        callback: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self.objective = objective
        self.l2 = l2
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.max_iter = max_iter
        self.callback = callback

    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: ArrayLike | None = None,
        *,
        run: Run | None = None,
    ) -> Self:
        """Fit to labels, to an (n, K) matrix of soft labels, to a view, or to rows from files.

        Args:
            X: (n, d) features, dense or scipy sparse; or a FeatureScan, which brings its own P and
                weights and is gone through in constant memory.
            y: (n,) labels of any kind; (n, K) probabilities; or a view of n rows.
            sample_weight: (n,) not negative.
            run: for a FeatureScan, a `pandq.engines.Run` that goes through its rows, such as
                Run(Dask(client)); this process when left out.

        Returns:
            Itself.

        Raises:
            InputError: soft labels are negative or do not sum to one, or rows differ in number.
            ValueError: features or labels that scikit-learn's conventions refuse.
        """
        if self.objective not in ("kl", "cross_entropy"):
            raise InputError(what="objective is kl or cross_entropy", got=repr(self.objective))
        if not is_number(self.l2) or not 0 <= self.l2 < np.inf:
            raise InputError(what="l2 must be finite and not negative", got=str(self.l2))
        if not is_number(self.tol) or not self.tol >= 0:
            raise InputError(what="tol is a number, and not negative", got=repr(self.tol))
        check_steps(self.max_iter)
        if isinstance(X, FeatureScan):
            if y is not None or sample_weight is not None:
                raise InputError(
                    what="a scan brings its own P and weights",
                    remedy="Give them to pandq.scan_features(...).",
                )
            return self._fitted(*rows_of(X, run, fit_intercept=bool(self.fit_intercept)))
        X, targets, w = checked(self, X, y, sample_weight)
        problem = Problem(targets.n_classes, X.shape[1], bool(self.fit_intercept))
        chunks = list(chunks_of(X, targets.p, w, problem))
        whole = [Rows(0, X, targets.p, w)]
        return self._fitted(InMemory(chunks, whole), problem, targets.classes)

    def _fitted(self, rows: Passes, problem: Problem, classes: NDArray[Any]) -> Self:
        """Minimise over rows that are gone through as often as it takes."""
        self.classes_, self.n_features_in_ = classes, problem.n_features
        fit = SoftmaxFit.of(rows, problem, float(self.l2))
        self.curve_: list[dict[str, Any]] = []

        def watch(row: dict[str, Any]) -> None:
            self.curve_.append(row)
            if self.callback is not None:
                self.callback(row)

        # chunks are shared out over the cores: a second pool inside each product would fight them
        with threadpool_limits(limits=1, user_api="blas"):
            found = minimum_of(fit, tol=self.tol, max_iter=self.max_iter, watch=watch)
        self.n_iter_ = np.array([found.steps])
        self.gradient_norm_ = found.gradient_norm
        self.coef_ = np.ascontiguousarray(found.theta[: problem.n_features].T)
        size = problem.scores
        self.intercept_ = found.theta[-1].copy() if problem.intercept else np.zeros(size)
        floor = 0.0 if self.objective == "cross_entropy" else fit.floor
        self.objective_ = found.point.value - floor
        norm = f"a gradient of {found.gradient_norm:.1e}"
        if not found.converged:
            hint = "" if self.l2 > 0 else (
                "; without a penalty classes that can be separated have their optimum at infinity:"
                " set l2 > 0"
            )  # fmt: skip
            self._warn(
                f"stopped after {found.steps} steps with {norm}, above tol = {self.tol:g}{hint}"
            )
        elif self.l2 == 0 and fit.runs_away(found):
            self._warn(
                f"reached {norm} on the way to an optimum at infinity: some classes can be told"
                " apart without an error, or never occur. Set l2 > 0"
            )
        return self

    def decision_function(self, X: Any) -> Floats:
        """Scores: (n, K), or (n,) log-odds of the second class for two."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], dtype=np.float64, reset=False)
        z: Floats = np.asarray(X @ self.coef_.T) + self.intercept_
        return z[:, 0] if z.shape[1] == 1 else z

    def predict_log_proba(self, X: Any) -> Floats:
        """Log-probabilities, (n, K) nats."""
        return self._law(X).log_prob

    def predict_proba(self, X: Any) -> Floats:
        """Probabilities, (n, K)."""
        return self._law(X).prob

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable class of each row, (n,)."""
        z = self.decision_function(X)
        places = (z > 0).astype(np.intp) if z.ndim == 1 else z.argmax(axis=1)
        labels: NDArray[Any] = self.classes_[places]
        return labels

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _law(self, X: Any) -> Law:
        z = self.decision_function(X)
        return Law.from_logits(np.stack([np.zeros(len(z)), z], axis=1) if z.ndim == 1 else z)

    def _warn(self, what: str) -> None:
        warnings.warn(f"SoftmaxRegression {what}", NotConverged, stacklevel=4)


def check_steps(max_iter: object) -> None:
    """Raise InputError for what is no number of steps."""
    if not is_number(max_iter, Integral) or cast("int", max_iter) < 1:
        raise InputError(what="max_iter is a whole number from 1", got=repr(max_iter))


def checked(
    estimator: Any, X: Any, y: Any, sample_weight: Any, *, as_votes: bool = False
) -> tuple[Any, Targets, Floats | None]:
    """Features as numbers, what to fit them to, and weights, by scikit-learn's conventions.

    Raises:
        InputError: P is not valid, or of other rows, or of one class.
        ValueError: what scikit-learn refuses.
    """
    options: dict[str, Any] = {"accept_sparse": "csr", "dtype": np.float64}
    if np.ma.is_masked(X):
        X = unmasked("features", X)
    y = view_or_array(y)
    if not isinstance(y, View) and y is not None:
        y = unmasked("y", y)
    if not isinstance(y, View) and (y is None or y.ndim != 2 or y.shape[1] == 1):
        X, y = validate_data(estimator, X, y, **options)
        check_classification_targets(y)
    else:
        X = validate_data(estimator, X, **options)
    targets = Targets.of(y, as_votes=as_votes)
    if len(targets) != X.shape[0]:
        raise InputError(
            what="P and the features have different numbers of rows",
            got=f"{len(targets)} and {X.shape[0]}",
        )
    w = None
    if sample_weight is not None:
        w = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    targets.require_two_classes()
    return X, targets, w


def chunks_of(
    X: Any, p: NDArray[Any], w: Floats | None, problem: Problem, *, rough: bool = True
) -> Iterator[Rows]:
    """Consecutive rows whose features and scores stay near the processor."""
    n, d = X.shape
    thin = sparse.issparse(X)
    per_row = max(1, X.nnz // max(1, n)) if thin else max(d, problem.scores)
    # adding up the chunks, d numbers each, is to cost little beside going through their rows
    step = max(LEAST_ROWS, max(CHUNK_NUMBERS, 4 * d if thin else 0) // per_row)
    for start in range(0, n, step):
        rows = slice(start, start + step)
        single = None
        if rough and not thin and n * d >= ROUGH_NUMBERS:
            single = problem.with_ones(X[rows]).astype(np.float32)
        yield Rows(start, X[rows], p[rows], None if w is None else w[rows], single)


@dataclass(frozen=True, slots=True, eq=False)
class FitRows:
    """A scan's rows as a fit takes them: features as float64, and targets."""

    scan: FeatureScan
    as_votes: bool

    @property
    def n_rows(self) -> int | None:
        """How many rows there are, if that is known without reading them."""
        return self.scan.n_rows

    def parts(self) -> Sequence[Part]:
        """What can be read apart."""
        return self.scan.parts()

    @property
    def apart(self) -> bool:
        """Whether parts are read sooner side by side."""
        return False

    def count(self, part: Part) -> int:
        """How many rows a part has."""
        return self.scan.count(part)

    def prepared(self) -> FitRows:
        """The same rows for workers."""
        return replace(self, scan=self.scan.prepared())

    def pieces(self, parts: Sequence[Part]) -> Iterator[tuple[Part, Rows]]:
        """The chunks of consecutive parts, each with its part."""
        for part, chunk in self.scan.pieces(parts):
            x = flattened(chunk.x).astype(np.float64, copy=False)
            p = Targets.of(chunk.p, as_votes=self.as_votes).p
            yield part, Rows(chunk.start, x, p, chunk.w)


def rows_of(
    scan: FeatureScan, run: Run | None, *, fit_intercept: bool, as_votes: bool = False
) -> tuple[Scanned, Problem, NDArray[Any]]:
    """A scan's rows as a fit goes through them, its shape, and its classes.

    Raises:
        InputError: there are no rows, or fewer than two classes.
    """
    if scan.p is None:
        raise InputError(what="there is no P to fit to", where=scan.source.name)
    shape = scan.row_shape()
    if shape is None:
        raise InputError(what="there are no rows to learn from", where=scan.source.name)
    classes = np.arange(scan.n_classes) if scan.classes is None else np.array(scan.classes)
    if len(classes) < 2:
        raise InputError(what="a fit needs at least two classes", where=scan.source.name)
    width = int(np.prod(shape))
    if run is None:
        # decoding costs more than it does to keep what was decoded
        few = scan.n_rows is not None and scan.n_rows * width <= KEPT_NUMBERS
        run = Run(Local(cache=few))
    problem = Problem(len(classes), width, fit_intercept)
    return Scanned(FitRows(scan, as_votes), run), problem, classes
