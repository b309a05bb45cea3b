"""Newton's method for several convex functions at once, each curvature kept while it serves.

The Hessian costs several times what a gradient does, so it is computed again only while steps are
long; what it has changed by since is taken from the gradients that were seen (secant pairs, as in
L-BFGS).  Of many classes the Hessian's blocks along the diagonal are where that starts from.
"""

from __future__ import annotations

import warnings
from collections import deque
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from pandq.errors import PandqWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

Array = NDArray[np.float64]

MAX_EVALUATIONS = 200
"""Of the objective in one fit; a map of real predictions takes ten to thirty."""

SMALL_STEP = 1e-3
"""A step this small polishes; a larger one that does not change the loss means nothing."""

FLAT = 1e-12
"""Less of the largest curvature than this is rounding: the rows do not identify that direction."""

SERVES = 0.2
"""A step that leaves more of the gradient asks for a new Hessian."""

PAIRS = 20
"""As many secant pairs are kept."""


class Curvature(Protocol):
    """A positive matrix, as what one can do with it."""

    @property
    def identified(self) -> bool:
        """Whether there is curvature beyond rounding in every direction."""

    @property
    def dense(self) -> bool:
        """Whether it is all of the Hessian."""

    def solve(self, gradient: Array) -> Array:
        """The d with H d = gradient; 0 along directions without curvature beyond rounding."""


class Sums(NamedTuple):
    """A function's value, its gradient, and its curvature if that was asked for."""

    loss: float
    gradient: Array
    curvature: Curvature | None


class Fit(NamedTuple):
    """Where Newton's method stopped: parameters, objective, largest |gradient|, what it took."""

    theta: Array
    loss: float
    gradient_norm: float
    steps: int
    evaluations: int


Ask = tuple[Array, bool]
"""Parameters, and whether the curvature is wanted there."""


class DenseCurvature:
    """A symmetric matrix, factorised when it is first needed."""

    dense = True

    def __init__(self, hessian: Array) -> None:
        self.hessian = hessian

    @property
    def identified(self) -> bool:
        """Whether there is curvature beyond rounding in every direction."""
        return self._factor is not None

    def solve(self, gradient: Array) -> Array:
        """The d with H d = gradient; 0 along directions without curvature beyond rounding."""
        if self._factor is not None:
            return np.asarray(cho_solve((self._factor, True), gradient), dtype=np.float64)
        curvature, turned = self._turned
        found: Array = turned @ (turned.T @ gradient / curvature)
        return found

    @cached_property
    def _factor(self) -> Array | None:
        try:
            factor, _ = cho_factor(self.hessian, lower=True)
        except LinAlgError:
            return None
        pivots = np.square(np.diag(factor))
        return factor if pivots.min() > FLAT * pivots.max() else None

    @cached_property
    def _turned(self) -> tuple[Array, Array]:
        curvature, turned = np.linalg.eigh(self.hessian)
        curved = curvature > FLAT * curvature[-1]
        return curvature[curved], turned[:, curved]


class BlockCurvature:
    """Blocks along the diagonal, of one parameter or of two: i and i + K; and what joins them.

    A bias that is added to every class changes no softmax. So the blocks of the biases, h before
    the ridge, are completed to diag(h) - h h^T / sum h, which is flat in that direction too.
    """

    dense, identified = False, True

    def __init__(self, diagonal: Array, ridge: Array, beside: Array | None, k: int) -> None:
        self.diagonal, self.beside = diagonal + ridge, beside
        self.joined = np.concatenate([np.zeros(len(diagonal) - k), diagonal[-k:]])
        self.apart = self._blocks(self.joined)
        self.left = float(self.joined.sum() - self.joined @ self.apart)

    def solve(self, gradient: Array) -> Array:
        """The d with H d = gradient. Source: Sherman & Morrison 1950."""
        found = self._blocks(gradient)
        if self.left > FLAT * float(self.joined.sum()):
            found += self.apart * (float(self.joined @ found) / self.left)
        return found

    def _blocks(self, gradient: Array) -> Array:
        if self.beside is None:
            return gradient / self.diagonal
        k, b = len(self.beside), self.beside
        a, c, g, h = self.diagonal[:k], self.diagonal[k:], gradient[:k], gradient[k:]
        determinant = a * c - b * b
        return np.concatenate([c * g - b * h, a * h - b * g]) / np.tile(determinant, 2)


class Secants:
    """A curvature, and how it has changed between the points that were seen since."""

    def __init__(self, curvature: Curvature) -> None:
        self.curvature = curvature
        self._pairs: deque[tuple[Array, Array, float]] = deque(maxlen=PAIRS)

    def see(self, step: Array, change: Array) -> None:
        """Take account of how a step has changed the gradient."""
        bend = float(step @ change)
        if bend > np.finfo(np.float64).eps * float(np.linalg.norm(step) * np.linalg.norm(change)):
            self._pairs.append((step, change, bend))

    def solve(self, gradient: Array) -> Array:
        """The d with H d = gradient. Source: Nocedal & Wright 2006, algorithm 7.4."""
        left, shares = gradient.copy(), []
        for step, change, bend in reversed(self._pairs):
            shares.append(float(step @ left) / bend)
            left -= shares[-1] * change
        found = self.curvature.solve(left)
        for (step, change, bend), share in zip(self._pairs, reversed(shares), strict=True):
            found += (share - float(change @ found) / bend) * step
        return found


def newton(
    start: Array,
    *,
    lower: float = -np.inf,
    kept: Curvature | None = None,
    always: bool = False,
    tolerance: float = 1e-11,
    max_evaluations: int = MAX_EVALUATIONS,
) -> Generator[Ask, Sums, Fit]:
    """Minimise a convex function by Newton steps, halved until the function decreases.

    Every step but the last lowers the loss by more than its rounding, or halves the gradient; and
    one that the loss cannot tell must be small, or it goes along what the rows do not identify.

    Args:
        start: (d,) first theta; parameters that are not identified stay where it has them.
        lower: lower bound of every parameter; used for one-parameter problems only.
        kept: a curvature near that at `start`; None for the one there.
        always: ask for the curvature everywhere, as where it costs little.
        tolerance: stop once every component of the (projected) gradient is this small, or once
            neither the loss nor the gradient gets smaller in float64.
        max_evaluations: give up, with a PandqWarning, after so many evaluations.

    Yields:
        What is to be evaluated; send the Sums there.

    Returns:
        The minimiser, its loss, the largest |gradient| and the numbers of steps and evaluations.

    Source: Boyd & Vandenberghe 2004, algorithm 9.5 (damped Newton).
    """
    theta = np.maximum(start, lower)
    here, evaluations, steps = (yield theta, always or kept is None), 1, 0
    model = Secants(kept or cast("Curvature", here.curvature))
    far = kept is None
    while (norm := _free_gradient(theta, here, lower)) > tolerance:
        fresh = model.curvature is here.curvature
        direction = -model.solve(here.gradient)
        slope = float(here.gradient @ direction)
        rounding = 4 * np.finfo(np.float64).eps * max(abs(here.loss), 1.0)
        small = np.abs(direction).max() <= SMALL_STEP * max(1.0, float(np.abs(theta).max()))
        length, found = 1.0, None
        while (
            (-slope > rounding or small)
            and evaluations < max_evaluations
            and (length == 1.0 or -length * slope > rounding)
        ):
            trial = np.maximum(theta + length * direction, lower)
            there = yield trial, always or (far and model.curvature.dense)
            evaluations += 1
            if there.loss <= here.loss + 1e-4 * length * slope + rounding:
                found = there
                break
            length /= 2
        if evaluations >= max_evaluations and found is None:
            message = f"a recalibration map met its bound of {evaluations} evaluations"
            warnings.warn(f"{message}, |gradient| {norm:.1e}", PandqWarning, stacklevel=2)
            break
        left = np.inf if found is None else _free_gradient(trial, found, lower) / norm
        if found is not None and (here.loss - found.loss > rounding or left < 0.5):
            model.see(trial - theta, found.gradient - here.gradient)
            theta, here, steps = trial, found, steps + 1
            far = left > SERVES
            if here.curvature is None and far and model.curvature.dense:
                here, evaluations = (yield theta, True), evaluations + 1
        elif fresh:
            break
        else:
            # the kept curvature may be to blame
            here, evaluations = (yield theta, True), evaluations + 1
        if here.curvature is not None:
            model = Secants(here.curvature)
    return Fit(theta, here.loss, norm, steps, evaluations)


def together(
    solvers: Sequence[Generator[Ask, Sums, Fit]],
    evaluate: Callable[[list[tuple[int, Ask]]], list[Sums]],
) -> list[Fit]:
    """Run solvers side by side: whatever they ask for next is evaluated at once.

    Args:
        solvers: from `newton`.
        evaluate: the places of solvers and what each asks for, to the Sums there.

    Returns:
        What each found.

    Example:
        >>> square = lambda t: Sums(float(t @ t), 2 * t, DenseCurvature(2 * np.eye(1)))
        >>> solver = newton(np.array([3.0]))
        >>> fit = together([solver], lambda asks: [square(theta) for _, (theta, _) in asks])[0]
        >>> abs(float(fit.theta[0])) < 1e-10, fit.steps
        (True, 1)
    """
    found: dict[int, Fit] = {}
    asks = [(place, next(solver)) for place, solver in enumerate(solvers)]
    while asks:
        answers = evaluate(asks)
        waiting, asks = asks, []
        for (place, _), answer in zip(waiting, answers, strict=True):
            try:
                asks.append((place, solvers[place].send(answer)))
            except StopIteration as end:
                found[place] = end.value
    return [found[place] for place in range(len(solvers))]


def _free_gradient(theta: Array, here: Sums, lower: float) -> float:
    """Largest |gradient| among parameters that are not held back by their lower bound."""
    free = (theta > lower) | (here.gradient < 0)
    return float(np.abs(here.gradient * free).max())
