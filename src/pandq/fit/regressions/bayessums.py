"""The data's part of the ELBO as sums over rows: its value, its gradient and its mean curvature.

For a row with features x, distribution p and weight w the term is w E[sum p z - log sum exp z],
over the row's scores z, which are Gaussian with S dimensions whatever the number of coefficients.
The expectation is taken by a fixed rule, Gauss and Hermite's for one score and a quasi-random one
for more: the bound is deterministic, and an optimiser can converge on it (Giordano, Ingram and
Broderick 2024 fix draws of all coefficients instead, which leaves no room for a full covariance).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy import special, stats

from pandq.core.hashing import hash_ids
from pandq.fit.regressions.softmaxsums import Rows
from pandq.fit.targets import observations
from pandq.sums.summary import Summary, summary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pandq.fit.regressions.posterior import Posterior
    from pandq.fit.regressions.softmaxsums import Problem

    Floats = NDArray[np.float64]

HERMITE = 24
TURNS = 64
# Scores of rows at nodes that are formed at once.
NODE_NUMBERS = 1 << 19
# Scores of a row no further apart than this keep their digits under one shift.
NO_UNDERFLOW = 600.0


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """Nodes (R, S), weights (R,) and turns (T, S, S) for means of functions of standard normals."""

    nodes: Floats
    weights: Floats
    turns: Floats

    @classmethod
    def of(cls, scores: int, size: int, seed: int) -> Self:
        """A rule that is exact for polynomials of degree two at least.

        Args:
            scores: S.
            size: R, a power of two, for more than one score.
            seed: of its scrambling.

        Source: Owen 1998 (scrambled Sobol points); Abramowitz and Stegun 1964, 25.4.46.
        """
        if scores == 1:
            nodes, weights = np.polynomial.hermite_e.hermegauss(HERMITE)
            return cls(nodes[:, None], weights / weights.sum(), np.ones((1, 1, 1)))
        sobol = stats.qmc.Sobol(scores, scramble=True, rng=np.random.default_rng(seed))
        half = special.ndtri(np.clip(sobol.random(size // 2), 1e-12, 1 - 1e-12))
        nodes = np.concatenate([half, -half])
        # mean 0 by the mirror; covariance the identity by a linear map
        root = np.linalg.cholesky(nodes.T @ nodes / size)
        nodes = np.linalg.solve(root, nodes.T).T
        turns = stats.ortho_group.rvs(scores, size=TURNS, random_state=seed)
        return cls(nodes, np.full(size, 1.0 / size), turns)

    def mean(self, x: Floats) -> Floats:
        """The mean over the second axis, that of the nodes: (n, R, ...) to (n, ...)."""
        if x.ndim == 2:
            return np.asarray(x @ self.weights)
        return np.asarray((self.weights[None, None, :] @ x)[:, 0])

    def turned(self, rows: NDArray[np.intp]) -> Floats:
        """(n, R, S) nodes of each row, turned by its number.

        What one rule gets wrong in every row, turned ones get wrong in different directions: it
        averages out, and leaves an optimiser little that it could exploit.
        """
        return np.asarray(self.nodes @ self.turns[hash_ids(rows) % np.uint64(len(self.turns))])

    def scores(self, middle: Floats, roots: Floats, nodes: Floats) -> Floats:
        """Each row's scores at its nodes, (n, R, S), from means and covariances' roots."""
        moved = nodes * roots[:, None, :] if roots.ndim == 2 else nodes @ roots.transpose(0, 2, 1)
        return np.asarray(middle[:, None, :] + moved)

    def bend(self, law: Floats) -> Floats:
        """E[diag q - q q^T], (n, S, S), from the softmax at the nodes."""
        found: Floats = -((law.transpose(0, 2, 1) * self.weights) @ law)
        diagonal = range(law.shape[2])
        found[:, diagonal, diagonal] += self.mean(law)
        return found

    def by_root(self, law: Floats, nodes: Floats) -> Floats:
        """The derivative of E[log sum exp z] in a root of the scores' covariance, (n, S, R)."""
        return np.asarray((law.transpose(0, 2, 1) * self.weights) @ nodes)


def by_covariance(by_root: Floats, roots: Floats) -> Floats:
    """Twice the derivative in a covariance, from that in its root, (n, R, R).

    Args:
        by_root: (n, R, R).
        roots: (n, R, R) lower triangles, or (n, R) where only variances are there to change.

    Source: Murray 2016, equation 10.
    """
    if roots.ndim == 2:
        found = np.zeros_like(by_root)
        places = range(roots.shape[1])
        found[:, places, places] = by_root[:, places, places] / roots
        return found
    lower = np.tril(roots.transpose(0, 2, 1) @ np.tril(by_root))
    diagonal = range(roots.shape[1])
    lower[:, diagonal, diagonal] /= 2
    inverse = np.linalg.inv(roots)
    half = inverse.transpose(0, 2, 1) @ lower @ inverse
    return np.asarray(half + half.transpose(0, 2, 1))


def spreads(q: Posterior, x: Floats) -> Floats:
    """What a rule's nodes are multiplied with, (n, S) or (n, S, R), for rows of features."""
    if not q.joint:
        return q.row_roots(x)
    basis = contrasts(q.mean.shape[1])
    return np.asarray(basis @ q.row_roots(x, basis))


def contrasts(scores: int) -> Floats:
    """(S, S - 1) orthonormal columns beside the shift of all scores, which no softmax sees."""
    ones = np.full((scores, 1), 1 / np.sqrt(scores))
    basis = np.linalg.svd(np.eye(scores) - ones @ ones.T)[0]
    return np.asarray(basis[:, : scores - 1])


@summary
class BoundSums(Summary):
    """Sums over rows under one q: E[log likelihood], its gradient in the mean, and E[-Hessian].

    `weight` counts observations: a row's votes, or 1, times its weight.
    `curvature` is (S, S, d, d), a block of each pair of scores. Its `own` is minus twice the rule's
    derivative in the covariance, which is E[-Hessian] where the rule is exact (Price 1958), and of
    the diagonal blocks alone where scores are independent.
    """

    weight: float
    log_likelihood: float
    gradient: Floats
    curvature: Floats

    @classmethod
    def empty(cls, problem: Problem) -> Self:
        """No rows."""
        d, s = problem.shape
        return cls(0.0, 0.0, np.zeros((d, s)), np.zeros((s, s, d, d)))

    @classmethod
    def of(cls, rows: Rows, problem: Problem, q: Posterior, rule: Rule, *, own: bool) -> Self:
        """The sums of some rows, a few at a time: a row has its scores at every node.

        Source: Opper and Archambeau 2009, equations 8 and 9: the derivatives of the expectation in
            the mean and in the covariance.
        """
        total = cls.empty(problem)
        for part in parts_of(rows, NODE_NUMBERS // rule.nodes.size):
            total = total.merge(cls._of_few(part, problem, q, rule, own=own))
        return total

    @classmethod
    def _of_few(cls, rows: Rows, problem: Problem, q: Posterior, rule: Rule, *, own: bool) -> Self:
        x = problem.with_ones(_dense(rows.x))
        nodes = rule.turned(np.arange(rows.start, rows.start + len(x)))
        middle = x @ q.mean
        p, total = shares(rows.p, problem), observations(rows.p)
        w = np.ones(len(x)) if rows.w is None else rows.w
        basis = contrasts(problem.scores) if q.joint else np.eye(problem.scores)
        roots = q.row_roots(x, basis)
        norm, law = softmax(rule.scores(middle, basis @ roots if q.joint else roots, nodes))
        if own:
            by_root = basis.T @ rule.by_root(law, nodes)
            bend = basis @ by_covariance(by_root, roots) @ basis.T
        else:
            bend = rule.bend(law)
        counted = (w * total)[:, None, None]
        curvature = blocks_of(x, counted * bend, joint=q.joint or not own)
        value = (p * middle).sum(axis=1) - total * rule.mean(norm)
        residual = w[:, None] * (p - total[:, None] * rule.mean(law))
        return cls(float(w @ total), float(w @ value), x.T @ residual, curvature)


def parts_of(rows: Rows, step: int) -> Iterator[Rows]:
    """The same rows, at most `step` of them at a time."""
    step = max(16, step)
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        w = None if rows.w is None else rows.w[part]
        yield Rows(rows.start + start, rows.x[part], rows.p[part], w)


def as_matrix(blocks: Floats) -> Floats:
    """(S, S, d, d) blocks as one (d S, d S) matrix, score by score."""
    s, _, d, _ = blocks.shape
    return blocks.transpose(0, 2, 1, 3).reshape(s * d, s * d)


def blocks_of(x: Floats, bend: Floats, *, joint: bool = True) -> Floats:
    """The sum of x x^T times each row's (S, S), or its diagonal alone: (S, S, d, d)."""
    s, d = bend.shape[1], x.shape[1]
    found = np.zeros((s, s, d, d))
    for a in range(s):
        for b in range(a, s if joint else a + 1):
            found[a, b] = found[b, a] = (x * bend[:, a, b, None]).T @ x
    return found


@summary
class DrawSums(Summary):
    """The log-likelihood of rows at each of (T, d, S) coefficients: (T,)."""

    log_likelihood: Floats

    @classmethod
    def empty(cls, n: int) -> Self:
        """No rows."""
        return cls(np.zeros(n))

    @classmethod
    def of(cls, rows: Rows, problem: Problem, coefficients: Floats) -> Self:
        """The sums of some rows."""
        total = np.zeros(len(coefficients))
        for part in parts_of(rows, NODE_NUMBERS // coefficients[:, 0].size):
            x, p = problem.with_ones(_dense(part.x)), shares(part.p, problem)
            z = scores_of(x, coefficients)
            norm, _ = softmax(z)
            losses = (z @ p[:, :, None])[..., 0] - observations(part.p)[:, None] * norm
            total += losses.sum(axis=0) if part.w is None else part.w @ losses
        return cls(total)


def scores_of(x: Floats, coefficients: Floats) -> Floats:
    """The scores of rows under each of (T, d, S) coefficients: (n, T, S)."""
    t, d, s = coefficients.shape
    flat = coefficients.transpose(1, 0, 2).reshape(d, t * s)
    found: Floats = (x @ flat).reshape(len(x), t, s)
    return found


def softmax(z: Floats) -> tuple[Floats, Floats]:
    """The log normaliser and the softmax of scores, (n, R, S); one score is against a fixed 0."""
    if z.shape[-1] == 1:
        return np.logaddexp(0.0, z[..., 0]), special.expit(z)
    # one shift for all nodes of a row: reductions over few classes are what would cost most
    flat = z.reshape(len(z), -1)
    top = flat.max(axis=1, initial=-np.inf)[:, None, None]
    if (top[:, 0, 0] - flat.min(axis=1, initial=np.inf) > NO_UNDERFLOW).any():
        top = z.max(axis=2, keepdims=True)
    law = np.exp(z - top)
    total = law @ np.ones((z.shape[-1], 1))
    law /= total
    return (top + np.log(total))[..., 0], law


def shares(p: NDArray[Any], problem: Problem) -> Floats:
    """What each score's class got, (n, S): one-hot labels, votes, or probabilities."""
    whole: Floats = np.eye(problem.n_classes)[p] if p.ndim == 1 else p.astype(np.float64)
    return whole[:, 1:] if problem.scores == 1 else whole


def _dense(x: Any) -> Floats:
    found: Floats = x.toarray() if hasattr(x, "toarray") else x
    return found
