"""Newton's method with conjugate gradients, preconditioned by the Gram matrix of the features.

The Hessian of softmax regression is close to a Kronecker product, the Gram matrix of the features
times the mean curvature of the rows' softmax. Both are small and are diagonalised, so that a solve
with the product plus the penalty is two matrix products; what is left for conjugate gradients is
nearly the identity, however ill-conditioned the features are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Solve = Callable[[Floats], Floats]


# Down to this forcing a direction from products in single precision is good enough.
ROUGHLY = 1e-3
# Who asks for a gradient as small as this wants the coefficients themselves.
TIGHT, POLISH = 1e-9, 1e-4


class Objective(Protocol):
    """A smooth convex function of a matrix of coefficients, as the optimiser asks for it."""

    def at(self, theta: Floats) -> Point:
        """The function at a point, with what the optimiser needs to go on from there."""


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """A function's value and gradient at a point, its Hessian as a product, and a rough inverse.

    `loss` is the part of the value that is not penalty; `roughly` is the product in single
    precision, where there is one.
    """

    value: float
    loss: float
    gradient: Floats
    times: Callable[[Floats], Floats]
    solve: Solve
    roughly: Callable[[Floats], Floats] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Minimum:
    """Where the optimiser ended, and whether the gradient is as small as was asked for."""

    theta: Floats
    point: Point
    gradient_norm: float
    steps: int
    converged: bool

    def next_step(self) -> Floats:
        """Where Newton would go from here: nowhere, unless the minimum is at infinity."""
        return conjugate_gradients(self.point, self.point.times, 0.1)


def minimise(
    objective: Objective,
    start: Floats,
    *,
    scale: Floats,
    tolerance: float,
    max_steps: int,
    watch: Callable[[int, Point, float], None] | None = None,
) -> Minimum:
    """Newton steps, each solved as far as it is worth it, halved until the function falls.

    Args:
        objective: the function.
        start: the first coefficients.
        scale: what each row of the gradient is divided by before it is compared with `tolerance`.
        tolerance: stop once the largest |gradient| is at most this.
        max_steps: give up after so many steps.
        watch: called with the number, the point and the gradient's size of each step.

    Returns:
        The minimum, or where it gave up.

    Source: Nocedal and Wright 2006, algorithm 7.1 (line search Newton-CG), with a forcing sequence
        of min(1/10, sqrt(|g| / |g_0|)).
    """

    def size(gradient: Floats) -> float:
        return float(np.abs(gradient / scale[:, None]).max(initial=0.0))

    theta, here = start, objective.at(start)
    first = norm = size(here.gradient)
    rough = True
    for step in range(max_steps):
        if watch is not None:
            watch(step, here, norm)
        if norm <= tolerance:
            found = Minimum(theta, here, norm, step, converged=True)
            return _polished(objective, found, size) if tolerance <= TIGHT else found
        forcing = min(0.1, float(np.sqrt(norm / max(first, 1e-300))))
        # single precision tells the way as long as there is far to go; the last steps need double
        rough = rough and forcing > ROUGHLY
        times = here.roughly if rough and here.roughly is not None else here.times
        direction = conjugate_gradients(here, times, forcing)
        slope = float(np.vdot(here.gradient, direction))
        rounding = 8 * np.finfo(np.float64).eps * max(abs(here.value), 1.0)
        length = 1.0
        while True:
            trial = theta + length * direction
            there = objective.at(trial)
            if there.value <= here.value + 1e-4 * length * slope + rounding:
                break
            length /= 2
            if length < 1e-10:
                return Minimum(theta, here, norm, step, converged=False)
        reached = size(there.gradient)
        if -slope <= rounding and reached >= norm:
            # the value cannot tell the points apart any more, and the gradient is exhausted
            return Minimum(theta, here, norm, step, converged=False)
        rough = rough and reached < norm / 2
        theta, here, norm = trial, there, reached
    return Minimum(theta, here, norm, max_steps, converged=norm <= tolerance)


def _polished(objective: Objective, found: Minimum, size: Callable[[Floats], float]) -> Minimum:
    """One more step, kept if the gradient shrinks.

    Where the function bends little a small gradient still leaves coefficients room: two ways to one
    minimum are to end at the same coefficients.
    """
    direction = conjugate_gradients(found.point, found.point.times, POLISH)
    theta = found.theta + direction
    there = objective.at(theta)
    norm = size(there.gradient)
    if norm >= found.gradient_norm:
        return found
    return Minimum(theta, there, norm, found.steps, converged=True)


def conjugate_gradients(
    point: Point, times: Callable[[Floats], Floats], forcing: float, *, most: int = 250
) -> Floats:
    """A direction d with Hessian d close to minus the gradient.

    Args:
        point: with a rough inverse of the Hessian.
        times: the Hessian as a product.
        forcing: stop once the residual's size in the inverse's metric has shrunk by this factor.
        most: at most so many products with the Hessian.

    Returns:
        A direction of descent.

    Source: Nocedal and Wright 2006, algorithm 5.3 (preconditioned conjugate gradients).
    """
    d = np.zeros_like(point.gradient)
    residual = -point.gradient
    y = point.solve(residual)
    direction, size = y, float(np.vdot(residual, y))
    # where nothing bends but by rounding a step goes anywhere: what was nearest is kept
    nearest, least = y, np.inf
    goal = forcing**2 * size
    for _ in range(most):
        product = times(direction)
        bend = float(np.vdot(direction, product))
        if bend <= 0.0:
            break
        step = size / bend
        d = d + step * direction
        residual = residual - step * product
        y = point.solve(residual)
        was, size = size, float(np.vdot(residual, y))
        if size < least:
            nearest, least = d, size
        if size <= goal:
            break
        direction = y + (size / was) * direction
    return nearest
