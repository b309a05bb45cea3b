"""RowSums: the Summary behind every plain average of an audit."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from pandq.core.hashing import hash_ids
from pandq.estimate.intervals import Estimate, mean_estimate
from pandq.rows import RowMeasures, measure_rows
from pandq.sums.clusters import ClusterTotals
from pandq.sums.moments import GroupMoments, Moments
from pandq.sums.tallies import LogHistogram, WorstRows
from pandq.views import Counts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from pandq.read.scan import Chunk

    Rows = NDArray[np.float64]

LOSSES = ("cross_entropy", "entropy", "kl")
SCORES = ("accuracy", "mass", "brier", "confidence", "q_entropy", "entropy")
DETAILS = ("kl", "cross_entropy", "entropy", "mass", "confidence", "p_class", "q_class")
GROUPED = ("cross_entropy", "entropy", "kl", "accuracy", "mass", "confidence", "brier")

INFINITE_SHOWN = 20


@dataclass(frozen=True, slots=True, eq=False)
class RowSums:
    """What is kept of the rows that have gone by.

    `losses` are over the rows whose cross entropy is finite, `scores` over all rows; the
    groups' means are over their finite rows, with the infinite ones counted beside.
    """

    losses: Moments
    scores: Moments
    loss_clusters: ClusterTotals
    score_clusters: ClusterTotals
    divergence: LogHistogram
    worst: WorstRows
    infinite: WorstRows
    n_infinite: int
    classes: GroupMoments
    class_clusters: ClusterTotals
    groups: Mapping[str, GroupMoments]
    group_clusters: Mapping[str, ClusterTotals]
    least_votes: float
    most_votes: float

    @classmethod
    def empty(cls, *, by: Sequence[str] = (), worst: int = 10) -> Self:
        """No rows."""
        return cls(
            Moments.empty(len(LOSSES)),
            Moments.empty(len(SCORES)),
            ClusterTotals.empty(len(LOSSES)),
            ClusterTotals.empty(len(SCORES)),
            LogHistogram.empty(),
            WorstRows.empty(worst, len(DETAILS)),
            WorstRows.empty(INFINITE_SHOWN, len(DETAILS)),
            0,
            GroupMoments.empty(len(GROUPED)),
            ClusterTotals.empty(len(GROUPED)),
            {name: GroupMoments.empty(len(GROUPED)) for name in by},
            {name: ClusterTotals.empty(len(GROUPED)) for name in by},
            np.inf,
            0.0,
        )

    def of(self, chunk: Chunk, measured: RowMeasures | None = None) -> Self:
        """The sums of one chunk."""
        m = measure_rows(chunk.p, chunk.q) if measured is None else measured
        finite = np.isfinite(m.cross_entropy)
        kept = slice(None) if finite.all() else finite
        w = None if chunk.weights is None else chunk.weights
        w_kept = None if w is None else w[kept]
        losses, scored = m.columns(*LOSSES)[kept], m.columns(*SCORES)
        grouped, details = m.columns(*GROUPED)[kept], m.columns(*DETAILS)
        row = np.arange(chunk.start, chunk.start + len(chunk))
        clusters = chunk.clusters

        def totals(blank: ClusterTotals, x: Rows, group: Any, rows: Any, w: Any) -> ClusterTotals:
            if clusters is None:
                return blank
            keys = np.broadcast_to(np.asarray(group, np.uint64), len(x))
            return blank.of(keys, clusters[rows], x, w)

        p_class = m.p_class.astype(np.intp)[kept]
        class_names = tuple(str(k) for k in range(chunk.q.n_classes or 1))
        everything = slice(None)
        votes = chunk.p.votes if isinstance(chunk.p, Counts) else None
        return type(self)(
            self.losses.of(losses, w_kept),
            self.scores.of(scored, w),
            totals(self.loss_clusters, losses, 0, kept, w_kept),
            totals(self.score_clusters, scored, 0, everything, w),
            self.divergence.of(m.kl, w),
            self._extreme(self.worst, finite, m.kl, row, details, chunk.ids),
            self._extreme(self.infinite, ~finite, m.kl, row, details, chunk.ids),
            int(len(finite) - finite.sum()),
            self.classes.of(p_class, class_names, grouped, w_kept),
            totals(self.class_clusters, grouped, group_keys(class_names)[p_class], kept, w_kept),
            {
                name: self.groups[name].of(codes[kept], names, grouped, w_kept)
                for name, (codes, names) in chunk.groups.items()
            },
            {
                name: totals(
                    self.group_clusters[name], grouped, group_keys(names)[codes][kept], kept, w_kept
                )
                for name, (codes, names) in chunk.groups.items()
            },
            np.inf if votes is None else float(votes.min(initial=np.inf)),
            0.0 if votes is None else float(votes.max(initial=0.0)),
        )

    def merge(self, other: Self) -> Self:
        """Both together."""
        return type(self)(
            *(_merged(getattr(self, f.name), getattr(other, f.name), f.name) for f in fields(self))
        )

    @property
    def n(self) -> int:
        """How many rows went by."""
        return self.scores.n

    def estimate(self, name: str, *, level: float, what: str = "") -> Estimate:
        """The mean of one measure, over all rows where that is finite for all of them."""
        method = "mean over rows, Student t"
        if name in SCORES:
            names, moments, clusters = SCORES, self.scores, self.score_clusters
        else:
            names, moments, clusters = LOSSES, self.losses, self.loss_clusters
            if self.n_infinite:
                text = f"infinite: q = 0 < p in {self.n_infinite} rows"
                return Estimate(np.inf, np.inf, np.inf, level, "nat", self.n, text, what or name)
        return self._mean(names.index(name), moments, clusters, level, method, what or name)

    def finite_part(self, name: str, *, level: float) -> Estimate:
        """The mean of a loss over the rows where it is finite."""
        method = "mean over the rows where it is finite, Student t"
        i = LOSSES.index(name)
        return self._mean(i, self.losses, self.loss_clusters, level, method, name)

    def _mean(
        self,
        i: int,
        moments: Moments,
        clusters: ClusterTotals,
        level: float,
        method: str,
        name: str,
    ) -> Estimate:
        degrees, variance = moments.n - 1, moments.mean_covariance()[i, i]
        if len(clusters.cluster):
            degrees, variance = clusters.n_clusters() - 1, clusters.mean_covariance()[i, i]
            method = method.replace("Student t", f"cluster-robust, {degrees + 1} clusters")
        return mean_estimate(
            float(moments.mean[i]),
            float(variance),
            degrees=degrees,
            n=moments.n,
            level=level,
            unit=_UNITS.get(name, "nat"),
            method=method,
            name=name,
        )

    @staticmethod
    def _extreme(
        blank: WorstRows,
        which: NDArray[np.bool_],
        value: Rows,
        row: NDArray[np.int64],
        details: Rows,
        ids: Any,
    ) -> WorstRows:
        if which.all():
            return blank.of(value, row, details, ids)
        place = np.flatnonzero(which)
        return blank.of(value[place], row[place], details[place], _Picked(ids, place))


_UNITS = dict.fromkeys(("accuracy", "mass", "brier", "confidence"), "")


@dataclass(frozen=True, slots=True)
class _Picked:
    """Ids of some rows, looked up only when they are asked for."""

    ids: Any
    place: NDArray[np.intp]

    def __getitem__(self, i: int) -> Any:
        return self.ids[int(self.place[i])]


def group_keys(names: Sequence[str]) -> NDArray[np.uint64]:
    """Names as the keys under which ClusterTotals tells groups apart; never 0, which is all."""
    return hash_ids(np.array(names, dtype=np.str_)) | np.uint64(1)


def _merged(a: Any, b: Any, name: str) -> Any:
    if name == "least_votes":
        return min(a, b)
    if name == "most_votes":
        return max(a, b)
    if isinstance(a, dict):
        return {key: a[key].merge(b[key]) for key in a}
    return a + b if isinstance(a, int) else a.merge(b)
