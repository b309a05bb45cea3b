"""The objective of softmax regression over rows in passes, in memory or from files."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np

from pandq.engines.local import summarise
from pandq.errors import InputError
from pandq.fit.regressions.gram import Gram, GramSums
from pandq.fit.regressions.newton import Minimum, Point, minimise
from pandq.fit.regressions.softmaxsums import LossSums, ProductSums, hessian_times
from pandq.fit.targets import Targets, observations
from pandq.sums.summary import Summary, merged_by, summary

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from pandq.engines.contract import S
    from pandq.engines.run import Run
    from pandq.fit.regressions.softmaxsums import Problem, Rows

    Floats = NDArray[np.float64]

# A Newton step that moves a row's scores by more than this, where the gradient is as small as was
# asked for, is one of a walk that never ends.
RUNS_AWAY = 0.1


class Passes(Protocol):
    """Rows to go through again and again."""

    @property
    def near(self) -> bool:
        """Whether they are in this process's memory, and what belongs to them may stay there."""

    def summarise(self, what: str, of: Callable[[Rows], S], empty: S) -> S:
        """One pass: `of` of every chunk, merged in order."""


@dataclass(frozen=True, slots=True, eq=False)
class InMemory:
    """Chunks that are there already, and if it helps the same rows in one piece."""

    chunks: list[Rows]
    whole: list[Rows] | None = None

    @property
    def near(self) -> bool:
        """The rows are in memory."""
        return True

    def summarise(self, what: str, of: Callable[[Rows], S], empty: S) -> S:
        """One pass over the chunks; what looks at features alone goes over the whole."""
        survey = what == SURVEY and self.whole is not None
        return summarise(self.whole or [] if survey else self.chunks, of, empty)


@dataclass(frozen=True, slots=True, eq=False)
class Scanned:
    """Rows that a run goes through, whatever its engine."""

    rows: Any
    run: Run

    @property
    def near(self) -> bool:
        """The rows may be anywhere."""
        return False

    def summarise(self, what: str, of: Callable[[Rows], S], empty: S) -> S:
        """One pass of the run."""
        return self.run.summarise(what, self.rows, of, empty)


# The first pass, which looks at the features alone.
SURVEY = "surveying"


@summary
class EntropySums(Summary):
    """The sum of w H(P) over rows, of votes per vote: what cross entropy and KL differ by."""

    weight: float
    entropy: float

    @classmethod
    def empty(cls) -> Self:
        """No rows."""
        return cls(0.0, 0.0)

    @classmethod
    def of(cls, rows: Rows) -> Self:
        """The sums of some rows."""
        h = Targets(rows.p, np.zeros(0)).entropies()
        w = observations(rows.p) if rows.w is None else rows.w * observations(rows.p)
        return cls(float(w.sum()), float(w @ h))


@summary
class Largest(Summary):
    """The largest of numbers that are not negative."""

    value: float = merged_by(max)


@summary
class Survey(Summary):
    """What one pass finds out before the first step."""

    gram: GramSums
    entropy: EntropySums


@dataclass(frozen=True, slots=True, eq=False)
class SoftmaxFit:
    """The mean cross entropy of rows, plus a penalty on the coefficients, as an objective.

    `floor` is the weighted mean of H(P): what the objective of KL leaves out.
    """

    rows: Passes
    problem: Problem
    l2: float
    gram: Gram
    floor: float

    @classmethod
    def of(cls, rows: Passes, problem: Problem, l2: float) -> Self:
        """After one pass over the rows.

        Raises:
            InputError: there are no rows, or all weights are zero.
        """
        empty = Survey(GramSums.empty(problem), EntropySums.empty())
        found = rows.summarise(SURVEY, partial(_surveyed, problem=problem), empty)
        if not found.entropy.weight > 0:
            raise InputError(what="there are no rows to learn from, or all weights are zero")
        floor = found.entropy.entropy / found.entropy.weight
        return cls(rows, problem, l2, Gram.of(found.gram, problem), floor)

    def at(self, theta: Floats) -> Point:
        """The objective at a point."""
        problem = self.problem
        laws: dict[int, Floats] = {}
        rough_laws: dict[int, NDArray[np.float32]] = {}

        def kept(rows: Rows) -> LossSums:
            sums, q = LossSums.of(rows, problem, theta)
            laws[rows.start] = q
            if rows.rough is not None:
                rough_laws[rows.start] = q.astype(np.float32)
            return sums

        of = kept if self.rows.near else partial(_lost, problem=problem, theta=theta)
        sums = self.rows.summarise("the gradient", of, LossSums.empty(problem))
        penalty = self.penalty(theta)
        gradient = (sums.gradient + penalty) / sums.weight

        def product(rows: Rows, direction: Floats) -> ProductSums:
            q = laws[rows.start]
            return ProductSums(hessian_times(rows.x, rows.w, problem, q, direction))

        plain = self.problem.without_intercept

        def rough_product(rows: Rows, direction: Any) -> ProductSums:
            q = rough_laws[rows.start]
            found = hessian_times(rows.rough, rows.w, plain, q, direction)
            return ProductSums(found.astype(np.float64))

        def passed(of: Callable[[Rows], ProductSums]) -> Floats:
            return self.rows.summarise("the curvature", of, ProductSums.empty(problem)).product

        anywhere = partial(_curved, problem=problem, theta=theta)

        def times(direction: Floats) -> Floats:
            of = product if self.rows.near else anywhere
            return (
                passed(partial(of, direction=direction)) + self.penalty(direction)
            ) / sums.weight

        def roughly(direction: Floats) -> Floats:
            found = passed(partial(rough_product, direction=direction.astype(np.float32)))
            return (found + self.penalty(direction)) / sums.weight

        solve = self.gram.solver(sums.curvature / sums.weight, self.l2 / sums.weight)
        loss = sums.loss / sums.weight
        value = loss + 0.5 * float(np.vdot(theta, penalty)) / sums.weight
        return Point(value, loss, gradient, times, solve, roughly if rough_laws else None)

    def penalty(self, theta: Floats) -> Floats:
        """L2 on the coefficients, none on the intercept."""
        penalised = self.l2 * theta
        if self.problem.intercept:
            penalised[-1] = 0.0
        return penalised

    def runs_away(self, found: Minimum) -> bool:
        """Is the optimum at infinity?

        Near a finite one Newton's step is as small as the gradient; on the way to one at infinity
        gradient and curvature vanish together, and each step moves some scores by about 1 (Albert
        and Anderson 1984 say when that is).
        """
        of = partial(_moved, problem=self.problem, step=found.next_step())
        return self.rows.summarise("the next step", of, Largest(0.0)).value > RUNS_AWAY


def _surveyed(rows: Rows, *, problem: Problem) -> Survey:
    return Survey(GramSums.of(rows, problem), EntropySums.of(rows))


def _lost(rows: Rows, *, problem: Problem, theta: Floats) -> LossSums:
    """The loss and its gradient; the distributions are not kept."""
    return LossSums.of(rows, problem, theta)[0]


def _curved(rows: Rows, *, problem: Problem, theta: Floats, direction: Floats) -> ProductSums:
    """The Hessian times a direction, with the distributions formed again."""
    q = problem.law(problem.times(rows.x, theta))[1]
    return ProductSums(hessian_times(rows.x, rows.w, problem, q, direction))


def _moved(rows: Rows, *, problem: Problem, step: Floats) -> Largest:
    """How far a step moves the scores of a row, at most."""
    z = problem.times(rows.x, step)
    apart = z if problem.scores == 1 else z - z.mean(axis=1, keepdims=True)
    return Largest(float(np.abs(apart).max(initial=0.0)))


def minimum_of(
    fit: SoftmaxFit, *, tol: float, max_iter: int, watch: Callable[[dict[str, Any]], None]
) -> Minimum:
    """The minimum of the objective; `watch` is told what was lost at each step."""

    def told(step: int, point: Point, norm: float) -> None:
        row = {
            "step": step,
            "train_cross_entropy": point.loss,
            "train_floor": fit.floor,
            "train_kl": point.loss - fit.floor,
            "gradient": norm,
        }
        watch(row)

    return minimise(
        fit,
        np.zeros(fit.problem.shape),
        scale=fit.gram.scale,
        tolerance=tol,
        max_steps=max_iter,
        watch=told,
    )
