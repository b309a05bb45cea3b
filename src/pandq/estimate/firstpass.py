"""The first pass of an audit: every plain average, and the rows to train on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pandq.estimate.averages.frequencies import Frequencies
from pandq.estimate.averages.perbyte import no_bytes, of_bytes
from pandq.estimate.averages.rowsums import RowSums
from pandq.estimate.ensemble.membersums import MemberSums
from pandq.estimate.findings import Seen
from pandq.estimate.passes import Shape
from pandq.estimate.sampling import sample_of, sample_size
from pandq.sums.sample import Sample
from pandq.sums.summary import Summary, summary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandq.estimate.averages.lossmeans import LossMeans
    from pandq.read.chunks import Chunk
    from pandq.rows import RowMeasures


@summary
class AuditSums(Summary):
    """The first pass of an audit: every plain average, and the rows to train on."""

    shape: Shape
    rows: RowSums
    sample: Sample
    members: MemberSums
    seen: Seen
    per_byte: LossMeans
    frequencies: Frequencies

    @classmethod
    def empty(
        cls, *, by: Sequence[str] = (), worst: int = 10, ordered: bool = False, **drawn: int
    ) -> Self:
        """No rows; `replicates` of a bootstrap and its `seed` as for RowSums."""
        return cls(
            Shape(),
            RowSums.empty(by=by, worst=worst, ordered=ordered, **drawn),
            Sample.empty(0),
            MemberSums.empty(by=by, worst=worst),
            Seen.empty(),
            no_bytes(**drawn),
            Frequencies.empty(),
        )

    def of_only(self, chunk: Chunk, sample: Sample, measured: RowMeasures | None = None) -> Self:
        """The averages of one chunk, with those of its rows that may be trained on."""
        measured = self.rows.measured(chunk) if measured is None else measured
        return type(self)(
            Shape.of(chunk),
            self.rows.of_only(chunk, measured),
            sample,
            self.members.of_only(chunk),
            self.seen.of_only(chunk, measured),
            of_bytes(self.per_byte, chunk, measured.cross_entropy),
            self.frequencies.of_only(chunk),
        )


def first_of(
    chunk: Chunk,
    *,
    blank: AuditSums,
    sampled: bool,
    n_rows: int | None,
    measured: RowMeasures | None = None,
) -> AuditSums:
    """The first pass over one chunk.

    Args:
        chunk: some rows.
        blank: the sums of none.
        sampled: whether rows are wanted to train on.
        n_rows: how many there are in all, where that is known.
        measured: of the rows, where they were measured already.
    """
    few = blank.sample
    if sampled:
        few = sample_of(sample_size(chunk.q.n_classes or 1), chunk, of_rows=n_rows)
    return blank.of_only(chunk, few, measured)
