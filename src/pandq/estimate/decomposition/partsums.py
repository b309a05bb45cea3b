"""PartSums: the Summary of the second pass, the parts of every row under what was trained."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Self

import numpy as np

from pandq.core.columns import Columns
from pandq.estimate.averages import votemeans
from pandq.estimate.averages.lossmeans import GroupLossMeans, LossMeans
from pandq.estimate.averages.votemeans import Answers
from pandq.estimate.decomposition.rowparts import row_parts
from pandq.estimate.decomposition.scored import BRIER, RPS, score_means, scored_rows
from pandq.estimate.decomposition.trained import MODEL, Trained
from pandq.recalibrator import Recalibrator
from pandq.sums.reliability import Reliability
from pandq.sums.summary import Summary, summary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from pandq.estimate.averages.means import Means
    from pandq.estimate.decomposition.rowparts import RowParts
    from pandq.read.chunks import Chunk, VotesOfRows

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


@summary
class PartSums(Summary):
    """The Summary of the second pass: the parts of every row under what was trained."""

    parts: LossMeans
    scores: Mapping[str, Means]
    reliability: Reliability
    classes: GroupLossMeans
    groups: Mapping[str, GroupLossMeans]

    @classmethod
    def empty(
        cls,
        *,
        by: Sequence[str] = (),
        votes: bool = False,
        ordered: bool = False,
        replicates: int = 0,
        seed: int = 0,
    ) -> Self:
        """No rows; `votes` also have a model-based floor, and bounds that ignore Q."""
        names: tuple[tuple[str, ...], tuple[str, ...]] = (LOSSES, PARTS)
        if votes:
            names = ((*LOSSES, *BLIND_LOSSES), (*PARTS, MODEL, *BLIND))
        return cls(
            LossMeans.empty(*names, replicates=replicates, seed=seed, of_votes=votemeans.PARTS),
            {
                score: score_means(score, replicates=replicates, seed=seed)
                for score in ((BRIER, RPS) if ordered else (BRIER,))
            },
            Reliability.empty(),
            GroupLossMeans.empty(*names, numbered=True),
            {name: GroupLossMeans.empty(*names) for name in by},
        )

    def of_only(self, chunk: Chunk, trained: Trained) -> Self:
        """The parts of one chunk."""
        unit = trained.unit_of(chunk)
        found = trained.parts(chunk.p, chunk.q, trained.recalibration, unit)
        losses, parts = self._rows(chunk, trained, found, unit)
        rows = losses, parts, chunk.weights
        clusters = chunk.clusters
        return type(self)(
            self.parts.of_only(
                *rows,
                clusters=clusters,
                keys=chunk.keys,
                answers=Answers.of(chunk, partial(_of_votes, trained=trained)),
            ),
            {
                score: scored_rows(blank, chunk, found, trained, unit)
                for score, blank in self.scores.items()
            },
            reliability_of(chunk, found),
            self.classes.of_only_by_top(chunk.q, found.q_class, *rows, clusters=clusters),
            {
                name: self.groups[name].of_only(codes, values, *rows, clusters=clusters)
                for name, (codes, values) in chunk.groups.items()
            },
        )

    def _rows(
        self, chunk: Chunk, trained: Trained, found: RowParts, unit: Keys
    ) -> tuple[Columns, Columns]:
        """Each row's losses and finite parts, in the order of their names."""
        loss, after, q = found.loss, found.recalibrated, np.zeros((0, 0))
        none = np.zeros(len(chunk))
        if trained.label_type == "full" and found.entropy is not None:
            low = high = found.entropy
        elif trained.certificates is not None:
            q = chunk.q.law().prob
            low, high = trained.certified(chunk.p, q, unit)
        else:
            low, high = none, after
            if trained.best is not None and chunk.best_q is not None:
                high = trained.parts(chunk.p, chunk.best_q, trained.best, unit).recalibrated
        votes = trained.label_type == "votes"
        blind_low, blind_high = trained.blind_bounds(chunk.p, unit) if votes else (low, high)
        if trained.bounding.blindly:
            low, high = blind_low, blind_high
        gain = loss - after
        losses = [loss, gain, gain if high is after else loss - high, loss - low]
        parts = [after, low, high, after - high, after - low]
        if low is none and high is after:
            # of one label: what is the same numbers is summed once
            losses[3], parts[3:] = loss, [none, after]
        if votes:
            losses += [loss - blind_low]
            parts += [trained.model_floor(chunk.p, q, unit), blind_low, blind_high]
            parts += [after - blind_low, high - low, trained.agreement(chunk.p, unit)]
        return Columns(losses), Columns(parts)


def _of_votes(votes: VotesOfRows, *, trained: Trained) -> dict[str, Floats]:
    """What each vote adds to the losses before and after recalibration."""
    rows = votes.rows
    found = trained.parts(rows.p, rows.q, trained.recalibration, trained.unit_of(rows))
    gain = found.loss - found.recalibrated
    return dict(zip(votemeans.PARTS, (found.loss, gain, found.recalibrated), strict=True))


def reliability_of(chunk: Chunk, found: RowParts | None = None) -> Reliability:
    """How P at Q's most probable class follows Q's confidence, in one chunk.

    Args:
        chunk: rows of P and Q.
        found: of its rows, where they were measured already.
    """
    if found is None:
        k = chunk.q.n_classes
        plain = Recalibrator("identity", {}, 0.0, np.full(k, 1 / k), 0.0, 0)
        found = row_parts(chunk.p, chunk.q, np.zeros(len(chunk), np.intp), [plain])
    return Reliability.empty().of_only(found.confidence, found.hit, chunk.weights)
