"""PartSums: the Summary of the second pass, the parts of every row under what was trained."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Self

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
from pandq.views import Counts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from pandq.estimate.averages.means import Means
    from pandq.estimate.decomposition.rowparts import RowParts
    from pandq.read.chunks import Chunk, VotesOfRows
    from pandq.views import View

    Floats = NDArray[np.float64]
    Keys = NDArray[np.uint64]
    Bounds = Callable[[View, View, Keys], tuple[Floats, Floats]]


# What is infinite in a row in which Q rules out what happened, and what is finite in every row:
# a map leaves nothing at zero.
LOSSES = ("cross_entropy", "gain", "kl_low", "kl_high")


PARTS = (
    "refinement_loss",
    "floor_low",
    "floor_high",
    "grouping_loss_low",
    "grouping_loss_high",
    "expected_accuracy",
)


# Only votes have these: what Q's losses leave above bounds that ignore Q, those bounds, the gap of
# those that do not, and how far two votes of a row agree more than two of any rows.
BLIND_LOSSES = ("leak",)


BLIND = ("blind_low", "blind_high", "leak_recalibrated", "gap", "agreement")


class PartsOfRows(NamedTuple):
    """Each row before and after its map, and its losses and finite parts by their names' order."""

    found: RowParts
    losses: Columns
    parts: Columns


def parts_of_rows(chunk: Chunk, trained: Trained) -> PartsOfRows:
    """The parts of each row of a chunk, under what was trained."""
    unit = trained.unit_of(chunk)
    found = trained.parts(chunk.p, chunk.q, trained.recalibration, unit)
    loss, after, q = found.loss, found.recalibrated, np.zeros((0, 0))
    none = np.zeros(len(chunk))
    if trained.label_type == "full" and found.entropy is not None:
        low = high = found.entropy
    elif trained.certificates is not None:
        q = chunk.q.law().prob
        low, high = trained.bounds(chunk.p, chunk.q, unit)
    else:
        low, high = none, after
        if trained.best is not None and chunk.best_q is not None:
            high = trained.parts(chunk.p, chunk.best_q, trained.best, unit).recalibrated
    votes = trained.label_type == "votes"
    blindly = trained.bounding.blindly or not votes
    blind_low, blind_high = (low, high) if blindly else trained.blind_bounds(chunk.p, unit)
    gain = loss - after
    losses = [loss, gain, gain if high is after else loss - high, loss - low]
    parts = [after, low, high, after - high, after - low, found.hit]
    if low is none and high is after:
        # of one label: what is the same numbers is summed once
        losses[3], parts[3:5] = loss, [none, after]
    if votes:
        losses += [loss - blind_low]
        parts += [trained.model_floor(chunk.p, q, unit), blind_low, blind_high]
        parts += [after - blind_low, high - low, trained.agreement(chunk.p, unit)]
    return PartsOfRows(found, Columns(losses), Columns(parts))


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
        pooled: bool = False,
        replicates: int = 0,
        seed: int = 0,
    ) -> Self:
        """No rows; `votes` also have a model-based floor, and bounds that ignore Q.

        The bounds of a floor for a few people, who are all that there are, vary with rows alone.
        """
        names: tuple[tuple[str, ...], tuple[str, ...]] = (LOSSES, PARTS)
        of_votes: tuple[str, ...] = votemeans.PARTS
        if votes:
            names = ((*LOSSES, *BLIND_LOSSES), (*PARTS, MODEL, *BLIND))
            of_votes += () if pooled else votemeans.BOUNDS
        return cls(
            LossMeans.empty(*names, replicates=replicates, seed=seed, of_votes=of_votes),
            {
                score: score_means(score, pooled=pooled, replicates=replicates, seed=seed)
                for score in ((BRIER, RPS) if ordered else (BRIER,))
            },
            Reliability.empty(),
            GroupLossMeans.empty(*names, numbered=True),
            {name: GroupLossMeans.empty(*names) for name in by},
        )

    def of_only(self, chunk: Chunk, trained: Trained, of: PartsOfRows | None = None) -> Self:
        """The parts of one chunk, of whose rows they may be known already."""
        of = parts_of_rows(chunk, trained) if of is None else of
        found, rows, unit = of.found, (of.losses, of.parts, chunk.weights), trained.unit_of(chunk)
        of_votes = partial(_of_votes, chunk=chunk, trained=trained)
        clusters = chunk.clusters
        return type(self)(
            self.parts.of_only(
                *rows,
                clusters=clusters,
                keys=chunk.keys,
                answers=Answers.of(chunk, of_votes),
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


def _of_votes(votes: VotesOfRows, *, chunk: Chunk, trained: Trained) -> dict[str, Floats]:
    """What each vote adds to the losses before and after recalibration, and to what is between."""
    rows = votes.rows
    found = trained.parts(rows.p, rows.q, trained.recalibration, trained.unit_of(rows))
    loss, after = found.loss, found.recalibrated
    told = dict(zip(votemeans.PARTS, (loss, loss - after, after), strict=True))
    if trained.certificates is not None and trained.bounding.pool is None:

        def blindly(p: View, q: View, unit: Keys) -> tuple[Floats, Floats]:
            del q
            return trained.blind_bounds(p, unit)

        low, high = _of_bounds(votes, chunk, trained, trained.bounds)
        both = trained.bounding.blindly
        blind = (low, high) if both else _of_bounds(votes, chunk, trained, blindly)
        ends = (low, high, after - high, after - low, loss - high, loss - low, *blind)
        told |= dict(zip(votemeans.BOUNDS, ends, strict=True))
    return told


def _of_bounds(
    votes: VotesOfRows, chunk: Chunk, trained: Trained, bounds: Bounds
) -> tuple[Floats, Floats]:
    """How far each vote moves its row's bounds from where one for Q's top class would have them.

    Of bounds that are no means over votes this is, times the row's votes, what annotators' habits
    move them by: their error is that over rows and what such differences vary by between people.

    Source: Efron and Stein 1981, The jackknife estimate of variance, section 2.
    """
    rows = votes.rows
    said, top = rows.p.array, rows.q.law().prob.argmax(axis=1)
    other = np.flatnonzero(said != top)
    low, high = np.zeros((2, len(said)))
    if len(other):
        place = votes.row[other]
        some, unit = chunk[place], trained.unit_of(chunk)[place]
        as_top, each = some.p.array.astype(np.int64), np.arange(len(other))
        as_top[each, said[other]] -= 1
        as_top[each, top[other]] += 1
        of_row = bounds(some.p, some.q, unit)
        of_other = bounds(Counts.trusted(as_top, some.p.n_classes), some.q, unit)
        size = some.p.votes
        low[other], high[other] = (
            size * (one - two) for one, two in zip(of_row, of_other, strict=True)
        )
    return low, high


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
