"""PartSums: the Summary of the second pass, the parts of every row under what was trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from pandq.core.numerics import row_sums
from pandq.core.scores import at_top, confidence, top_class, top_shares
from pandq.estimate.averages.lossmeans import GroupLossMeans, LossMeans
from pandq.estimate.averages.means import Means
from pandq.estimate.decomposition.trained import MODEL, Trained, _pairs_apart, law_of, losses_of
from pandq.sums.reliability import Reliability
from pandq.sums.summary import Summary, summary
from pandq.views import Counts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from pandq.core.laws import Law
    from pandq.read.chunks import Chunk
    from pandq.views import View

    Floats = NDArray[np.float64]
    Keys = NDArray[np.uint64]


# What is infinite in a row in which Q rules out what happened, and what is finite in every row:
# a map leaves nothing at zero.
LOSSES = ("cross_entropy", "gain", "kl_low", "kl_high")


PARTS = ("refinement_loss", "floor_low", "floor_high", "grouping_loss_low", "grouping_loss_high")


# Only votes have these: what Q's losses leave above bounds that ignore Q, those bounds, the gap of
# those that do not, and how far two votes of a row agree more than two of any rows.
BLIND_LOSSES = ("leak",)


BLIND = ("blind_low", "blind_high", "leak_recalibrated", "gap", "agreement")


# the parts of the Brier score are no parts of the loss, whatever they have in common
OF_BRIER = " of brier"
BRIER = (
    "brier",
    *(f"{part}{OF_BRIER}" for part in ("floor", "calibration_loss", "grouping_loss", "above")),
)


@summary
class PartSums(Summary):
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

    def of_only(self, chunk: Chunk, trained: Trained) -> Self:
        """The parts of one chunk."""
        p, q = law_of(chunk.p), chunk.q.law()
        log_q = q.log_prob
        unit = trained.unit_of(chunk)
        log_c = trained.recalibrated(trained.recalibration, log_q, unit)
        losses, parts = self._rows(chunk, p, trained, log_q, log_c, unit)
        rows = losses, parts, chunk.weights
        names = tuple(str(k) for k in range(log_q.shape[1]))
        clusters = chunk.clusters
        return type(self)(
            self.parts.of_only(*rows, clusters=clusters, keys=chunk.keys),
            self._brier_of(chunk, p, log_q, log_c),
            reliability_of(chunk, (p, q)),
            self.classes.of_only_by_top(chunk.q, top_class(q), names, *rows, clusters=clusters),
            {
                name: self.groups[name].of_only(codes, values, *rows, clusters=clusters)
                for name, (codes, values) in chunk.groups.items()
            },
        )

    def _rows(
        self,
        chunk: Chunk,
        p: Law | None,
        trained: Trained,
        log_q: Floats,
        log_c: Floats,
        unit: Keys,
    ) -> tuple[Floats, Floats]:
        """Each row's losses and finite parts, in the order of their names."""
        loss, after = losses_of(chunk.p, p, log_q), losses_of(chunk.p, p, log_c)
        ceiling = after
        if trained.best is not None and chunk.best_q is not None:
            best_log_q = chunk.best_q.law().log_prob
            best = trained.recalibrated(trained.best, best_log_q, unit)
            ceiling = losses_of(chunk.p, p, best)
        low, high = trained.floor_bounds(chunk.p, p, log_q, unit, ceiling)
        losses = [loss, loss - after, loss - high, loss - low]
        parts = [after, low, high, after - high, after - low]
        if trained.label_type == "votes":
            blind_low, blind_high = trained.blind_bounds(chunk.p, unit)
            losses += [loss - blind_low]
            parts += [trained.model_floor(chunk.p, log_q, unit), blind_low, blind_high]
            parts += [after - blind_low, high - low, trained.agreement(chunk.p, unit)]
        return np.stack(losses, axis=1), np.stack(parts, axis=1)

    def _brier_of(self, chunk: Chunk, p: Law | None, log_q: Floats, log_c: Floats) -> Means:
        """The Brier score's parts, over rows whose floor is identified: two votes or a full P."""
        if p is None:
            return self.brier.of_only(np.empty((0, len(BRIER))))
        kept = np.ones(len(chunk), dtype=bool)
        if isinstance(chunk.p, Counts):
            kept = chunk.p.votes > 1
        prob = p.prob[kept]
        before = _brier(prob, np.exp(log_q[kept]))
        after = _brier(prob, np.exp(log_c[kept]))
        floor = _brier_floor(chunk.p[kept], prob)
        return self.brier.of_only(
            np.stack([before, floor, before - after, after - floor, before - floor], axis=1),
            None if chunk.weights is None else chunk.weights[kept],
            clusters=None if chunk.clusters is None else chunk.clusters[kept],
            keys=chunk.keys[kept],
        )


def reliability_of(chunk: Chunk, laws: tuple[Law | None, Law] | None = None) -> Reliability:
    """How P at Q's most probable class follows Q's confidence, in one chunk.

    Args:
        chunk: rows of P and Q.
        laws: the distributions of its P (see `law_of`) and its Q, where formed already.
    """
    p, q = (law_of(chunk.p), chunk.q.law()) if laws is None else laws
    return Reliability.empty().of_only(confidence(q), _mass(chunk.p, p, q), chunk.weights)


def _mass(p: View, law: Law | None, q: Law) -> Floats:
    """P's probability of Q's most probable class; (n,)."""
    if law is None:
        hit: Floats = top_shares(q)[np.arange(len(p)), p.array]
        return hit
    return at_top(law, q)


def _brier(p: Floats, q: Floats) -> Floats:
    score: Floats = 1.0 - 2.0 * np.einsum("ik,ik->i", p, q) + np.einsum("ik,ik->i", q, q)
    return score


def _brier_floor(p: View, prob: Floats) -> Floats:
    """Unbiased for 1 - sum p^2: of m votes, the share of ordered pairs that disagree."""
    if isinstance(p, Counts):
        return _pairs_apart(p.array.astype(np.float64), p.votes)
    return 1.0 - row_sums(np.square(prob))
