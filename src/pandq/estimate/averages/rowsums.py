"""RowSums: the Summary behind every plain average of an audit."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from pandq.core.numerics import blocks
from pandq.estimate.averages import votemeans
from pandq.estimate.averages.lossmeans import GroupLossMeans, LossMeans
from pandq.estimate.averages.votemeans import Answers, averages
from pandq.quantities import QUANTITIES, keys
from pandq.rows import RowMeasures, measure_rows
from pandq.sums.summary import Summary, merged_by, summary
from pandq.sums.tallies import LogHistogram, Shown, WorstRows, near_top, plain
from pandq.views import Counts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from pandq.read.chunks import Chunk
    from pandq.results.estimate import Estimate

    Rows = NDArray[np.float64]

AVERAGES = keys("average")
LOSSES = tuple(name for name in AVERAGES if QUANTITIES[name].unit)
# what is finite whatever Q rules out
ALWAYS = tuple(name for name in AVERAGES if name not in ("cross_entropy", "kl"))
# what classes in their order have besides
ORDERED = keys("ordered")
DETAILS = (
    "kl",
    "cross_entropy",
    "entropy",
    "expected_accuracy",
    "confidence",
    "p_class",
    "q_class",
)

INFINITE_SHOWN = 20
# Of a row that is shown, P and Q over so many classes.
TOP = 12


@summary
class RowSums(Summary):
    """What is kept of the rows that have gone by."""

    means: LossMeans
    divergence: LogHistogram
    worst: WorstRows
    infinite: WorstRows
    classes: GroupLossMeans
    groups: Mapping[str, GroupLossMeans]
    least_votes: float = merged_by(min)
    most_votes: float = merged_by(max)

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
        """No rows; `replicates` of a bootstrap seeded with `seed`, if its intervals are wanted."""
        names = LOSSES, (*ALWAYS, *ORDERED) if ordered else ALWAYS
        return cls(
            means=LossMeans.empty(
                *names, replicates=replicates, seed=seed, of_votes=votemeans.AVERAGES
            ),
            divergence=LogHistogram.empty(),
            worst=WorstRows.empty(worst, len(DETAILS)),
            infinite=WorstRows.empty(INFINITE_SHOWN, len(DETAILS)),
            classes=GroupLossMeans.empty(*names, numbered=True),
            groups={name: GroupLossMeans.empty(*names) for name in by},
            least_votes=np.inf,
            most_votes=0.0,
        )

    def of_only(self, chunk: Chunk, measured: RowMeasures | None = None) -> Self:
        """The sums of one chunk."""
        m = self.measured(chunk) if measured is None else measured
        finite = np.isfinite(m.cross_entropy)
        rows = m.columns(*LOSSES), m.columns(*self.means.others.names), chunk.weights
        row = np.arange(chunk.start, chunk.start + len(chunk))
        votes = chunk.p.votes if isinstance(chunk.p, Counts) else np.zeros(0)
        clusters = chunk.clusters
        of_votes = partial(averages, ordered=self.ordered)
        return type(self)(
            means=self.means.of_only(
                *rows, clusters=clusters, keys=chunk.keys, answers=Answers.of(chunk, of_votes)
            ),
            divergence=self.divergence.of_only(m.kl, chunk.weights),
            worst=extreme_rows(self.worst, finite, m, row, chunk),
            infinite=extreme_rows(self.infinite, ~finite, m, row, chunk),
            classes=self.classes.of_only_by_top(chunk.p, m.p_class, *rows, clusters=clusters),
            groups={
                name: self.groups[name].of_only(codes, names, *rows, clusters=clusters)
                for name, (codes, names) in chunk.groups.items()
                if name in self.groups
            },
            least_votes=float(votes.min(initial=np.inf)),
            most_votes=float(votes.max(initial=0.0)),
        )

    def measured(self, chunk: Chunk) -> RowMeasures:
        """What is to be averaged of each row of a chunk."""
        return measure_rows(chunk.p, chunk.q, ordered=self.ordered)

    @property
    def ordered(self) -> bool:
        """Are the classes in their order?"""
        return set(ORDERED) <= set(self.means.others.names)

    @property
    def n(self) -> int:
        """How many rows went by."""
        return self.means.n

    @property
    def weight(self) -> float:
        """Their total weight."""
        return self.means.weight

    @property
    def n_clusters(self) -> int:
        """How many clusters they are in; 0 where none were given."""
        return self.means.others.clusters.n_clusters()

    @property
    def n_annotators(self) -> int:
        """How many people gave the votes; 0 where that is not known of every vote."""
        return self.means.n_annotators

    @property
    def source(self) -> dict[str, Any]:
        """How many rows there are, and annotators where these are known."""
        people = self.n_annotators
        return {"rows": self.n, "annotators": people} if people else {"rows": self.n}

    @property
    def n_infinite(self) -> int:
        """How many of them have an infinite loss."""
        return self.means.n_infinite

    def estimate(self, name: str, *, level: float) -> Estimate:
        """The mean of one measure over all rows; infinite where it is infinite in any."""
        return self.means.estimate(name, level=level)

    def kl(self, *, level: float) -> tuple[Estimate, Estimate | None]:
        """KL(P||Q) as far as it is known without a floor, and of votes the plug-in figure.

        The shares of a few votes have too little entropy, so that their divergence from Q, though
        P were Q, is not zero: it is an upper bound, by Jensen's inequality, and no estimate.
        """
        found = self.estimate("kl", level=level)
        if self.most_votes <= 1:
            return found, None
        plug_in = replace(found, name="kl_plug_in", method=f"{found.method}, of the votes' shares")
        if self.n_infinite:
            return found, plug_in
        how = "of votes, without a floor: at most what their shares have"
        return found.ranged(0.0, found.high, how), plug_in


def extreme_rows(
    blank: WorstRows,
    which: NDArray[np.bool_],
    m: RowMeasures,
    row: NDArray[np.int64],
    chunk: Chunk,
) -> WorstRows:
    """The worst of some rows."""
    if which.all():
        worst = blank.chosen(m.kl, row)
    else:
        place = np.flatnonzero(which)
        if not len(place):
            return WorstRows.empty(blank.k, len(DETAILS))
        worst = place[blank.chosen(m.kl[place], row[place])]
    details = np.stack([getattr(m, name)[worst] for name in DETAILS], axis=1)
    shown: list[Shown] = []
    for some in blocks(len(worst), chunk.q.n_classes or 1):
        laws = (view[worst[some]].law().prob for view in (chunk.p, chunk.q))
        ids = (plain(chunk.ids[int(i)]) for i in worst[some])
        shown += [Shown(one, *top) for one, top in zip(ids, _largest_of_each(*laws), strict=True)]
    return blank.of_only(m.kl[worst], row[worst], details, shown)


def _largest_of_each(p: Rows, q: Rows) -> Iterator[tuple[NDArray[np.intp], Rows, Rows]]:
    """The classes of each of (n, K) rows that matter most to P or to Q, and both there."""
    if p.shape[1] > TOP:
        return (_largest(*row) for row in zip(p, q, strict=True))
    top = np.argsort(-np.maximum(p, q), axis=1, kind="stable")
    return zip(top, *(np.take_along_axis(x, top, axis=1) for x in (p, q)), strict=True)


def _largest(p: Rows, q: Rows) -> tuple[NDArray[np.intp], Rows, Rows]:
    """Those of one row.

    Of classes that are equal at the edge of what is shown none is, unless nothing else would be.
    """
    most = np.maximum(p, q)
    # of a vocabulary hardly any class can be shown, and the others are not worth sorting
    top = near_top(most, TOP + 1)
    top = top[np.argsort(-most[top], kind="stable")]
    if len(top) > TOP:
        above = int((most[top] > most[top[TOP]]).sum())
        top = top[: above or TOP]
    return top, p[top], q[top]
