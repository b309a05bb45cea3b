"""RowSums: the Summary behind every plain average of an audit."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from pandq.estimate.intervals import Estimate
from pandq.estimate.means import GroupMeans, Means
from pandq.rows import RowMeasures, measure_rows
from pandq.sums.tallies import LogHistogram, WorstRows, plain
from pandq.views import Counts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from pandq.read.chunks import Chunk

    Rows = NDArray[np.float64]

LOSSES = ("cross_entropy", "entropy", "kl")
SCORES = ("accuracy", "mass", "brier", "confidence")
DETAILS = ("kl", "cross_entropy", "entropy", "mass", "confidence", "p_class", "q_class")
GROUPED = (*LOSSES, *SCORES)

INFINITE_SHOWN = 20
# Of a row that is shown, the laws over so many classes.
TOP = 12


@dataclass(frozen=True, slots=True, eq=False)
class RowSums:
    """What is kept of the rows that have gone by.

    `losses` and the groups are over the rows whose cross entropy is finite, `scores` and
    `entropies` (P's) over all rows.
    """

    losses: Means
    scores: Means
    entropies: Means
    divergence: LogHistogram
    worst: WorstRows
    infinite: WorstRows
    n_infinite: int
    classes: GroupMeans
    groups: Mapping[str, GroupMeans]
    least_votes: float
    most_votes: float

    @classmethod
    def empty(
        cls, *, by: Sequence[str] = (), worst: int = 10, replicates: int = 0, seed: int = 0
    ) -> Self:
        """No rows; `replicates` of a bootstrap seeded with `seed`, if its intervals are wanted."""
        return cls(
            losses=Means.empty(LOSSES, replicates=replicates, seed=seed),
            scores=Means.empty(SCORES, replicates=replicates, seed=seed),
            entropies=Means.empty(("entropy",), replicates=replicates, seed=seed),
            divergence=LogHistogram.empty(),
            worst=WorstRows.empty(worst, len(DETAILS)),
            infinite=WorstRows.empty(INFINITE_SHOWN, len(DETAILS)),
            n_infinite=0,
            classes=GroupMeans.empty(GROUPED),
            groups={name: GroupMeans.empty(GROUPED) for name in by},
            least_votes=np.inf,
            most_votes=0.0,
        )

    def of(self, chunk: Chunk, measured: RowMeasures | None = None) -> Self:
        """The sums of one chunk."""
        m = measure_rows(chunk.p, chunk.q) if measured is None else measured
        finite = np.isfinite(m.cross_entropy)
        kept: Any = slice(None) if finite.all() else finite
        w, clusters = chunk.weights, chunk.clusters
        some: dict[str, Any] = {
            "w": None if w is None else w[kept],
            "clusters": None if clusters is None else clusters[kept],
        }
        every: dict[str, Any] = {"w": w, "clusters": clusters, "keys": chunk.keys}
        grouped = m.columns(*GROUPED)[kept]
        row = np.arange(chunk.start, chunk.start + len(chunk))
        classes = tuple(str(k) for k in range(chunk.q.n_classes or 1))
        votes = chunk.p.votes if isinstance(chunk.p, Counts) else np.zeros(0)
        return type(self)(
            losses=self.losses.of(m.columns(*LOSSES)[kept], keys=chunk.keys[kept], **some),
            scores=self.scores.of(m.columns(*SCORES), **every),
            entropies=self.entropies.of(m.columns("entropy"), **every),
            divergence=self.divergence.of(m.kl, w),
            worst=_extreme(self.worst, finite, m, row, chunk),
            infinite=_extreme(self.infinite, ~finite, m, row, chunk),
            n_infinite=int(len(finite) - finite.sum()),
            classes=self.classes.of(m.p_class.astype(np.intp)[kept], classes, grouped, **some),
            groups={
                name: self.groups[name].of(codes[kept], names, grouped, **some)
                for name, (codes, names) in chunk.groups.items()
                if name in self.groups
            },
            least_votes=float(votes.min(initial=np.inf)),
            most_votes=float(votes.max(initial=0.0)),
        )

    def merge(self, other: Self) -> Self:
        """Both together."""
        return type(self)(
            **{
                f.name: _merged(f.name, getattr(self, f.name), getattr(other, f.name))
                for f in fields(self)
            }
        )

    @property
    def n(self) -> int:
        """How many rows went by."""
        return self.scores.n

    @property
    def weight(self) -> float:
        """Their total weight."""
        return self.scores.moments.weight

    def estimate(self, name: str, *, level: float) -> Estimate:
        """The mean of one measure over all rows; infinite where it is infinite in any."""
        if name in SCORES:
            return self.scores.estimate(name, level=level, unit="")
        if name == "entropy":
            return self.entropies.estimate(name, level=level)
        if self.n_infinite:
            how = f"infinite: q = 0 < p in {self.n_infinite} rows"
            return Estimate(np.inf, np.inf, np.inf, level, "nat", self.n, how, name)
        return self.losses.estimate(name, level=level)

    def finite_part(self, name: str, *, level: float) -> Estimate:
        """The mean of a loss over the rows where it is finite."""
        return self.losses.estimate(
            name, level=level, method="mean over the rows where it is finite"
        )


def _extreme(
    blank: WorstRows,
    which: NDArray[np.bool_],
    m: RowMeasures,
    row: NDArray[np.int64],
    chunk: Chunk,
) -> WorstRows:
    """The worst of some rows."""
    place = np.flatnonzero(which)
    worst = place[blank.chosen(m.kl[place], row[place])]
    details = np.stack([getattr(m, name)[worst] for name in DETAILS], axis=1)
    shown = [Shown(plain(chunk.ids[int(i)]), *_laws(chunk, int(i))) for i in worst]
    return blank.of(m.kl[worst], row[worst], details, shown)


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """A row that a report shows: its id, and both laws where they are largest."""

    id: Any
    top: NDArray[np.intp]
    p: Rows
    q: Rows


def _laws(chunk: Chunk, i: int) -> tuple[NDArray[np.intp], Rows, Rows]:
    """The classes of a row that matter most to P or to Q, in their order, and both laws there."""
    p, q = (view[i : i + 1].law().prob[0] for view in (chunk.p, chunk.q))
    most = np.maximum(p, q)
    top = np.sort(np.argsort(-most, kind="stable")[:TOP])
    return top, p[top], q[top]


def _merged(name: str, a: Any, b: Any) -> Any:
    if name in ("least_votes", "most_votes"):
        return (min if name == "least_votes" else max)(a, b)
    if isinstance(a, dict):
        return {key: a[key].merge(b[key]) for key in a}
    return a + b if isinstance(a, int) else a.merge(b)
