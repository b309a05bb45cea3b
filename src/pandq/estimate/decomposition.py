"""The decomposition of a cross entropy into floor, rest and miscalibration.

    H(P,Q) = H(P) + KL(P || c(Q)) + KL(c(Q) || Q),   c(q) = E[p | q]
             floor  the rest        miscalibration

What is trained (recalibration maps, certificates) is trained on a sample of rows, each fold's on
the other folds; what is averaged is averaged over all rows, each under the map that never saw it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from pandq.core.hashing import hash_rows
from pandq.core.measures import entropy
from pandq.core.numerics import row_sums
from pandq.core.scores import at_top, confidence, top_class, top_shares
from pandq.errors import InputError
from pandq.estimate.certificate import Certificate, train_certificate
from pandq.estimate.crossfit import CrossFit, crossfit
from pandq.estimate.leak import BlindBounds
from pandq.estimate.lossmeans import GroupLossMeans, LossMeans
from pandq.estimate.means import Means
from pandq.estimate.planner import plan_budget, rows_to_plan
from pandq.estimate.sampling import FOLDS, Evidence, folds_of, shares_of, weights_of
from pandq.estimate.targets import row_losses
from pandq.sums.reliability import Reliability
from pandq.views import Counts, Labels

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from pandq.core.laws import Law
    from pandq.estimate.planner import BudgetPlan
    from pandq.read.chunks import Chunk
    from pandq.sums.sample import Sample
    from pandq.views import View

    Floats = NDArray[np.float64]
    Keys = NDArray[np.uint64]

# What is infinite in a row in which Q rules out what happened, and what is finite in every row:
# a map leaves nothing at zero.
LOSSES = ("cross_entropy", "gain", "kl_low", "kl_high")
PARTS = ("recalibrated", "floor_low", "floor_high", "rest_low", "rest_high")
# Only votes have these: what Q's losses leave above bounds that ignore Q, those bounds, the gap of
# those that do not, and how far two votes of a row agree more than two of any rows.
BLIND_LOSSES = ("leak",)
BLIND = ("blind_low", "blind_high", "leak_recalibrated", "gap", "agreement")
MODEL = "model_floor"
BRIER = ("brier", "floor", "miscalibration", "rest", "above")


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """What one pass over a sample taught: maps for five folds, certificates for two."""

    evidence: Evidence
    seed: int
    recalibration: CrossFit
    best: CrossFit | None = None
    certificates: tuple[Certificate, Certificate] | None = None
    blind: tuple[BlindBounds, BlindBounds] | None = None
    frequencies: tuple[Floats, Floats] | None = None
    by_content: bool = False

    @classmethod
    def of(cls, sample: Sample, evidence: Evidence, *, seed: int, by_content: bool = False) -> Self:
        """Fit the maps and, for votes, the certificates.

        Args:
            sample: from `sample_of`.
            evidence: what P is.
            seed: of the folds' hash.
            by_content: whether rows of equal Q are copies, and belong into one fold.

        Raises:
            InputError: a fold has no rows.
        """
        columns = sample.columns
        unit, weight = columns["content" if by_content else "unit"], weights_of(sample)
        folds = folds_of(unit, FOLDS, seed)
        p = shares_of(columns["p"])
        maps = crossfit(p, columns["log_q"], folds, n_folds=FOLDS, weights=weight)
        best = None
        if "best_log_q" in columns:
            best = crossfit(p, columns["best_log_q"], folds, n_folds=FOLDS, weights=weight)
        certificates, blind, frequencies = None, None, None
        if evidence == "votes":
            # certificates weigh all rows alike: what was drawn for its class alone stays out
            drawn = sample.uniform
            halves, p = folds_of(unit[drawn], 2, seed), p[drawn]
            votes, q = columns["p"][drawn].astype(np.int64), np.exp(columns["log_q"][drawn])
            first, second = (
                train_certificate(votes[halves != half], q[halves != half]) for half in (0, 1)
            )
            certificates = (first, second)
            blind = (BlindBounds.of(votes[halves != 0]), BlindBounds.of(votes[halves != 1]))
            frequencies = (p[halves != 0].mean(axis=0), p[halves != 1].mean(axis=0))
        return cls(evidence, seed, maps, best, certificates, blind, frequencies, by_content)

    def unit_of(self, chunk: Chunk) -> Keys:
        """What is never split between folds: each row, its cluster, or its copies; (n,)."""
        if chunk.clusters is not None:
            return chunk.clusters
        return hash_rows(chunk.q.array) if self.by_content else chunk.keys

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
        self, p: View, log_q: Floats, unit: Keys, ceiling: Floats
    ) -> tuple[Floats, Floats]:
        """Each row's share of a lower and an upper bound of the mean H(P): (n,) nats."""
        if self.evidence == "full":
            exact = entropy(p.law())
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
        return ("recalibrated",) if self.certificates is None else ("recalibrated", MODEL)

    def rows(self, chunk: Chunk) -> dict[str, Floats]:
        """Each row's own numbers, in nats: (n,) by name."""
        log_q = chunk.q.law().log_prob
        unit = self.unit_of(chunk)
        after = self.recalibrated(self.recalibration, log_q, unit)
        found = {"recalibrated": losses_of(chunk.p, after)}
        if self.certificates is not None:
            found[MODEL] = self.model_floor(chunk.p, log_q, unit)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class PartSums:
    """The Summary of the second pass: the parts of every row under what was trained."""

    parts: LossMeans
    brier: Means
    reliability: Reliability
    classes: GroupLossMeans
    groups: Mapping[str, GroupLossMeans]

    @classmethod
    def empty(
        cls, *, by: Sequence[str] = (), votes: bool = False, replicates: int = 0, seed: int = 0
    ) -> Self:
        """No rows; `votes` also have a model-based floor, and bounds that ignore Q."""
        names: tuple[tuple[str, ...], tuple[str, ...]] = (LOSSES, PARTS)
        if votes:
            names = ((*LOSSES, *BLIND_LOSSES), (*PARTS, MODEL, *BLIND))
        return cls(
            LossMeans.empty(*names, replicates=replicates, seed=seed),
            Means.empty(BRIER, replicates=replicates, seed=seed),
            Reliability.empty(),
            GroupLossMeans.empty(*names),
            {name: GroupLossMeans.empty(*names) for name in by},
        )

    def of(self, chunk: Chunk, trained: Trained) -> Self:
        """The parts of one chunk."""
        law = chunk.q.law()
        log_q = law.log_prob
        unit = trained.unit_of(chunk)
        log_c = trained.recalibrated(trained.recalibration, log_q, unit)
        losses, parts = self._rows(chunk, trained, log_q, log_c, unit)
        rows = losses, parts, chunk.weights
        names = tuple(str(k) for k in range(log_q.shape[1]))
        clusters = chunk.clusters
        return type(self)(
            self.parts.of(*rows, clusters=clusters, keys=chunk.keys),
            self._brier_of(chunk, log_q, log_c),
            self.reliability.of(confidence(law), _mass(chunk.p, law), chunk.weights),
            self.classes.of_tops(chunk.q, top_class(law), names, *rows, clusters=clusters),
            {
                name: self.groups[name].of(codes, values, *rows, clusters=clusters)
                for name, (codes, values) in chunk.groups.items()
            },
        )

    def _rows(
        self, chunk: Chunk, trained: Trained, log_q: Floats, log_c: Floats, unit: Keys
    ) -> tuple[Floats, Floats]:
        """Each row's losses and finite parts, in the order of their names."""
        loss, after = losses_of(chunk.p, log_q), losses_of(chunk.p, log_c)
        ceiling = after
        if trained.best is not None and chunk.best_q is not None:
            best_log_q = chunk.best_q.law().log_prob
            ceiling = losses_of(chunk.p, trained.recalibrated(trained.best, best_log_q, unit))
        low, high = trained.floor_bounds(chunk.p, log_q, unit, ceiling)
        losses = [loss, loss - after, loss - high, loss - low]
        parts = [after, low, high, after - high, after - low]
        if trained.evidence == "votes":
            blind_low, blind_high = trained.blind_bounds(chunk.p, unit)
            losses += [loss - blind_low]
            parts += [trained.model_floor(chunk.p, log_q, unit), blind_low, blind_high]
            parts += [after - blind_low, high - low, trained.agreement(chunk.p, unit)]
        return np.stack(losses, axis=1), np.stack(parts, axis=1)

    def merge(self, other: Self) -> Self:
        """Both together."""
        return type(self)(
            self.parts.merge(other.parts),
            self.brier.merge(other.brier),
            self.reliability.merge(other.reliability),
            self.classes.merge(other.classes),
            {name: table.merge(other.groups[name]) for name, table in self.groups.items()},
        )

    def _brier_of(self, chunk: Chunk, log_q: Floats, log_c: Floats) -> Means:
        """The Brier score's parts, over rows whose floor is identified: two votes or a full P."""
        kept = np.ones(len(chunk), dtype=bool)
        if isinstance(chunk.p, Labels):
            return self.brier
        if isinstance(chunk.p, Counts):
            kept = chunk.p.votes > 1
        p = chunk.p[kept]
        prob = p.law().prob
        before = _brier(prob, np.exp(log_q[kept]))
        after = _brier(prob, np.exp(log_c[kept]))
        floor = _brier_floor(p, prob)
        return self.brier.of(
            np.stack([before, floor, before - after, after - floor, before - floor], axis=1),
            None if chunk.weights is None else chunk.weights[kept],
            clusters=None if chunk.clusters is None else chunk.clusters[kept],
            keys=chunk.keys[kept],
        )


def _votes(p: View) -> NDArray[np.int64]:
    return p.array.astype(np.int64)


def losses_of(p: View, log_q: Floats) -> Floats:
    """(n,) cross entropies; for labels one number of each row."""
    if isinstance(p, Labels):
        at_label: Floats = 0.0 - log_q[np.arange(len(log_q)), p.array]
        return at_label
    return row_losses(p.law().prob, log_q)


def _mass(p: View, q: Law) -> Floats:
    """P's probability of Q's most probable class; (n,)."""
    if isinstance(p, Labels):
        hit: Floats = top_shares(q)[np.arange(len(p)), p.array]
        return hit
    return at_top(p.law(), q)


def _brier(p: Floats, q: Floats) -> Floats:
    score: Floats = 1.0 - 2.0 * np.einsum("ik,ik->i", p, q) + np.einsum("ik,ik->i", q, q)
    return score


def _brier_floor(p: View, prob: Floats) -> Floats:
    """Unbiased for 1 - sum p^2: of m votes, the share of ordered pairs that disagree."""
    if isinstance(p, Counts):
        return _pairs_apart(p.array.astype(np.float64), p.votes)
    return 1.0 - row_sums(np.square(prob))


def _pairs_apart(votes: Floats, m: Floats) -> Floats:
    """The share of a row's ordered pairs of votes that disagree, of m votes: (n,)."""
    return 1.0 - row_sums(votes * (votes - 1.0)) / (m * (m - 1.0))
