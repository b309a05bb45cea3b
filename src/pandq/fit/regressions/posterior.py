"""A Gaussian over the coefficients of a softmax regression, and what it makes of a row's scores.

Coefficients are (d, S): features (the intercept's column of ones among them) by scores. Flattened
they stand score by score, so that the covariance of two scores' coefficients is a (d, d) block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import linalg

from pandq.parametric import gaussian_kl

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Covariance = Literal["full", "blocks", "diagonal"]


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """q(w): its mean, and a root of its covariance.

    Args:
        mean: (d, S).
        root: with L L^T the covariance: full (d S, d S); blocks (S, d, d), a score's coefficients
            each; diagonal (d, S), standard deviations.
    """

    mean: Floats
    root: Floats
    kind: Covariance

    @property
    def variance(self) -> Floats:
        """(d, S) of each coefficient."""
        d, s = self.mean.shape
        if self.kind == "diagonal":
            return np.square(self.root)
        if self.kind == "blocks":
            return np.asarray(np.square(self.root).sum(axis=2).T)
        return np.asarray(np.square(self.root).sum(axis=1).reshape(s, d).T)

    @property
    def covariance(self) -> Floats:
        """(d S, d S), score by score."""
        found: Floats
        if self.kind == "full":
            found = np.asarray(self.root @ self.root.T)
            return found
        if self.kind == "blocks":
            found = linalg.block_diag(*(root @ root.T for root in self.root))
            return found
        return np.diag(np.square(self.root).T.ravel())

    @property
    def flat(self) -> Floats:
        """(d S,) the mean, score by score."""
        return self.mean.T.ravel()

    def kl(self, prior_variance: Floats) -> float:
        """KL(q || prior), exact, for independent priors of mean 0 and (d, S) variances."""
        zeros, prior = np.zeros(self.mean.size), prior_variance.T.ravel()
        if self.kind == "diagonal":
            return float(gaussian_kl(self.flat, np.square(self.root).T.ravel(), zeros, prior))
        if self.kind == "full":
            return float(gaussian_kl(self.flat, self.covariance, zeros, prior))
        d = len(self.mean)
        return sum(
            float(gaussian_kl(mean, root @ root.T, np.zeros(d), variance))
            for mean, root, variance in zip(self.mean.T, self.root, prior_variance.T, strict=True)
        )

    @property
    def joint(self) -> bool:
        """Do the scores of a row covary?"""
        return self.kind == "full" and self.mean.shape[1] > 1

    def row_roots(self, x: Floats, basis: Floats | None = None) -> Floats:
        """A root of the covariance of each row's scores.

        A row's scores are jointly Gaussian, with mean x M and a covariance of S x S: whatever else
        the coefficients do makes no difference to it.

        Args:
            x: (n, d) features.
            basis: (S, R) the contrasts of the scores that are wanted, where scores covary.

        Returns:
            (n, S) standard deviations where scores are independent, else (n, R, R) lower triangles.
        """
        d, s = self.mean.shape
        if self.kind == "diagonal":
            return np.asarray(np.sqrt(np.square(x) @ np.square(self.root)))
        if not self.joint:
            roots = self.root[None] if self.kind == "full" else self.root
            spread = np.stack([np.square(x @ r).sum(axis=1) for r in roots], axis=1)
            return np.asarray(np.sqrt(spread))
        # a row's contrasts times the root, (n, R, d S), whose Gram matrix is their covariance
        wide = np.asarray(basis).T @ self.root.reshape(s, -1)
        wide = wide.reshape(-1, d, s * d)
        parts = np.stack([x @ contrast for contrast in wide], axis=1)
        covariance: Floats = parts @ parts.transpose(0, 2, 1)
        return np.asarray(np.linalg.cholesky(covariance), dtype=np.float64)

    def draws(self, n: int, generator: np.random.Generator) -> Floats:
        """(n, d, S) coefficients drawn from q."""
        d, s = self.mean.shape
        normal = generator.standard_normal((n, s, d))
        if self.kind == "diagonal":
            moved = normal.transpose(0, 2, 1) * self.root
        elif self.kind == "blocks":
            moved = np.einsum("sde,nse->nds", self.root, normal)
        else:
            moved = (normal.reshape(n, -1) @ self.root.T).reshape(n, s, d).transpose(0, 2, 1)
        found: Floats = self.mean + moved
        return found


def of_precision(mean: Floats, precision: Floats, kind: Covariance) -> Posterior:
    """The Gaussian of a kind that minimises KL(q || .) to one with this mean and precision.

    Args:
        mean: (d, S).
        precision: (d S, d S) positive definite, score by score.
        kind: of the covariance; diagonal and blocks keep the precision's own blocks.
    """
    d, s = mean.shape
    if kind == "diagonal":
        return Posterior(mean, 1 / np.sqrt(np.diag(precision).reshape(s, d).T), kind)
    if kind == "blocks":
        roots = [_root(precision[k * d : (k + 1) * d, k * d : (k + 1) * d]) for k in range(s)]
        return Posterior(mean, np.stack(roots), kind)
    return Posterior(mean, _root(precision), kind)


def _root(precision: Floats) -> Floats:
    """A root L of the inverse: L L^T = precision^-1."""
    lower = np.linalg.cholesky(precision)
    found: Floats = linalg.solve_triangular(lower, np.eye(len(lower)), lower=True).T
    return found
