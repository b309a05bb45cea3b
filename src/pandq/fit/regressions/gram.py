"""The Gram matrix of the features, diagonalised once: a rough inverse of any softmax Hessian."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy import sparse

from pandq.sums.summary import Summary, summary

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pandq.fit.regressions.newton import Solve
    from pandq.fit.regressions.softmaxsums import Problem, Rows

    Floats = NDArray[np.float64]

# Above this many features the matrix is too large, and its diagonal is used instead.
MOST_FEATURES = 4000
# A direction in which the features have less than this share of the most counts as none.
LEAST = 1e-14


@summary
class GramSums(Summary):
    """The sum of w x x^T over rows, (d, d); its diagonal alone where that would be too large."""

    weight: float
    total: Floats

    @classmethod
    def empty(cls, problem: Problem) -> Self:
        """No rows."""
        size = problem.shape[0]
        return cls(0.0, np.zeros((size, size) if size <= MOST_FEATURES else size))

    @classmethod
    def of(cls, rows: Rows, problem: Problem) -> Self:
        """The sums of some rows."""
        whole = problem.shape[0] <= MOST_FEATURES
        weight = float(len(rows)) if rows.w is None else float(rows.w.sum())
        return cls(weight, _moments(rows, problem) if whole else _squares(rows, problem))


@dataclass(frozen=True, slots=True, eq=False)
class Gram:
    """scale U diag(values) U^T scale, the weighted mean of x x^T with the intercept's 1 in x.

    The features are brought to one scale first, so that eigenvalues keep their digits however far
    apart the features' own scales are. `vectors` is None for the identity.
    """

    scale: Floats
    values: Floats
    vectors: Floats | None
    penalised: Floats

    @classmethod
    def of(cls, sums: GramSums, problem: Problem) -> Self:
        """The matrix that the sums of all rows give."""
        size, whole = problem.shape[0], sums.total.ndim == 2
        total = sums.total / sums.weight
        squares = np.diagonal(total) if whole else total
        scale = np.sqrt(np.where(squares > 0, squares, 1.0))
        penalised = np.ones(size)
        if problem.intercept:
            penalised[-1] = 0.0
        if not whole:
            return cls(scale, np.ones(size), None, penalised)
        values, vectors = np.linalg.eigh(total / np.outer(scale, scale))
        return cls(scale, np.maximum(values, 0.0), vectors, penalised)

    def solver(self, curvature: Floats, l2: float) -> Solve:
        """A solve with the Gram matrix times a curvature, plus the penalty.

        Args:
            curvature: (scores, scores) the mean Hessian of a row in its scores.
            l2: of the mean objective.

        Returns:
            A positive definite map; exact where the rows' softmax and the features' scales are
            constant.
        """
        bends, turns = np.linalg.eigh(curvature)
        # a shift of all scores bends nothing: there the penalty alone is left
        bends = np.maximum(bends, 1e-8 * max(float(bends.max(initial=0.0)), 1e-300))
        per_feature = self.penalised / np.square(self.scale)
        vectors = self.vectors
        penalty = per_feature if vectors is None else np.square(vectors).T @ per_feature
        size = np.outer(self.values, bends) + l2 * penalty[:, None]
        size = np.maximum(size, LEAST * float(size.max(initial=1e-300)))
        scale = self.scale[:, None]

        def solve(v: Floats) -> Floats:
            inside = v / scale if vectors is None else vectors.T @ (v / scale)
            inside = ((inside @ turns) / size) @ turns.T
            found: Floats = (inside if vectors is None else vectors @ inside) / scale
            return found

        return solve


def _moments(rows: Rows, problem: Problem) -> Floats:
    """The sum of w x x^T, (d, d), with the intercept's 1 as the last of x."""
    weighted = _weighted(rows)
    product: Any = weighted.T @ rows.x
    found = np.zeros((problem.shape[0],) * 2)
    d = problem.n_features
    found[:d, :d] = product.toarray() if hasattr(product, "toarray") else product
    if problem.intercept:
        found[-1, :d] = found[:d, -1] = np.asarray(weighted.sum(axis=0)).ravel()
        found[-1, -1] = float(len(rows)) if rows.w is None else float(rows.w.sum())
    return found


def _squares(rows: Rows, problem: Problem) -> Floats:
    """The diagonal of the same, (d,)."""
    weighted = _weighted(rows)
    sparsely: Any = sparse.issparse(rows.x)
    squared = weighted.multiply(rows.x) if sparsely else weighted * rows.x
    sums = np.asarray(squared.sum(axis=0)).ravel()
    last = float(len(rows)) if rows.w is None else float(rows.w.sum())
    return np.append(sums, last) if problem.intercept else sums


def _weighted(rows: Rows) -> Any:
    """The features times the rows' weights."""
    x: Any = rows.x
    if rows.w is None:
        return x
    if sparse.issparse(x):
        diagonal: Any = sparse.diags_array(rows.w)
        return diagonal @ x
    return x * rows.w[:, None]
