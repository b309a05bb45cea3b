"""The first pass of a comparison: each model alone, each against the first and against P."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from pandq.errors import InputError
from pandq.estimate.averages.perbyte import no_bytes, of_bytes
from pandq.estimate.averages.rowsums import RowSums
from pandq.estimate.comparison.coded import CodeSums
from pandq.estimate.comparison.paired import PairSums
from pandq.estimate.comparison.reference import ReferenceSums
from pandq.estimate.passes import Shape
from pandq.estimate.sampling import label_type_of, sample_of, sample_size
from pandq.rows import both_ways, measure_rows, same_tops
from pandq.sums.sample import Sample
from pandq.sums.summary import Summary, summary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandq.estimate.averages.lossmeans import LossMeans
    from pandq.read.chunks import Chunk, MemoryScan
    from pandq.read.scan import Scan

# Above this, maps are temperatures alone, fitted on few rows: not worth a second pass.
MOST_CLASSES = 1500


@summary
class ComparisonSums(Summary):
    """The first pass: each model alone, each rival against the first, each copy against P.

    `from_reference` is empty where P is no reference, `per_byte` has the losses of each model,
    `control` is the reference run a second time against itself.
    """

    shape: Shape
    models: tuple[RowSums, ...]
    pairs: tuple[PairSums, ...]
    from_reference: tuple[ReferenceSums, ...]
    codes: tuple[CodeSums, ...]
    per_byte: tuple[LossMeans, ...]
    sample: Sample
    control: ReferenceSums

    @classmethod
    def empty(
        cls, n_models: int, p_kind: str, *, by: Sequence[str], worst: int, ordered: bool = False
    ) -> Self:
        """No rows of so many models against a P of some kind."""
        copies = n_models if label_type_of(p_kind, 0) == "full" else 0
        return cls(
            Shape(),
            (RowSums.empty(worst=0, ordered=ordered),) * n_models,
            (PairSums.empty(by=by, worst=worst, ordered=ordered),) * (n_models - 1),
            (ReferenceSums.empty(worst=worst),) * copies,
            (CodeSums.empty(),) * copies,
            (no_bytes(),) * n_models,
            Sample.empty(0),
            ReferenceSums.empty(),
        )

    def of_only(self, chunk: Chunk, sample: Sample) -> Self:
        """The sums of one chunk."""
        views = (chunk.q, *chunk.rivals)
        ordered = self.models[0].ordered
        measured = [measure_rows(chunk.p, view, ordered=ordered) for view in views]
        control, again = self.control, None
        if chunk.control is not None:
            control = control.of_only(chunk, chunk.control)
            again = both_ways(chunk.p, chunk.control)["kl"]
        return type(self)(
            Shape.of(chunk),
            tuple(x.of_only(chunk, m) for x, m in zip(self.models, measured, strict=True)),
            tuple(
                x.of_only(
                    chunk,
                    measured[0],
                    m,
                    same_tops(chunk.q, rival, measured[0].q_class, m.q_class),
                    place,
                )
                for place, (x, m, rival) in enumerate(
                    zip(self.pairs, measured[1:], chunk.rivals, strict=True)
                )
            ),
            tuple(
                x.of_only(chunk, view, m, again)
                for x, view, m in zip(self.from_reference, views, measured, strict=False)
            ),
            tuple(
                x.of_only(chunk, view, m)
                for x, view, m in zip(self.codes, views, measured, strict=False)
            ),
            tuple(
                of_bytes(x, chunk, m.cross_entropy)
                for x, m in zip(self.per_byte, measured, strict=True)
            ),
            sample,
            control,
        )


@dataclass(frozen=True, slots=True)
class FirstPass:
    """What to keep of each chunk, and whether one Q may stand alone."""

    empty: ComparisonSums
    sampled: bool
    alone: bool
    n_rows: int | None

    @classmethod
    def of(
        cls,
        rows: Scan | MemoryScan,
        *,
        worst: int,
        sampled: bool,
        alone: bool,
        ordered: bool = False,
    ) -> Self:
        """The first pass over these rows."""
        size, by = 1 + len(rows.rivals), tuple(rows.by)
        empty = ComparisonSums.empty(size, rows.p.kind, by=by, worst=worst, ordered=ordered)
        return cls(empty, sampled and size > 1, alone, rows.n_rows)

    def __call__(self, chunk: Chunk) -> ComparisonSums:
        """The sums of one chunk."""
        size, k = len(self.empty.models), chunk.q.n_classes or 0
        if size == 1 and not self.alone:
            require_reference(chunk.p.kind)
        few = self.empty.sample
        if self.sampled and k <= MOST_CLASSES:
            few = sample_of(sampled_of(size, k), chunk, of_rows=self.n_rows)
        return self.empty.of_only(chunk, few)


def require_reference(p_kind: str) -> None:
    """Refuse a P that one Q alone is not compared with.

    Raises:
        InputError: it is no distribution in full.
    """
    if label_type_of(p_kind, 0) != "full":
        raise InputError(
            what="one Q alone is compared with a reference, and P is none",
            got=f"P is {p_kind}",
            remedy="Give a second Q (two files are joined by --id COLUMN, or paired by document"
            " with --cluster and --per); how far one Q is from P is `pandq audit`.",
        )


def sampled_of(n_models: int, n_classes: int) -> int:
    """How many rows to train on; none of one Q alone, or where maps are not worth a second pass."""
    if n_models == 1 or n_classes > MOST_CLASSES:
        return 0
    return sample_size(n_models * n_classes)
