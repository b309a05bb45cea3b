"""Softmax regression as sums over rows: its loss, its gradient and its Hessian times a direction.

For row i with features x, distribution p and weight w the loss is w H(p, softmax(x W + b)), whose
gradient in the scores is w (q - p): the same for the cross entropy and for KL(p||q), which differ
by the constant H(p).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy import special

from pandq.sums.summary import Summary, summary

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Features = Any  # a NumPy array or a scipy sparse array


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Consecutive rows to fit: (n, d) features, (n, K) or (n,) targets, (n,) weights.

    `rough` is x with the intercept's ones in single precision, where it is kept: half of the bytes,
    for the curvature.
    """

    start: int
    x: Features
    p: NDArray[Any]
    w: Floats | None = None
    rough: Features | None = None

    def __len__(self) -> int:
        return int(self.x.shape[0])


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """The shape of a fit; two classes need one score, of the second class against the first.

    `features` counts the intercept's column of ones, if there is one, as the last.
    """

    n_classes: int
    n_features: int
    intercept: bool

    @property
    def scores(self) -> int:
        """How many scores a row has."""
        return 1 if self.n_classes == 2 else self.n_classes

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the coefficients: features (and the intercept) by scores."""
        return self.n_features + self.intercept, self.scores

    def times(self, x: Features, theta: Floats) -> Floats:
        """X W + b, (n, scores)."""
        found: Floats = np.asarray(x @ theta[: self.n_features])
        return found + theta[-1] if self.intercept else found

    def with_ones(self, x: Floats) -> Floats:
        """X, with a column of ones where there is an intercept, as `without_intercept` takes it."""
        return np.column_stack([x, np.ones(len(x))]) if self.intercept else x

    @property
    def without_intercept(self) -> Problem:
        """The same problem with the intercept as a feature like any."""
        return Problem(self.n_classes, self.n_features + self.intercept, intercept=False)

    def back(self, x: Features, r: Floats) -> Floats:
        """The transpose: features by scores, from (n, scores)."""
        found = np.asarray(x.T @ r)
        return np.vstack([found, r.sum(axis=0)]) if self.intercept else found

    def law(self, z: Floats) -> tuple[Floats, Floats]:
        """Log q and q of each class's score, (n, scores) each, and the row's log normaliser."""
        if self.scores == 1:
            return z[:, 0], special.expit(z)
        top = z.max(axis=1, keepdims=True)
        q = np.exp(z - top)
        total = q.sum(axis=1, keepdims=True)
        q /= total
        return (top + np.log(total))[:, 0], q

    def losses(self, z: Floats, norm: Floats, p: NDArray[Any]) -> Floats:
        """Each row's cross entropy, (n,) nats."""
        if self.scores == 1:
            # the share of the second class; log(1 + exp(z)) - p z, without overflow
            share: Floats = p.astype(np.float64) if p.ndim == 1 else p[:, 1]
            binary: Floats = np.logaddexp(0.0, z[:, 0]) - share * z[:, 0]
            return binary
        if p.ndim == 1:
            picked: Floats = norm - z[np.arange(len(z)), p]
            return picked
        soft: Floats = norm * p.sum(axis=1) - np.einsum("ik,ik->i", p, z)
        return soft

    def residuals(self, q: Floats, p: NDArray[Any]) -> Floats:
        """Q - p of each score, (n, scores)."""
        if self.scores == 1:
            binary: Floats = q - (p if p.ndim == 1 else p[:, 1])[:, None]
            return binary
        if p.ndim == 1:
            hard = q.copy()
            hard[np.arange(len(hard)), p] -= 1.0
            return hard
        soft: Floats = q - p
        return soft


@summary
class LossSums(Summary):
    """Sums over rows at one point: the cross entropy, its gradient, and the curvature.

    `curvature` is the sum of w (diag(q) - q q^T), the Hessian of rows without features.
    """

    weight: float
    loss: float
    gradient: Floats
    curvature: Floats

    @classmethod
    def empty(cls, problem: Problem) -> Self:
        """No rows."""
        k = problem.scores
        return cls(0.0, 0.0, np.zeros(problem.shape), np.zeros((k, k)))

    @classmethod
    def of(cls, rows: Rows, problem: Problem, theta: Floats) -> tuple[Self, Floats]:
        """The sums of some rows, and their q, which the Hessian needs again."""
        z = problem.times(rows.x, theta)
        norm, q = problem.law(z)
        loss, r = problem.losses(z, norm, rows.p), problem.residuals(q, rows.p)
        w = rows.w
        weighted = q if w is None else q * w[:, None]
        if problem.scores == 1:
            curvature = np.array([[float((weighted * (1.0 - q)).sum())]])
        else:
            curvature = np.diag(weighted.sum(axis=0)) - weighted.T @ q
        found = cls(
            float(len(rows)) if w is None else float(w.sum()),
            float(loss.sum()) if w is None else float(w @ loss),
            problem.back(rows.x, r if w is None else r * w[:, None]),
            curvature,
        )
        return found, q


@summary
class ProductSums(Summary):
    """The Hessian of the loss times a direction, features by scores."""

    product: Floats

    @classmethod
    def empty(cls, problem: Problem) -> Self:
        """No rows."""
        return cls(np.zeros(problem.shape))


def hessian_times(x: Features, w: Floats | None, problem: Problem, q: Any, direction: Any) -> Any:
    """The Hessian of some rows' loss times a direction, features by scores.

    Args:
        x: (n, d) features of the rows whose loss it is.
        w: (n,) their weights.
        problem: the shape of the fit.
        q: (n, scores) their distributions at the point.
        direction: features by scores.

    Returns:
        sum of w x (diag(q) - q q^T) x^T d, in the precision of `q`.

    Source: Boehning 1992, equation 2.
    """
    dz = problem.times(x, direction)
    if problem.scores == 1:
        r = q * (1.0 - q) * dz
    else:
        r = q * (dz - np.einsum("ik,ik->i", q, dz)[:, None])
    return problem.back(x, r if w is None else r * w[:, None].astype(r.dtype))
