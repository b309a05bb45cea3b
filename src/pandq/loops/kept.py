"""The rows that are kept as they came, to train on and to take apart: a Summary of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from pandq.core.hashing import hash_ids
from pandq.loops.batches import GROUP, Like, chunk_of, coded, columns_of
from pandq.read.chunks import Chunk, MemoryScan
from pandq.sums.sample import Sample
from pandq.sums.summary import Summary, summary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

# Of the rows that are kept: bytes, or of very many classes so many for each class.
KEPT_BYTES = 32 << 20
KEPT_BYTES_OF_CLASS = 1600


@summary
class KeptRows(Summary):
    """The `size` rows of smallest key with all that is known of them but their ids.

    Keys are hashes of ids, so that they are a uniform sample without replacement.
    """

    rows: Sample
    groups: Mapping[str, tuple[str, ...]]

    @classmethod
    def empty(cls, size: int) -> Self:
        """No rows, of at most `size`."""
        return cls(Sample.empty(size), {})

    def of_only(self, chunk: Chunk, largest: int = (1 << 64) - 1, *, own: bool = False) -> Self:
        """The rows of one chunk whose keys are no larger than `largest`.

        If all are, and they are our `own`, they stay where they are; others are copied.
        """
        size = self.rows.size
        if len(chunk) > size > 0:
            largest = min(largest, int(np.partition(chunk.keys, size - 1)[size - 1]))
        few = np.flatnonzero(chunk.keys <= np.uint64(largest)) if size else np.zeros(0, np.intp)
        some = chunk if own and len(few) == len(chunk) else chunk[few]
        strata, seen = np.zeros(len(few), np.int64), np.full(1, len(chunk))
        rows = self.rows.of_only(some.keys, chunk.start + few, columns_of(some), strata, seen)
        return type(self)(rows, {name: names for name, (_, names) in chunk.groups.items()})

    def merge(self, other: Self) -> Self:
        """The smallest of both."""
        return self.with_all([other])

    def with_all(self, others: Sequence[Self]) -> Self:
        """The smallest of all, none of which is moved more than once."""
        some = [one for one in (self, *others) if one.rows.columns]
        if len(some) < 2:
            return some[0] if some else self
        places = {
            name: {x: i for i, x in enumerate(names)} for name, names in some[0].groups.items()
        }
        rows = [some[0].rows]
        for one in some[1:]:
            columns = dict(one.rows.columns)
            for name, place in places.items():
                column = f"{GROUP}{name}"
                columns[column] = coded(columns[column], one.groups[name], place)
            rows.append(replace(one.rows, columns=columns))
        groups = {name: tuple(place) for name, place in places.items()}
        return type(self)(rows[0].with_all(rows[1:]), groups)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def largest(self) -> int:
        """The largest key that a row may have which is to be among them."""
        full = len(self.rows) >= self.rows.size
        return int(self.rows.keys.max(initial=np.uint64(0))) if full else (1 << 64) - 1

    def scan(self, like: Like, *, classes: tuple[str, ...] | None, notes: tuple[str, ...]) -> Held:
        """The rows in their order, to go through.

        Args:
            like: what they are like.
            classes: class names.
            notes: of the rows, for the report.
        """
        order = np.argsort(self.rows.row, kind="stable")
        columns = {name: column[order] for name, column in self.rows.columns.items()}
        row = self.rows.row[order]
        # without ids a row is known by its number, which it may have but since a merge
        keys = self.rows.keys[order] if like.ids else hash_ids(row)
        chunk = chunk_of(columns, like, self.groups, start=0, keys=keys, ids=row)
        by: dict[str, NDArray[Any]] = {name: codes for name, (codes, _) in chunk.groups.items()}
        return Held(
            chunk.p,
            chunk.q,
            classes,
            by,
            chunk.clusters,
            row,
            chunk.weights,
            chunk.best_q,
            chunk.rivals,
            chunk.labels,
            notes,
            chunk.n_bytes,
            chunk.control,
            chunk=chunk,
        )


@dataclass(frozen=True, slots=True)
class Held(MemoryScan):
    """Rows that were told apart, hashed and checked already, as they came."""

    chunk: Chunk | None = None

    def whole(self, start: int = 0) -> Chunk:
        """All rows, as one chunk."""
        return super(Held, self).whole(start) if self.chunk is None else self.chunk


def rows_kept(wanted: int, chunk: Chunk) -> int:
    """How many rows to keep: so many as are wanted, or as there is room for.

    Args:
        wanted: how many a report would train on.
        chunk: some rows, or none.
    """
    one = sum(x.itemsize * math.prod(x.shape[1:]) for x in columns_of(chunk).values())
    room = max(KEPT_BYTES, KEPT_BYTES_OF_CLASS * (chunk.q.n_classes or 1))
    return min(wanted, room // one)
