"""The loss of a model on what was drawn, from the log-probabilities that it gave to that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from pandq.estimate.averages.lossmeans import GroupLossMeans, LossMeans
from pandq.estimate.averages.perbyte import no_bytes, of_bytes
from pandq.estimate.averages.tables import ends
from pandq.results.estimate import finite
from pandq.sums.summary import Summary, summary
from pandq.sums.tallies import LogHistogram, WorstRows, plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pandq.read.chunks import Chunk

LOSS = "cross_entropy"


@summary
class DrawnLoss(Summary):
    """What is kept of the draws that have gone by."""

    means: LossMeans
    spread: LogHistogram
    worst: WorstRows
    per_byte: LossMeans
    groups: Mapping[str, GroupLossMeans]

    @classmethod
    def empty(cls, *, by: Sequence[str] = (), worst: int = 10, **drawn: Any) -> Self:
        """No rows; `replicates` of a bootstrap and its `seed` as for LossMeans."""
        return cls(
            LossMeans.empty((LOSS,), (), **drawn),
            LogHistogram.empty(),
            WorstRows.empty(worst, 1),
            no_bytes(**drawn),
            {name: GroupLossMeans.empty((LOSS,), ()) for name in by},
        )

    def of_only(self, chunk: Chunk) -> Self:
        """Of one chunk, whose Q is Sampled."""
        # rounding may leave a log-probability a little above 0
        loss = np.maximum(-chunk.q.log_probs, 0.0)
        column, none, w = loss[:, None], np.empty((len(loss), 0)), chunk.weights
        row = np.arange(chunk.start, chunk.start + len(chunk))
        some = self.worst.chosen(loss, row)
        ids = [plain(chunk.ids[int(i)]) for i in some]
        clusters = chunk.clusters
        return type(self)(
            self.means.of_only(column, none, w, clusters=clusters, keys=chunk.keys),
            self.spread.of_only(loss, w),
            self.worst.of_only(loss[some], row[some], loss[some, None], ids),
            of_bytes(self.per_byte, chunk, loss),
            {
                name: self.groups[name].of_only(codes, names, column, none, w, clusters=clusters)
                for name, (codes, names) in chunk.groups.items()
                if name in self.groups
            },
        )

    @property
    def n_clusters(self) -> int:
        """How many sequences the rows are in; 0 where none were given."""
        return self.means.others.clusters.n_clusters()

    def worst_rows(self, scale: float) -> list[dict[str, Any]]:
        """The rows of largest loss, as JSON values; null where it is infinite."""
        lines = zip(self.worst.row, self.worst.ids, self.worst.details, strict=True)
        return [
            {"row": int(row), "id": identity, LOSS: finite(float(loss) * scale)}
            for row, identity, (loss,) in lines
        ]

    def group_lines(self, scale: float, level: float) -> dict[str, list[dict[str, Any]]]:
        """The mean loss of each group of each column, the largest first."""
        found: dict[str, list[dict[str, Any]]] = {}
        for column, groups in self.groups.items():
            lines = [
                {
                    "name": name,
                    "n": means.n,
                    "weight": means.weight,
                    "infinite_rows": means.n_infinite,
                    LOSS: ends(means.estimate(LOSS, level=level), scale),
                }
                for name, means in groups.groups()
            ]
            found[column] = sorted(lines, key=_largest_first)
        return found


def _largest_first(line: dict[str, Any]) -> tuple[float, float, str]:
    return -line["infinite_rows"], -(line[LOSS]["value"] or 0.0), line["name"]
