"""Paired differences: over the same rows, Q's loss less that of the model it is compared with.

KL(P||Q) - KL(P||A) = H(P,Q) - H(P,A): the floor H(P) is the same in both and cancels, row by row,
so that the difference is identified even by one label per row, and its interval does not contain
the rows' own difficulty.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Self

import numpy as np

from pandq.estimate.averages.lossmeans import GroupLossMeans, LossMeans
from pandq.estimate.averages.means import Means
from pandq.estimate.averages.perbyte import no_bytes, of_bytes
from pandq.estimate.averages.rowsums import ORDERED
from pandq.estimate.averages.votemeans import DIFFERENCES, Answers, difference
from pandq.estimate.averages.votemeans import apart as less
from pandq.quantities import DIFFERENCE
from pandq.rows import measure_rows
from pandq.sums.summary import Summary, summary
from pandq.sums.tallies import WorstRows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from pandq.read.chunks import Chunk, VotesOfRows
    from pandq.rows import RowMeasures

    Rows = NDArray[np.float64]

LOSS = f"cross_entropy{DIFFERENCE}"
SCORES = ("accuracy", "expected_accuracy", "brier", "confidence")
WINS = ("against_better", "tie", "q_better", "same_top1")
DETAILS = (
    "difference",
    "against_cross_entropy",
    "q_cross_entropy",
    "p_class",
    "against_class",
    "q_class",
)


@summary
class PairSums(Summary):
    """What is kept of the rows that have gone by, for one Q against another.

    Two losses that are infinite in the same row are equally bad there; where only one is, so is
    their difference.
    """

    means: LossMeans
    wins: Means
    classes: GroupLossMeans
    groups: Mapping[str, GroupLossMeans]
    worse: WorstRows
    better: WorstRows
    infinite_q: int
    infinite_against: int
    per_byte: LossMeans

    @classmethod
    def empty(
        cls,
        *,
        by: Sequence[str] = (),
        worst: int = 10,
        ordered: bool = False,
        replicates: int = 0,
        seed: int = 0,
    ) -> Self:
        """No rows."""
        scores = (*SCORES, *ORDERED) if ordered else SCORES
        return cls(
            LossMeans.empty(
                (LOSS,),
                tuple(f"{x}{DIFFERENCE}" for x in scores),
                replicates=replicates,
                seed=seed,
                of_votes=DIFFERENCES,
            ),
            Means.empty(WINS),
            GroupLossMeans.empty((LOSS,), (), numbered=True),
            {name: GroupLossMeans.empty((LOSS,), ()) for name in by},
            WorstRows.empty(worst, len(DETAILS)),
            WorstRows.empty(worst, len(DETAILS)),
            0,
            0,
            no_bytes(),
        )

    def of_only(
        self, chunk: Chunk, against: RowMeasures, q: RowMeasures, same_top: Rows, place: int = 0
    ) -> Self:
        """The differences of one chunk, and how much of one's top class is the other's.

        Args:
            chunk: with P, and the Qs.
            against: of the first.
            q: of the rival.
            same_top: (n,) how much of one's top class is the other's.
            place: of the rival among those of the chunk.
        """
        losses = against.cross_entropy, q.cross_entropy
        apart = less(*losses)
        of_votes = partial(_of_votes, place=place, ordered=q.rps is not None)
        names = [name.removesuffix(DIFFERENCE) for name in self.means.others.names]
        scores = [getattr(q, name) - getattr(against, name) for name in names]
        w, clusters = chunk.weights, chunk.clusters
        x, nothing = apart[:, None], np.empty((len(apart), 0))
        won = [apart > 0, apart == 0, apart < 0, same_top]
        details = (apart, *losses, q.p_class, against.q_class, q.q_class)
        return type(self)(
            self.means.of_only(
                x,
                np.stack(scores).T,
                w,
                clusters=clusters,
                keys=chunk.keys,
                answers=Answers.of(chunk, of_votes),
            ),
            self.wins.of_only(np.stack(won).T.astype(np.float64), w, clusters=clusters),
            self.classes.of_only_by_top(chunk.p, q.p_class, x, nothing, w, clusters=clusters),
            {
                name: self.groups[name].of_only(codes, values, x, nothing, w, clusters=clusters)
                for name, (codes, values) in chunk.groups.items()
            },
            _extreme(self.worse, apart, details, chunk),
            _extreme(self.better, -apart, details, chunk),
            int(np.isinf(losses[1]).sum()),
            int(np.isinf(losses[0]).sum()),
            of_bytes(self.per_byte, chunk, apart),
        )


def _of_votes(votes: VotesOfRows, *, place: int, ordered: bool) -> dict[str, Rows]:
    """What each vote adds to the differences of a rival."""
    rows = votes.rows
    both = rows.q, rows.rivals[place]
    return difference(*(measure_rows(rows.p, view, ordered=ordered) for view in both))


def _extreme(blank: WorstRows, value: Rows, details: Sequence[Rows], chunk: Chunk) -> WorstRows:
    """The rows of the largest value, of those where it is positive."""
    place = np.flatnonzero(value > 0)
    row = np.arange(chunk.start, chunk.start + len(chunk))
    worst = place[blank.chosen(value[place], row[place])]
    shown = np.stack([column[worst] for column in details], axis=1)
    return blank.of_only(value[worst], row[worst], shown, [chunk.ids[int(i)] for i in worst])
