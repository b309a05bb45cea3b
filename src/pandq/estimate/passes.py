"""Going through rows: what every pass over chunks shares, whatever it sums."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pandq.errors import InputError
from pandq.estimate.decomposition import MIN_CLUSTERS, MIN_ROWS
from pandq.read.scan import Scan
from pandq.units import Unit, per_nat
from pandq.views import TOP_KIND, partly_known

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pandq.read.chunks import Chunk, MemoryScan
    from pandq.sums.sample import Sample

Progress = Callable[[str, int, int | None], None]
# what every use of a seed has room for
SEEDS = 2**32


@dataclass(slots=True)
class Shape:
    """What the chunks were, seen in passing."""

    n_classes: int = 0
    p_kind: str = ""
    q_kind: str = ""

    def see(self, chunk: Chunk) -> None:
        """Remember the first chunk, and refuse one of another number of classes."""
        if not self.n_classes:
            self.n_classes = chunk.q.n_classes or 0
            self.p_kind, self.q_kind = chunk.p.kind, chunk.q.kind
        elif self.n_classes != chunk.q.n_classes:
            raise InputError(
                what=f"rows from {chunk.start} on have another number of classes",
                got=f"{chunk.q.n_classes}, not {self.n_classes}",
            )

    def class_names(self, rows: Scan | MemoryScan) -> tuple[str, ...]:
        """The classes' own names, or their numbers."""
        names = rows.classes or tuple(str(k) for k in range(self.n_classes))
        if len(names) != self.n_classes:
            raise InputError(
                what="the class names do not fit Q",
                got=f"{len(names)} names, {self.n_classes} classes",
            )
        return names


def seen(
    rows: Scan | MemoryScan, what: str, progress: Progress | None, shape: Shape
) -> Iterator[Chunk]:
    """The chunks in order, each one reported when it is done with."""
    total = rows.n_rows
    for chunk in rows.chunks():
        shape.see(chunk)
        yield chunk
        if progress is not None:
            progress(what, chunk.start + len(chunk), total)


def check_choices(unit: Unit, level: float, seed: int) -> None:
    """Refuse a unit, a level or a seed that no result could be made with.

    Raises:
        InputError: there is one.
    """
    per_nat(unit)
    if not 0 < level < 1:
        raise InputError(what="level must lie between 0 and 1", got=str(level))
    check_seed(seed)


def check_seed(seed: int) -> None:
    """Refuse a seed that not every use of it has room for."""
    if not 0 <= seed < SEEDS:
        raise InputError(what=f"a seed is a whole number from 0 to {SEEDS - 1}", got=str(seed))


def require_laws(rows: Scan | MemoryScan) -> None:
    """Refuse rows of which P or Q is known only in part.

    Raises:
        ViewTypeError: it is a TopK.
    """
    for role, given in (("p", rows.p), ("q", rows.q)):
        if given.kind == TOP_KIND:
            raise partly_known(role)


def name_of(rows: Scan | MemoryScan) -> str:
    """What to call the rows in errors; "" for arrays in memory."""
    return rows.source.name if isinstance(rows, Scan) else ""


def reasons_to_stop(sample: Sample, n_classes: int, n_finite: int) -> list[str]:
    """Why there is no decomposition; what can still be said is the rest of a report."""
    if n_classes < 2:
        return ["one class only: there is nothing to decompose"]
    if len(sample) < MIN_ROWS:
        few = f"too few rows for a decomposition: {len(sample)}, and its folds need {MIN_ROWS}"
        return [f"{few}; the averages and their intervals stand"]
    clusters = len(np.unique(sample.columns["unit"]))
    if clusters < MIN_CLUSTERS:
        return [f"too few clusters for a decomposition: {clusters}, and folds need {MIN_CLUSTERS}"]
    if n_finite < MIN_ROWS:
        return ["too few rows of finite loss for a decomposition"]
    return []
