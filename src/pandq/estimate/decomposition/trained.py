"""The decomposition of a cross entropy into floor, grouping loss and calibration loss.

    H(P,Q) = H(P) + KL(P || c(Q)) + KL(c(Q) || Q),   c(q) = E[p | q]
             floor  grouping loss   calibration loss

What is trained (recalibration maps, certificates) is trained on a sample of rows, each fold's on
the other folds; what is averaged is averaged over all rows, each under the map that never saw it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

import numpy as np

from pandq.core.hashing import hash_rows
from pandq.core.measures import entropy
from pandq.core.numerics import row_sums
from pandq.errors import InputError
from pandq.estimate.calibration.crossfit import CrossFit, crossfit
from pandq.estimate.calibration.inputs import row_losses
from pandq.estimate.floor.blind import BlindBounds
from pandq.estimate.floor.certificate import Certificate, train_certificate
from pandq.estimate.floor.planner import plan_budget, rows_to_plan
from pandq.estimate.sampling import FOLDS, folds_of, shares_of, weights_of
from pandq.views import Labels

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from pandq.core.laws import Law
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
    fold_by: FoldBy = "row"

    @classmethod
    def of(
        cls,
        sample: Sample,
        label_type: LabelType,
        *,
        seed: int,
        fold_by: FoldBy = "row",
        tell: Callable[[str], object] = str,
    ) -> Self:
        """Fit the maps and, for votes, the certificates.

        Args:
            sample: from `sample_of`.
            label_type: what P is.
            seed: random seed of the folds.
            fold_by: what is never split between folds.
            tell: called with the name of what begins.

        Raises:
            InputError: a fold has no rows.
        """
        tell("fitting maps")
        columns, maps = sample.columns, cross_fitted_maps(sample, seed, fold_by)
        best = None
        if "best_log_q" in columns:
            best = cross_fitted_maps(sample, seed, fold_by, of="best_log_q")
        certificates, blind, frequencies = None, None, None
        if label_type == "votes":
            tell("bounding the floor")
            # certificates weigh all rows alike: what was drawn for its class alone stays out
            drawn = sample.uniform
            unit = columns[UNITS[fold_by]][drawn]
            halves, p = folds_of(unit, 2, seed), shares_of(columns["p"])[drawn]
            votes, q = columns["p"][drawn].astype(np.int64), np.exp(columns["log_q"][drawn])
            first, second = (
                train_certificate(votes[halves != half], q[halves != half]) for half in (0, 1)
            )
            certificates = (first, second)
            blind = (BlindBounds.of(votes[halves != 0]), BlindBounds.of(votes[halves != 1]))
            frequencies = (p[halves != 0].mean(axis=0), p[halves != 1].mean(axis=0))
        return cls(label_type, seed, maps, best, certificates, blind, frequencies, fold_by)

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

    def recalibrated(self, maps: CrossFit, log_q: Floats, unit: Keys) -> Floats:
        """Each row's log-probabilities under the map of its fold: (n, K)."""

        def of(fold: int, rows: NDArray[np.intp]) -> Floats:
            return maps.fold_map[fold].apply(log_q[rows])

        return self._cross_fitted(unit, FOLDS, log_q.shape[1], of)

    def floor_bounds(
        self, p: View, law: Law | None, log_q: Floats, unit: Keys, ceiling: Floats
    ) -> tuple[Floats, Floats]:
        """Each row's share of a lower and an upper bound of the mean H(P): (n,) nats.

        Args:
            p: n rows of P.
            law: the distributions; None for labels.
            log_q: (n, K) float64 log-probabilities of Q.
            unit: (n,) what is never split between folds.
            ceiling: (n,) float64 losses that the mean of H(P) is not above.
        """
        if self.label_type == "full" and law is not None:
            exact = entropy(law)
            return exact, exact
        if self.certificates is None:
            return np.zeros(len(log_q)), ceiling

        def of(half: int, rows: NDArray[np.intp]) -> Floats:
            return np.stack(self.two[half].row_bounds(_votes(p[rows]), np.exp(log_q[rows])), axis=1)

        low, high = self._cross_fitted(unit, 2, 2, of).T
        return low, high

    def blind_bounds(self, p: View, unit: Keys) -> tuple[Floats, Floats]:
        """The same without a look at Q; only votes have them."""

        def of(half: int, rows: NDArray[np.intp]) -> Floats:
            return np.stack((self.blind or ())[half].row_bounds(_votes(p[rows])), axis=1)

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
            m = c.sum(axis=1)
            pairs = 1.0 - _pairs_apart(c, np.maximum(m, 2.0))
            return np.where(m > 1, pairs - 2.0 * (c @ f) / m + f @ f, 0.0)[:, None]

        return self._cross_fitted(unit, 2, 1, of)[:, 0]

    def model_floor(self, p: View, log_q: Floats, unit: Keys) -> Floats:
        """Each row's entropy under the Dirichlet mixture fitted to the other half: (n,) nats."""

        def of(half: int, rows: NDArray[np.intp]) -> Floats:
            mixture = self.two[half].mixture
            return mixture.posterior_entropy(_votes(p[rows]), np.exp(log_q[rows]))[:, None]

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
        log_q = chunk.q.law().log_prob
        unit = self.unit_of(chunk)
        after = self.recalibrated(self.recalibration, log_q, unit)
        found = {"refinement_loss": losses_of(chunk.p, law_of(chunk.p), after)}
        if self.certificates is not None:
            found[MODEL] = self.model_floor(chunk.p, log_q, unit)
        return found


def kept_together(*, clustered: bool, copies: bool) -> FoldBy:
    """What folds must not split: clusters where they are known, else rows that come again."""
    return "cluster" if clustered else "content" if copies else "row"


def cross_fitted_maps(sample: Sample, seed: int, fold_by: FoldBy, *, of: str = "log_q") -> CrossFit:
    """Recalibration maps for the folds of a sample, and the one for all its rows.

    Args:
        sample: from `sample_of`.
        seed: random seed of the folds.
        fold_by: what is never split between folds.
        of: the column of what is to be recalibrated.

    Raises:
        InputError: a fold has no rows.
    """
    columns = sample.columns
    folds = folds_of(columns[UNITS[fold_by]], FOLDS, seed)
    p, w = shares_of(columns["p"]), weights_of(sample)
    return crossfit(p, columns[of], folds, n_folds=FOLDS, weights=w)


def _votes(p: View) -> NDArray[np.int64]:
    return p.array.astype(np.int64)


def law_of(p: View) -> Law | None:
    """P's distributions, to be formed once for a chunk; None for labels, which need none."""
    return None if isinstance(p, Labels) else p.law()


def losses_of(p: View, law: Law | None, log_q: Floats) -> Floats:
    """(n,) cross entropies of P, with what `law_of` made of it; for labels one number a row."""
    if law is None:
        at_label: Floats = 0.0 - log_q[np.arange(len(log_q)), p.array]
        return at_label
    return row_losses(law.prob, log_q)


def _pairs_apart(votes: Floats, m: Floats) -> Floats:
    """The share of a row's ordered pairs of votes that disagree, of m votes: (n,)."""
    return 1.0 - row_sums(votes * (votes - 1.0)) / (m * (m - 1.0))
