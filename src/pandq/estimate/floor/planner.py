"""How wide the certified interval of the floor would be with other numbers of rows and votes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from pandq.core.hashing import hash_ids
from pandq.errors import InputError
from pandq.estimate.floor.certificate import Counts, group_edges, grouping, train_stratum
from pandq.estimate.floor.smooth import SHIFT_TOLERANCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandq.estimate.floor.mixture import DirichletMixture

Array = npt.NDArray[np.float64]

VOTES = (1, 2, 3, 5, 10, 20)
# Fewer rows than this are planned for only where there are no more.
LEAST_ROWS = 100
_PLAN_CELLS = 10_000
# What vectors may give away for less work: a part of the gap of fewer votes, per row and end.
_GIVEN_AWAY = 1e-3


@dataclass(frozen=True)
class BudgetPlan:
    """Expected certified widths; model-based, the mixture stands in for the truth.

    Args:
        rows: Numbers of rows, shape (r,).
        votes: Votes per row, shape (v,).
        gap: Part that more rows cannot remove, mean upper - mean lower, shape (v,), nats.
        width: Expected high - low, shape (r, v), nats.
        budget: rows x votes, shape (r, v).
    """

    rows: npt.NDArray[np.int64]
    votes: npt.NDArray[np.int64]
    gap: Array
    width: Array
    budget: npt.NDArray[np.int64]


def rows_to_plan(n: int) -> tuple[int, ...]:
    """Numbers of rows about the number at hand: a tenth of it to ten times as many.

    >>> rows_to_plan(60), rows_to_plan(5_000)
    ((60, 180, 600), (500, 1500, 5000, 15000, 50000))
    """
    tenths = (1, 3, 10, 30, 100)
    return tuple(n * t // 10 for t in tenths if n * t // 10 >= min(n, LEAST_ROWS))


def plan_budget(
    mixture: DirichletMixture,
    q: Array,
    *,
    rows: Sequence[int],
    votes: Sequence[int] = VOTES,
    level: float = 0.95,
    seed: int = 0,
) -> BudgetPlan:
    """Expected width of the certified interval on a grid of (rows, votes per row).

    The distributions of the counts in every group follow in closed form from the mixture, the
    linear programmes give the gap, and the spread of the rows' bounds is simulated and scaled by
    1 / sqrt(rows).

    Args:
        mixture: Fitted to the votes at hand.
        q: Predicted probabilities of the rows at hand, shape (n, K), float64.
        rows: Numbers of rows to plan for.
        votes: Votes per row to plan for, each >= 1.
        level: One-sided confidence of each end.
        seed: Of the simulated votes.

    Returns:
        The plan.  It leaves out what training on few rows costs, so widths below about 1,000 rows
        are optimistic.

    Raises:
        InputError: A number of rows or votes is below one.
    """
    if min(rows) < 1 or min(votes) < 1:
        raise InputError(what="rows and votes per row must be at least 1")
    # what is drawn for a class depends on what Q says of it, not on its place
    order = np.lexsort(q)
    q = q[:, order]
    if mixture.offset.shape[1] > 1:
        mixture = replace(mixture, offset=mixture.offset[:, order])
    keep = max(100, _PLAN_CELLS // q.shape[1])
    if q.shape[0] > keep:
        q = q[np.sort(np.argsort(hash_ids(np.arange(q.shape[0]), seed=2), kind="stable")[:keep])]
    rng = np.random.default_rng(seed)
    # One draw of p per row serves every number of votes, which keeps the columns comparable.
    p = mixture.sample(q, rng)
    prior = mixture.prior_mean(q)
    z, training_rows = float(ndtri(level)), 0.5 * float(np.median(rows))
    gaps: list[float] = []
    spreads: list[float] = []
    for m in votes:
        groups, kappa = grouping(m)
        edges = group_edges(prior, groups)
        group = np.searchsorted(edges, prior, side="right")
        law = mixture.count_law(q, m)
        histogram = np.zeros((edges.size + 1, m + 1))
        np.add.at(histogram, group.ravel(), law.reshape(-1, m + 1))
        least = _GIVEN_AWAY * min(gaps, default=0.0) / q.shape[1]
        stratum = train_stratum(
            histogram * (training_rows / q.shape[0]),
            edges,
            kappa=kappa,
            tolerance=max(SHIFT_TOLERANCE, least),
        )
        gap = (histogram * (stratum.upper - stratum.lower)).sum() / q.shape[0]
        drawn: Counts = rng.multinomial(m, p)
        lower, upper = stratum.bounds(drawn, prior, np.full(q.shape[0], m))
        gaps.append(float(gap))
        spreads.append(float(lower.std() + upper.std()))
    number, per_row = np.asarray(rows, dtype=np.int64), np.asarray(votes, dtype=np.int64)
    width = np.array(gaps) + z * np.array(spreads) / np.sqrt(number)[:, None]
    return BudgetPlan(number, per_row, np.array(gaps), width, number[:, None] * per_row)
