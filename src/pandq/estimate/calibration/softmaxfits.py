"""Softmax maps fitted to several sets of rows at once, each with a ridge around its temperature."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pandq.core.kernels.maps import BIASES, FIRST
from pandq.core.threads import over_cores
from pandq.estimate.calibration.families import (
    FAMILIES,
    RowSums,
    curvature_of,
    gradient_of,
    steps,
)
from pandq.estimate.calibration.foldrows import FoldRows, Pass, Training
from pandq.estimate.calibration.newton import Sums, newton, together
from pandq.recalibrator import pure_map

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pandq.estimate.calibration.families import Family
    from pandq.estimate.calibration.newton import Ask, Curvature
    from pandq.recalibrator import Kind

    Array = NDArray[np.float64]

SMALLEST_SCALE = 1e-3
"""Lower bound of the temperature map's a: where a model's order is worthless, a stays here."""


def softmax_parameters(
    kinds: Sequence[Kind], rows: FoldRows, trainings: Sequence[Training], strength: float
) -> dict[Kind, list[Array]]:
    """Newton fits of softmax maps, pulled to each training's fitted temperature a0.

    Args:
        kinds: of softmax maps.
        rows: all rows.
        trainings: which of them each map is fitted to; the first holds the rows of all others.
        strength: factor of all ridges.

    Returns:
        Of each kind the parameters, in the order of the trainings.
    """
    if not kinds:
        return {}
    free = FAMILIES["temperature"]
    objectives = [Objective.of(rows, each, free, 1.0, np.zeros(1)) for each in trainings]
    scales = [float(theta[0]) for theta in _minimised(objectives, 1, SMALLEST_SCALE)]
    found: dict[Kind, list[Array]] = {"temperature": [np.array([a]) for a in scales]}
    others = [kind for kind in kinds if kind != "temperature"]
    if others:
        ridges = {
            tilt: (tilt_ridges if tilt else bias_ridges)(rows, trainings, scales)
            for tilt in {FAMILIES[kind].tilt for kind in others}
        }

        def objective(place: int, kind: Kind) -> Objective:
            family, a = FAMILIES[kind], scales[place]
            on_bias, on_tilt = strength * ridges[family.tilt][place]
            ridge = family.ridge(2 * rows.k * strength / a**2, on_bias, on_tilt, rows.k)
            return Objective.of(rows, trainings[place], family, a, ridge)

        # the first training's fits of all kinds side by side, then all others
        objectives = [objective(place, kind) for place in range(len(trainings)) for kind in others]
        thetas = _minimised(objectives, len(others))
        found |= {kind: thetas[i :: len(others)] for i, kind in enumerate(others)}
    return {kind: found[kind] for kind in kinds}


class Objective(NamedTuple):
    """What a softmax map minimises.

    (sum over rows + sum_d ridge_d (theta_d - centre_d)^2 / 2) / number of rows.

    Args:
        rows: all rows.
        training: which of them are summed, and the factor of their weights.
        family: the map's parameters.
        centre: (d,) float64 point the ridge pulls to.
        ridge: (d,) float64 non-negative strengths on the scale of the sum.
        moments: (d,) what the sum of losses falls by with each parameter, but for log Z.
    """

    rows: FoldRows
    training: Training
    family: Family
    centre: Array
    ridge: Array
    moments: Array

    @staticmethod
    def of(rows: FoldRows, training: Training, family: Family, a: float, ridge: Array) -> Objective:
        """One whose ridge pulls to the temperature map of scale a."""
        centre = family.theta(a, rows.k)
        return Objective(rows, training, family, centre, ridge, rows.moments(family, training))

    def wanted(self, ask: Ask) -> Pass:
        """The sums over rows that are asked for."""
        theta, curved = ask
        order = self.family.order(self.rows.k) if curved else FIRST
        return Pass(self.training, self.family, theta, order)

    def at(self, theta: Array, raw: Array, order: int) -> Sums:
        """The objective, from the sums over rows of each fold."""
        sums, factor, off = self.added(raw, order), self.training.factor, theta - self.centre
        loss = factor * (sums.log_z - float(theta @ self.moments))
        gradient = factor * (gradient_of(self.family, sums) - self.moments) + self.ridge * off
        curvature = None if order == FIRST else self.curvature(sums)
        n = self.training.n
        return Sums((loss + float(self.ridge @ (off * off)) / 2) / n, gradient / n, curvature)

    def added(self, raw: Array, order: int) -> RowSums:
        """The sums over the training's rows from those of each fold."""
        added = raw[list(self.training.folds)].sum(axis=0)
        return RowSums.of(added, self.rows.k, order, matrix=self.family.matrix)

    def curvature(self, sums: RowSums) -> Curvature:
        """The objective's Hessian."""
        share = self.training.factor / self.training.n
        return curvature_of(self.family, sums, share, self.ridge / self.training.n)


def _minimised(objectives: list[Objective], n_first: int, lower: float = -np.inf) -> list[Array]:
    """The minimisers; all but the first few start at the one of the same kind among these."""
    colds = [Start(each.centre, None, None) for each in objectives]
    firsts, ends = _fits(objectives[:n_first], colds[:n_first], lower)

    def start(place: int) -> Start:
        each, theta, end = objectives[place], firsts[place % n_first], ends[place % n_first]
        curvature = each.curvature(each.added(end.curved, each.family.order(each.rows.k)))
        if not curvature.identified:
            # what the rows do not identify must not come from rows that are left out
            return colds[place]
        same = each.training.floor == objectives[place % n_first].training.floor
        return Start(theta, curvature, end.last if same else None)

    starts = over_cores(start, range(n_first, len(objectives)))
    return firsts + _fits(objectives[n_first:], starts, lower)[0]


class Known(NamedTuple):
    """Sums over rows that were taken at some theta, in an order that holds those below it."""

    theta: Array
    order: int
    raw: Array

    def has(self, theta: Array, order: int) -> bool:
        """Whether they are the ones that are wanted."""
        return self.order >= order and np.array_equal(self.theta, theta)


class Start(NamedTuple):
    """Where a fit starts, a curvature near there, and what is known of it."""

    theta: Array
    curvature: Curvature | None
    known: Known | None


class End(NamedTuple):
    """The sums over rows where a fit ended, and the last that its curvature was made of."""

    last: Known | None
    curved: Array


def _fits(
    objectives: Sequence[Objective], starts: Sequence[Start], lower: float
) -> tuple[list[Array], list[End]]:
    """Newton's method for all at once: the minimisers, and the sums over rows there."""
    known = [[start.known] if start.known else [] for start in starts]
    curved_at: list[Array] = [np.empty(0)] * len(objectives)

    def evaluate(asks: list[tuple[int, Ask]]) -> list[Sums]:
        wanted = [objectives[place].wanted(ask) for place, ask in asks]
        old = [
            next((each for each in known[place] if each.has(one.theta, one.order)), None)
            for (place, _), one in zip(asks, wanted, strict=True)
        ]
        passes = [one for one, found in zip(wanted, old, strict=True) if found is None]
        new, answers = iter(objectives[0].rows.sums(passes)), []
        for (place, (theta, curved)), one, found in zip(asks, wanted, old, strict=True):
            here = Known(theta, one.order, next(new)) if found is None else found
            known[place] = [*known[place][-1:], here]
            curved_at[place] = here.raw if curved else curved_at[place]
            answers.append(objectives[place].at(theta, here.raw, one.order))
        return answers

    solvers = [
        newton(start.theta, lower=lower, kept=start.curvature, always=not each.family.bias)
        for each, start in zip(objectives, starts, strict=True)
    ]
    thetas = [fit.theta for fit in together(solvers, evaluate)]
    lasts = [
        next((each for each in seen if each.has(theta, 0)), None)
        for seen, theta in zip(known, thetas, strict=True)
    ]
    return thetas, [End(*both) for both in zip(lasts, curved_at, strict=True)]


def bias_ridges(
    rows: FoldRows, trainings: Sequence[Training], scales: Sequence[float]
) -> list[Array]:
    """Ridge on the biases: one over their estimated variance, at most 2K; and none on a tilt.

    With biases b_k of variance v around 0, the score g_k = sum_i r_ik at b = 0 has
    E g_k^2 = h_k^2 v + sum_i r_ik^2, h_k its derivative; the method of moments solves for v.  It
    needs no validation rows and knows from the residuals r how much more 50 votes say than one.
    2K, the default of structured matrix scaling, is far too strong for many classes.

    Args:
        rows: all rows.
        trainings: which of them, for each ridge.
        scales: fitted temperature scales.

    Returns:
        The ridges, on the scale of the sum of losses.

    Source: DerSimonian & Laird 1986 (moment estimate of a variance component);
        Berta et al. 2025 for 2K.
    """
    family, k = FAMILIES["vector"], rows.k
    passes = [
        Pass(each, family, family.theta(a, k), BIASES)
        for each, a in zip(trainings, scales, strict=True)
    ]
    entries, raws = rows.entries, rows.sums(passes)

    def ridge(place: int) -> Array:
        training, _, theta, _ = passes[place]
        raw = raws[place][list(training.folds)].sum(axis=0)
        sums = RowSums.of(raw, k, BIASES, matrix=False)
        score = sums.classes[0] - rows.moments(family, training)[k:]
        slope = sums.classes[0] - sums.classes[2]
        inside = rows.at_entries("vector", theta, training)
        # of r = s m - w p, where P is not 0: its square without that of s m
        apart = rows.movable * (rows.movable - 2 * entries.spread(rows.mass) * inside)
        noise = sums.norm + float(rows.of_entries(training, apart).sum())
        excess = float(score @ score) - noise
        return np.array([_one_over_variance(excess, float(slope @ slope), k), 0.0])

    return over_cores(ridge, range(len(passes)))


def _one_over_variance(excess: float, slope: float, k: int) -> float:
    """The moments' estimate, and no stronger than 2K."""
    strongest = 2.0 * k
    return min(strongest, slope / excess) if excess > 0 and slope > 0 else strongest


def tilt_ridges(
    rows: FoldRows, trainings: Sequence[Training], scales: Sequence[float]
) -> list[Array]:
    """Ridges on the biases beside their tilt, and on that: each one over its estimated variance.

    The same moments as for `bias_ridges`, of the score's part along the even steps u from class to
    class, (u g)^2 with (u H u)^2 v + sum_i (u r_i)^2 expected, and of what is left of it. Classes
    in their order that are taken for others are mostly taken for their neighbours: with one ridge
    for both a tilt would have to pay for the freedom of all biases.

    Args:
        rows: all rows, of not too many classes.
        trainings: which of them, for each pair of ridges.
        scales: fitted temperature scales.

    Returns:
        Of each training both, on the scale of the sum of losses.

    Source: as of `bias_ridges`.
    """
    k = rows.k
    u = steps(k)
    apart = np.eye(k) - np.outer(u, u) - 1 / k
    target = np.zeros((len(rows.x), k))
    target.ravel()[rows.entries.place] = rows.movable

    def ridges(place: int) -> Array:
        training, a = trainings[place], scales[place]
        x, p, mass = (rows.parts(training, each) for each in (rows.x, target, rows.mass))
        m = pure_map("temperature", {"a": np.array(a)}, x, training.floor)
        expected = mass[:, None] * m
        r = expected - p
        along = r @ u
        score, hessian = r.sum(axis=0), np.diag(expected.sum(axis=0)) - expected.T @ m
        tilted, tilt = float(u @ score), float(u @ hessian @ u)
        left, bent = apart @ score, apart @ hessian @ apart
        noise = float(along @ along)
        rough = float(np.square(r).sum()) - noise - float(np.square(r.sum(axis=1)).sum()) / k
        on_tilt = _one_over_variance(tilted * tilted - noise, tilt * tilt, k)
        on_bias = _one_over_variance(float(left @ left) - rough, float(np.square(bent).sum()), k)
        return np.array([2.0 * k if k == 2 else on_bias, on_tilt])

    return over_cores(ridges, range(len(trainings)))
