"""The decomposition of a cross entropy into floor, grouping loss and calibration loss.

    H(P,Q) = H(P) + KL(P || c(Q)) + KL(c(Q) || Q),   c(q) = E[p | q]
             floor  grouping loss   calibration loss

What is trained (recalibration maps, certificates) is trained on a sample of rows, each fold's on
the other folds; what is averaged is averaged over all rows, each under the map that never saw it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal, Self

import numpy as np

from pandq.core.hashing import hash_rows
from pandq.core.threads import over_cores
from pandq.errors import InputError
from pandq.estimate.calibration.crossfit import CrossFit, crossfit, default_kinds
from pandq.estimate.decomposition.rowparts import ranked_parts, row_parts
from pandq.estimate.floor.assumptions import Assumptions, agreement
from pandq.estimate.floor.blind import BlindBounds
from pandq.estimate.floor.bounding import ALL, Bounding, Spread
from pandq.estimate.floor.certificate import Certificate, train_certificate
from pandq.estimate.floor.planner import plan_budget, rows_to_plan
from pandq.estimate.floor.pool import TURNS, with_replacement
from pandq.estimate.sampling import FOLDS, folds_of, shares_of, weights_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from pandq.estimate.decomposition.rowparts import RowParts, Squares
    from pandq.estimate.floor.planner import BudgetPlan
    from pandq.read.chunks import Chunk
    from pandq.results.decomposition import LabelType
    from pandq.sums.sample import Sample
    from pandq.views import View

    Floats = NDArray[np.float64]
    Keys = NDArray[np.uint64]

MODEL = "model_floor"

# What is never split between folds, and the column of a sample that says it.
FoldBy = Literal["row", "cluster", "content"]
UNITS: dict[FoldBy, str] = {"row": "unit", "cluster": "unit", "content": "content"}


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """What one pass over a sample taught: maps for five folds, certificates for two."""

    label_type: LabelType
    seed: int
    recalibration: CrossFit
    best: CrossFit | None = None
    certificates: tuple[Certificate, Certificate] | None = None
    blind: tuple[BlindBounds, BlindBounds] | None = None
    frequencies: tuple[Floats, Floats] | None = None
    tested: Assumptions | None = None
    fold_by: FoldBy = "row"
    bounding: Bounding = ALL
    spread: tuple[Spread, Spread] | None = None
    blind_spread: tuple[Spread, Spread] | None = None

    @classmethod
    def of(
        cls,
        sample: Sample,
        label_type: LabelType,
        *,
        seed: int,
        fold_by: FoldBy = "row",
        bounding: Bounding = ALL,
        ordered: bool = False,
        tell: Callable[[str], object] = str,
    ) -> Self:
        """Fit the maps and, for votes, the certificates.

        Args:
            sample: from `sample_of`.
            label_type: what P is.
            seed: random seed of the folds.
            fold_by: what is never split between folds.
            bounding: how the floor of votes is bounded.
            ordered: whether the classes are in their order.
            tell: called with the name of what begins.

        Raises:
            InputError: a fold has no rows, or too few with so many votes.
        """
        tell("fitting maps")
        fitted = partial(cross_fitted_maps, sample, seed, fold_by, ordered=ordered)
        maps, best = fitted(), None
        if "best_log_q" in sample.columns:
            best = fitted(of="best_log_q")
        if label_type != "votes":
            return cls(label_type, seed, maps, best, fold_by=fold_by)
        tell("bounding the floor")
        plain = cls(label_type, seed, maps, best, fold_by=fold_by, bounding=bounding)
        return plain.bounded(sample)

    def bounded(self, sample: Sample) -> Self:
        """The same with what bounds the floor of votes."""
        columns, seed, least = sample.columns, self.seed, self.bounding.min_votes
        # certificates weigh all rows alike: what was drawn for its class alone stays out
        drawn = sample.uniform
        unit = columns[UNITS[self.fold_by]][drawn]
        halves, p = folds_of(unit, 2, seed), shares_of(columns["p"])[drawn]
        votes, q = columns["p"][drawn].astype(np.int64), np.exp(columns["log_q"][drawn])
        votes = self.draws(votes, unit)
        others = (halves != 0, halves != 1)
        first, second = over_cores(lambda half: train_certificate(votes[half], q[half]), others)
        blind = (BlindBounds.of(votes[others[0]]), BlindBounds.of(votes[others[1]]))
        found = replace(
            self,
            certificates=(first, second),
            blind=blind,
            frequencies=(p[others[0]].mean(axis=0), p[others[1]].mean(axis=0)),
            tested=Assumptions.of(
                votes,
                first.mixture.prior_moments(q)[1].sum(axis=1),
                unit,
                fit=(p * q).sum(axis=1),
                min_votes=least,
            ),
        )
        if least < 2:
            return found

        def seen(half: int) -> Spread:
            own = q[others[half]]
            bounds = found.two[half].row_bounds
            return Spread.of(votes[others[half]], least, lambda c, at: _pair(bounds(c, own[at])))

        def unseen(half: int) -> Spread:
            bounds = blind[half].row_bounds
            return Spread.of(votes[others[half]], least, lambda c, _: _pair(bounds(c)))

        return replace(found, spread=(seen(0), seen(1)), blind_spread=(unseen(0), unseen(1)))

    def unit_of(self, chunk: Chunk) -> Keys:
        """What is never split between folds: each row, its cluster, or its copies; (n,)."""
        if self.fold_by == "row":
            return chunk.keys
        if self.fold_by == "content":
            return hash_rows(chunk.q.array)
        if chunk.clusters is None:
            raise InputError(
                what="what was trained kept clusters together, and these rows have none",
                remedy="Give the clusters that it was trained with.",
            )
        return chunk.clusters

    @property
    def two(self) -> tuple[Certificate, Certificate]:
        """The certificates, which only votes have."""
        if self.certificates is None:
            raise InputError(what="only votes have a certificate")
        return self.certificates

    def plan(self, sample: Sample, n_rows: int) -> BudgetPlan:
        """Expected widths of the floor's interval with other numbers of rows and votes."""
        q = np.exp(sample.columns["log_q"][sample.uniform])
        return plan_budget(self.two[0].mixture, q, rows=rows_to_plan(n_rows))

    def parts(self, p: View, q: View, maps: CrossFit, unit: Keys) -> RowParts:
        """Each row before and after the map of its fold."""
        return row_parts(p, q, folds_of(unit, FOLDS, self.seed), maps.by_fold(FOLDS))

    def ranked(self, p: View, q: View, unit: Keys) -> Squares:
        """Each row's ranked probability score before and after the map of its fold."""
        folds = folds_of(unit, FOLDS, self.seed)
        return ranked_parts(p, q, folds, self.recalibration.by_fold(FOLDS))

    def bounds(self, p: View, q: View, unit: Keys) -> tuple[Floats, Floats]:
        """Those that were asked for: with a look at Q, or without one; (n,) nats each."""
        if self.bounding.blindly:
            return self.blind_bounds(p, unit)
        return self.certified(p, q.law().prob, unit)

    def certified(self, p: View, q: Floats, unit: Keys) -> tuple[Floats, Floats]:
        """Each row's share of a lower and an upper bound of the mean H(P): (n,) nats.

        Args:
            p: n rows of votes.
            q: (n, K) float64 probabilities.
            unit: (n,) what is never split between folds.
        """

        def of(half: int, rows: NDArray[np.intp]) -> Floats:
            def bounds(votes: NDArray[np.int64]) -> Floats:
                return _pair(self.two[half].row_bounds(votes, q[rows]))

            return self._bounds(_votes(p[rows]), unit[rows], bounds, self.spread, half)

        low, high = self._cross_fitted(unit, 2, 2, of).T
        return low, high

    def draws(self, votes: NDArray[np.int64], unit: Keys, turn: int = 0) -> NDArray[np.int64]:
        """(n, K) votes that are independent draws: of a pool, these are made of them."""
        pool = self.bounding.pool
        return votes if pool is None else with_replacement(votes, pool, unit, turn=turn)

    def _bounds(
        self,
        votes: NDArray[np.int64],
        unit: Keys,
        bounds: Callable[[NDArray[np.int64]], Floats],
        spread: tuple[Spread, Spread] | None,
        half: int,
    ) -> Floats:
        """(n, 2) bounds of rows; of a pool the mean over several draws of the same votes."""
        turns = 1 if self.bounding.pool is None else TURNS
        found = [bounds(self.draws(votes, unit, turn)) for turn in range(turns)]
        mean: Floats = found[0] if turns == 1 else np.mean(found, axis=0)
        return mean if spread is None else spread[half].over(mean, votes.sum(axis=1))

    def blind_bounds(self, p: View, unit: Keys) -> tuple[Floats, Floats]:
        """The same without a look at Q; only votes have them."""

        def of(half: int, rows: NDArray[np.intp]) -> Floats:
            def bounds(votes: NDArray[np.int64]) -> Floats:
                return _pair((self.blind or ())[half].row_bounds(votes))

            return self._bounds(_votes(p[rows]), unit[rows], bounds, self.blind_spread, half)

        low, high = self._cross_fitted(unit, 2, 2, of).T
        return low, high

    def agreement(self, p: View, unit: Keys) -> Floats:
        """Each row's share of E|p - f|^2, which independent draws estimate without bias: (n,).

        f are the classes' frequencies in the other half. Of m votes, c_k for class k, it is
        sum c_k (c_k - 1) / (m (m - 1)) - 2 f c / m + f f; below zero on average where two votes of
        a row agree less often than two votes of different rows, which no draws from one
        distribution a row can do. A row of one vote says nothing.
        """

        def of(half: int, rows: NDArray[np.intp]) -> Floats:
            f, c = (self.frequencies or ())[half], _votes(p[rows]).astype(np.float64)
            m, agree = c.sum(axis=1), agreement(_votes(p[rows]))
            if self.bounding.pool is not None:
                agree += (1.0 - agree) / self.bounding.pool
            return np.where(m > 1, agree - 2.0 * (c @ f) / m + f @ f, 0.0)[:, None]

        return self._cross_fitted(unit, 2, 1, of)[:, 0]

    def model_floor(self, p: View, q: Floats, unit: Keys) -> Floats:
        """Each row's entropy under the Dirichlet mixture fitted to the other half: (n,) nats."""

        def of(half: int, rows: NDArray[np.intp]) -> Floats:
            mixture = self.two[half].mixture
            votes = self.draws(_votes(p[rows]), unit[rows])
            return mixture.posterior_entropy(votes, q[rows])[:, None]

        return self._cross_fitted(unit, 2, 1, of)[:, 0]

    def _cross_fitted(
        self,
        unit: Keys,
        n_folds: int,
        width: int,
        of: Callable[[int, NDArray[np.intp]], Floats],
    ) -> Floats:
        """(n, width) numbers of each row, by what was trained without its fold."""
        out = np.empty((len(unit), width))
        folds = folds_of(unit, n_folds, self.seed)
        for fold in np.unique(folds):
            rows = np.flatnonzero(folds == fold)
            out[rows] = of(int(fold), rows)
        return out

    @property
    def row_names(self) -> tuple[str, ...]:
        """What `rows` tells of each row."""
        return ("refinement_loss",) if self.certificates is None else ("refinement_loss", MODEL)

    def rows(self, chunk: Chunk) -> dict[str, Floats]:
        """Each row's own numbers, in nats: (n,) by name."""
        unit = self.unit_of(chunk)
        found = self.parts(chunk.p, chunk.q, self.recalibration, unit)
        rows = {"refinement_loss": found.recalibrated}
        if self.certificates is not None:
            rows[MODEL] = self.model_floor(chunk.p, chunk.q.law().prob, unit)
        return rows


def kept_together(*, clustered: bool, copies: bool) -> FoldBy:
    """What folds must not split: clusters where they are known, else rows that come again."""
    return "cluster" if clustered else "content" if copies else "row"


def cross_fitted_maps(
    sample: Sample, seed: int, fold_by: FoldBy, *, of: str = "log_q", ordered: bool = False
) -> CrossFit:
    """Recalibration maps for the folds of a sample, and the one for all its rows.

    Args:
        sample: from `sample_of`.
        seed: random seed of the folds.
        fold_by: what is never split between folds.
        of: the column of what is to be recalibrated.
        ordered: whether the classes are in their order.

    Raises:
        InputError: a fold has no rows.
    """
    columns = sample.columns
    folds = folds_of(columns[UNITS[fold_by]], FOLDS, seed)
    p, w = shares_of(columns["p"]), weights_of(sample)
    kinds = default_kinds(columns[of].shape[1], ordered=ordered)
    return crossfit(p, columns[of], folds, n_folds=FOLDS, kinds=kinds, weights=w)


def _votes(p: View) -> NDArray[np.int64]:
    return p.array.astype(np.int64)


def _pair(bounds: tuple[Floats, Floats]) -> Floats:
    return np.stack(bounds, axis=1)
