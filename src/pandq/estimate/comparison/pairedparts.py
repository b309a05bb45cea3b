"""What recalibration does to the difference of two models: its two parts that do not cancel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from threadpoolctl import threadpool_limits

from pandq.estimate.averages.lossmeans import LossMeans
from pandq.estimate.averages.votemeans import DIFFERENCES, Answers
from pandq.estimate.calibration.crossfit import CrossFit, crossfit, default_kinds
from pandq.estimate.comparison.firstpass import MOST_CLASSES, ComparisonSums
from pandq.estimate.decomposition.rowparts import row_parts
from pandq.estimate.sampling import (
    FOLDS,
    folds_of,
    reasons_to_stop,
    rival_name,
    shares_of,
    weights_of,
)
from pandq.quantities import DIFFERENCE
from pandq.sums.summary import Summary, summary

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pandq.engines.run import Run
    from pandq.read.chunks import Chunk, MemoryScan, VotesOfRows
    from pandq.read.scan import Scan
    from pandq.sums.sample import Sample

    Rows = NDArray[np.float64]
    Keys = NDArray[np.uint64]


CALIBRATION, GROUPING = f"calibration_loss{DIFFERENCE}", f"grouping_loss{DIFFERENCE}"


@dataclass(frozen=True, slots=True, eq=False)
class PairedMaps:
    """Each model's own recalibration maps, cross-fitted in the same folds."""

    seed: int
    fits: tuple[CrossFit, ...]

    @classmethod
    def of(cls, sample: Sample, n_models: int, *, seed: int, ordered: bool = False) -> Self:
        """Fit the maps of the first model and of its rivals on a sample that has them all."""
        columns = sample.columns
        folds, p = folds_of(columns["unit"], FOLDS, seed), shares_of(columns["p"])
        names = ["log_q", *(rival_name(place) for place in range(n_models - 1))]
        kinds = default_kinds(columns["log_q"].shape[1], ordered=ordered)
        told: dict[str, Any] = {"kinds": kinds, "weights": weights_of(sample)}
        fits = (crossfit(p, columns[name], folds, n_folds=FOLDS, **told) for name in names)
        return cls(seed, tuple(fits))

    def losses(self, chunk: Chunk) -> list[tuple[Rows, Rows]]:
        """Each model's cross entropies before and after the map that never saw the row."""
        unit = chunk.keys if chunk.clusters is None else chunk.clusters
        folds = folds_of(unit, FOLDS, self.seed)
        found = (
            row_parts(chunk.p, view, folds, fit.by_fold(FOLDS))
            for view, fit in zip((chunk.q, *chunk.rivals), self.fits, strict=True)
        )
        return [(one.loss, one.recalibrated) for one in found]


@summary
class PartDifferences(Summary):
    """Each rival's grouping and calibration loss less those of the first.

    Of H(P,Q) = floor + grouping loss + calibration loss the floor is the same; the difference of
    the losses after recalibration is that of the grouping losses, and is finite in every row.
    """

    pairs: tuple[LossMeans, ...]

    @classmethod
    def empty(cls, n_pairs: int) -> Self:
        """No rows."""
        return cls((LossMeans.empty((CALIBRATION,), (GROUPING,), of_votes=DIFFERENCES),) * n_pairs)

    def of_only(self, chunk: Chunk, maps: PairedMaps) -> Self:
        """The differences of one chunk."""
        found = []
        for place, (means, (won, rest)) in enumerate(
            zip(self.pairs, _apart(chunk, maps), strict=True)
        ):
            rows = won[:, None], rest[:, None], chunk.weights
            answers = Answers.of(chunk, partial(_of_votes, maps=maps, place=place))
            found.append(means.of_only(*rows, clusters=chunk.clusters, answers=answers))
        return type(self)(tuple(found))


def _apart(chunk: Chunk, maps: PairedMaps) -> list[tuple[Rows, Rows]]:
    """By how much more each rival gains from its map than the first, and by how much it is left."""
    (before, after), *others = maps.losses(chunk)
    found = []
    for loss, left in others:
        with np.errstate(invalid="ignore"):
            won = (loss - left) - (before - after)
        rest = left - after
        found.append((np.where(loss == before, -rest, won), rest))
    return found


def _of_votes(votes: VotesOfRows, *, maps: PairedMaps, place: int) -> dict[str, Rows]:
    """What each vote adds to both."""
    return dict(zip((CALIBRATION, GROUPING), _apart(votes.rows, maps)[place], strict=True))


def split_by(
    sums: ComparisonSums, rows: Scan | MemoryScan, run: Run, *, seed: int, ordered: bool
) -> tuple[list[str], PartDifferences | None]:
    """What recalibration would do to each difference, or why that is not said.

    Args:
        sums: of the first pass, with a sample to train on.
        rows: what the second pass goes through.
        run: who goes through them.
        seed: random seed of the folds.
        ordered: whether the classes are in their order.
    """
    if not sums.pairs:
        return [], None
    if sums.shape.n_classes > MOST_CLASSES:
        return [f"more than {MOST_CLASSES:,} classes: no recalibration was tried"], None
    notes = reasons_to_stop(sums.sample, sums.shape.n_classes)
    if notes:
        return notes, None
    run.tell("fitting maps")
    # many small products: BLAS threads would cost more than they bring
    with threadpool_limits(limits=1, user_api="blas"):
        maps = PairedMaps.of(sums.sample, len(sums.models), seed=seed, ordered=ordered)
    empty = PartDifferences.empty(len(sums.pairs))
    return [], run.summarise("recalibrating", rows, partial(_parted, empty=empty, maps=maps), empty)


def _parted(chunk: Chunk, *, empty: PartDifferences, maps: PairedMaps) -> PartDifferences:
    """What recalibration does to the differences in one chunk."""
    return empty.of_only(chunk, maps)
