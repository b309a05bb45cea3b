"""The largest evidence bound: a few natural steps to where it is, then L-BFGS on what is left.

The natural step sets the precision to E[-Hessian] plus the prior's and moves the mean by Newton's
step (Opper and Archambeau 2009). Where classes can nearly be told apart it swings around its fixed
point, so that it only prepares: it gives the scales in which the bound is nearly round, and in
these coordinates an off-the-shelf optimiser, with the bound's own gradient, converges and says so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import optimize

from pandq.errors import InputError
from pandq.fit.regressions.bayessums import BoundSums, as_matrix
from pandq.fit.regressions.posterior import Covariance, Posterior, of_precision
from pandq.fit.regressions.softmaxfit import EntropySums

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from pandq.fit.regressions.bayessums import Rule
    from pandq.fit.regressions.softmaxfit import Passes
    from pandq.fit.regressions.softmaxsums import Problem

    Floats = NDArray[np.float64]
    Tell = Callable[[dict[str, Any]], None]

# Natural steps, at most, and the share of the bound below which one gains too little to go on.
NATURAL_STEPS = 25
ENOUGH = 1e-3
# Two rules whose bounds differ by less than this, in nats, are as good as each other.
RULE_ERROR = 0.1
# Steps of L-BFGS before it starts anew from where it is.
ROUND = 60
# A chosen prior scale lies between these: features that say nothing want it at 0.
SCALES = (1e-3, 1e3)


@dataclass(frozen=True, slots=True)
class Prior:
    """Independent Gaussians of mean 0; `scale` is None where it is to be chosen."""

    shape: tuple[int, int]
    scale: float | None
    intercept_scale: float | None

    def variance(self, scale: float) -> Floats:
        """(d, S), the intercept's in the last row."""
        found = np.full(self.shape, scale**2)
        if self.intercept_scale is not None:
            found[-1] = self.intercept_scale**2
        return found

    def by_log_scale(self, q: Posterior, scale: float) -> float:
        """The derivative of -KL(q || prior) in the logarithm of the scale."""
        d = self.shape[0] - (self.intercept_scale is not None)
        mean, variance = q.mean[:d], q.variance[:d]
        return float((np.square(mean) + variance).sum()) / scale**2 - mean.size

    def best_scale(self, q: Posterior, scale: float) -> float:
        """The scale of the largest bound at this q; as given, if it was."""
        if self.scale is not None:
            return self.scale
        d = self.shape[0] - (self.intercept_scale is not None)
        found = scale * float(np.sqrt(1 + self.by_log_scale(q, scale) / (d * self.shape[1])))
        return float(np.clip(found, *SCALES))


@dataclass(frozen=True, slots=True, eq=False)
class Maximum:
    """Where the optimiser ended; the gradient is in posterior standard deviations."""

    q: Posterior
    scale: float
    bound: float
    steps: int
    gradient_norm: float
    converged: bool


@dataclass(frozen=True, slots=True, eq=False)
class Bound:
    """The bound of rows under a rule, as a function of q and of the prior's scale."""

    rows: Passes
    problem: Problem
    rule: Rule
    prior: Prior

    def sums(self, q: Posterior, *, own: bool) -> BoundSums:
        """One pass over the rows."""
        of = partial(BoundSums.of, problem=self.problem, q=q, rule=self.rule, own=own)
        found = self.rows.summarise("the bound", of, BoundSums.empty(self.problem))
        if not found.weight > 0:
            raise InputError(what="there are no rows to learn from, or all weights are zero")
        return found

    def value(self, q: Posterior, sums: BoundSums, scale: float) -> float:
        """E[log likelihood] - KL(q || prior)."""
        return sums.log_likelihood - q.kl(self.prior.variance(scale))


def maximised(
    rows: Passes,
    problem: Problem,
    rules: Sequence[Rule],
    prior: Prior,
    kind: Covariance,
    *,
    tol: float,
    max_iter: int,
    tell: Tell,
) -> Maximum:
    """The Gaussian of the largest bound.

    Args:
        rows: to go through once a step.
        problem: the shape of the fit.
        rules: for expectations over a row's scores, from few nodes to many: the next one is taken
            up only where it sees another bound than the one before.
        prior: of the coefficients.
        kind: of the covariance.
        tol: stop once the gradient is at most this, in posterior standard deviations.
        max_iter: steps at most.
        tell: called with a row of the curve after each step.

    Raises:
        InputError: there are no rows.
    """
    bounds = [Bound(rows, problem, rule, prior) for rule in rules]
    entropy = rows.summarise("the floor", EntropySums.of, EntropySums.empty())
    floor = entropy.entropy / max(entropy.weight, 1e-300)
    steps = 0

    def told(value: float, sums: BoundSums) -> None:
        nonlocal steps
        steps += 1
        loss = -sums.log_likelihood / sums.weight
        tell(
            {
                "step": steps,
                "elbo": value,
                "train_cross_entropy": loss,
                "train_floor": floor,
                "train_kl": loss - floor,
            }
        )

    q, scale = _prepared(bounds[0], kind, min(NATURAL_STEPS, max_iter), told)
    found = _polished(bounds[0], q, scale, tol, max_iter, told)
    for finer in bounds[1:]:
        value = finer.value(found.q, finer.sums(found.q, own=False), found.scale)
        if abs(value - found.bound) <= RULE_ERROR:
            return replace(found, bound=value, steps=steps)
        found = _polished(finer, found.q, found.scale, tol, max_iter, told)
    return replace(found, steps=steps)


def _prepared(
    bound: Bound, kind: Covariance, most: int, told: Callable[[float, BoundSums], None]
) -> tuple[Posterior, float]:
    """Natural steps, halved until the bound rises, as long as they gain much."""
    scale = 1.0 if bound.prior.scale is None else bound.prior.scale
    d, s = bound.problem.shape
    # what rows say of a mean that is known is the first curvature that there is to go by
    precision = np.diag(1e6 / bound.prior.variance(scale).T.ravel())
    q = of_precision(np.zeros((d, s)), precision, kind)
    sums = bound.sums(q, own=False)
    value = -np.inf
    for _ in range(most):
        variance = bound.prior.variance(scale)
        target = as_matrix(sums.curvature) + np.diag((1 / variance).T.ravel())
        gradient = (sums.gradient - q.mean / variance).T.ravel()
        step = np.linalg.solve(target, gradient).reshape(s, d).T
        for share in (1.0, 0.5, 0.25):
            mixed = share * target + (1 - share) * precision
            there = of_precision(q.mean + share * step, mixed, kind)
            found = bound.sums(there, own=False)
            reached = bound.value(there, found, scale)
            if reached > value:
                break
        else:
            break
        won, value = reached - value, reached
        q, sums, precision = there, found, mixed
        scale = bound.prior.best_scale(q, scale)
        told(value, sums)
        if won < ENOUGH * abs(value):
            break
        value = bound.value(q, sums, scale)
    return q, scale


def _polished(
    bound: Bound,
    start: Posterior,
    scale: float,
    tol: float,
    max_iter: int,
    told: Callable[[float, BoundSums], None],
) -> Maximum:
    """L-BFGS in coordinates in which a posterior on the way is a standard normal.

    It starts anew from where it is after some steps: the farther it went, the less round is the
    bound in the coordinates of where it began.
    """
    taken = 0
    while True:
        found = _climbed(bound, start, scale, tol, min(ROUND, max_iter - taken), told)
        taken += max(1, found.steps)
        if found.converged or taken >= max_iter:
            return found
        start, scale = found.q, found.scale


def _climbed(
    bound: Bound,
    start: Posterior,
    scale: float,
    tol: float,
    max_iter: int,
    told: Callable[[float, BoundSums], None],
) -> Maximum:
    """Some steps of L-BFGS."""
    space = Space(start)
    auto = bound.prior.scale is None
    seen: dict[str, Any] = {}

    def of(theta: Floats) -> tuple[float, Floats]:
        q = space.posterior(theta[: space.size])
        s = float(scale * np.exp(theta[-1])) if auto else scale
        variance = bound.prior.variance(s)
        sums = bound.sums(q, own=True)
        value = bound.value(q, sums, s)
        by_mean = sums.gradient - q.mean / variance
        by_covariance = -as_matrix(sums.curvature) - np.diag((1 / variance).T.ravel())
        gradient = space.gradient(theta[: space.size], by_mean, by_covariance)
        if auto:
            gradient = np.append(gradient, bound.prior.by_log_scale(q, s))
        seen.update(q=q, scale=s, value=value, sums=sums)
        return -value, -gradient

    def watch(_: Floats) -> None:
        told(seen["value"], seen["sums"])

    ends: list[Any] = [(None, None)] * space.size
    if auto:
        ends.append((float(np.log(SCALES[0] / scale)), float(np.log(SCALES[1] / scale))))
    first = np.zeros(len(ends))
    options: Any = {"maxiter": max_iter, "maxfun": 2 * max_iter, "gtol": tol, "ftol": 0.0}
    minimize: Any = optimize.minimize
    found = minimize(
        of, first, jac=True, method="L-BFGS-B", bounds=ends, callback=watch, options=options
    )
    value, gradient = of(found.x)
    if auto and seen["scale"] <= SCALES[0] * 1.001 and gradient[-1] > 0:
        gradient[-1] = 0.0  # held by its end, beyond which the bound goes on rising
    norm = float(np.abs(gradient).max(initial=0.0))
    return Maximum(seen["q"], seen["scale"], -value, int(found.nit), norm, converged=norm <= tol)


class Space:
    """Posteriors around a first one, by numbers that are 0 for it and of its own scale.

    The mean is m0 + L0 a, the root L0 T with T lower triangular (or diagonal), of which the
    diagonal is exp(b): any posterior of the kind, and nearly round for the bound.
    """

    def __init__(self, first: Posterior) -> None:
        self.first = first
        d, s = first.mean.shape
        shapes = {"full": (1, d * s, d * s), "blocks": (s, d, d), "diagonal": (d * s, 1, 1)}
        # a diagonal's numbers stand feature by feature: score by score, as everywhere else
        root = first.root.T if first.kind == "diagonal" else first.root
        self.roots = np.ascontiguousarray(root).reshape(shapes[first.kind])
        self.n, self.k = self.roots.shape[:2]
        self.lower = np.tril_indices(self.k)
        self.on_diagonal = self.lower[0] == self.lower[1]
        self.means = d * s
        self.size = self.means + self.n * len(self.lower[0])

    def posterior(self, theta: Floats) -> Posterior:
        """The posterior that some numbers stand for."""
        d, s = self.first.mean.shape
        a = theta[: self.means].reshape(self.n, self.k, 1)
        moved = (self.roots @ a).reshape(s, d).T
        roots = self.roots @ self._triangles(theta)
        if self.first.kind == "diagonal":
            roots = roots.reshape(s, d).T
        root = roots.reshape(self.first.root.shape)
        return Posterior(self.first.mean + moved, root, self.first.kind)

    def gradient(self, theta: Floats, by_mean: Floats, twice_by_covariance: Floats) -> Floats:
        """The bound's gradient in the numbers, the entropy's among them.

        Args:
            theta: the numbers.
            by_mean: (d, S) derivative in the mean.
            twice_by_covariance: (d S, d S) twice that in the covariance, without the entropy.
        """
        flat = by_mean.T.reshape(self.n, self.k, 1)
        by_a = self.roots.transpose(0, 2, 1) @ flat
        step = np.arange(self.n)
        blocks = twice_by_covariance.reshape(self.n, self.k, self.n, self.k)[step, :, step, :]
        triangles = self._triangles(theta)
        by_triangle = self.roots.transpose(0, 2, 1) @ (blocks @ (self.roots @ triangles))
        by_b = by_triangle[:, self.lower[0], self.lower[1]]
        held = triangles[:, self.lower[0], self.lower[1]]
        # on the diagonal b is the logarithm, and log det, the entropy, is their sum
        by_b[:, self.on_diagonal] = by_b[:, self.on_diagonal] * held[:, self.on_diagonal] + 1.0
        return np.concatenate([by_a.ravel(), by_b.ravel()])

    def _triangles(self, theta: Floats) -> Floats:
        b = theta[self.means :].reshape(self.n, -1)
        found = np.zeros((self.n, self.k, self.k))
        found[:, self.lower[0], self.lower[1]] = np.where(self.on_diagonal, np.exp(b), b)
        return found
