"""The rows that are kept as they came, to train on and to take apart: a Summary of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from pandq.core.hashing import hash_ids
from pandq.loops.batches import SAID, WHO, Like, chunk_of, coded, columns_of, names_of_codes
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
    names: Mapping[str, tuple[str, ...]]  # of what columns of codes stand for

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
        return type(self)(rows, names_of_codes(chunk))

    def merge(self, other: Self) -> Self:
        """The smallest of both."""
        return self.with_all([other])

    def with_all(self, others: Sequence[Self]) -> Self:
        """The smallest of all, none of which is moved more than once."""
        some = [one for one in (self, *others) if one.rows.columns]
        if len(some) < 2:
            return some[0] if some else self
        places: dict[str, dict[str, int]] = {name: {} for name in some[0].names}
        rows = []
        for one in some:
            columns = dict(one.rows.columns)
            for name, place in places.items():
                columns[name] = coded(columns[name], one.names[name], place)
            rows.append(replace(one.rows, columns=columns))
        first, *rest = _of_one_width(rows)
        names = {name: tuple(place) for name, place in places.items()}
        return type(self)(_narrow(first.with_all(rest)), names)

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
        chunk = chunk_of(columns, like, self.names, start=0, keys=keys, ids=row)
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


def _of_one_width(rows: Sequence[Sample]) -> list[Sample]:
    """The same rows, whose votes have as many columns as the row has that has the most of all."""
    if SAID not in rows[0].columns:
        return list(rows)
    most = max(one.columns[SAID].shape[1] for one in rows)

    def wide(codes: NDArray[Any]) -> NDArray[Any]:
        missing = most - codes.shape[1]
        return np.pad(codes, ((0, 0), (0, missing)), constant_values=-1) if missing else codes

    wider = ({name: wide(one.columns[name]) for name in (SAID, WHO)} for one in rows)
    return [replace(one, columns=one.columns | more) for one, more in zip(rows, wider, strict=True)]


def _narrow(rows: Sample) -> Sample:
    """The same rows, without columns of votes that are empty in all of them."""
    if SAID not in rows.columns:
        return rows
    some = (rows.columns[SAID] >= 0).any(axis=0)
    less = {name: np.ascontiguousarray(rows.columns[name][:, some]) for name in (SAID, WHO)}
    return replace(rows, columns=rows.columns | less)


def rows_kept(wanted: int, chunk: Chunk) -> int:
    """How many rows to keep: so many as are wanted, or as there is room for.

    Args:
        wanted: how many a report would train on.
        chunk: some rows, or none.
    """
    widest = int(chunk.votes.votes.argmax()) if chunk.votes is not None and len(chunk) else 0
    columns = columns_of(chunk[widest : widest + 1])
    one = sum(x.itemsize * math.prod(x.shape[1:]) for x in columns.values())
    room = max(KEPT_BYTES, KEPT_BYTES_OF_CLASS * (chunk.q.n_classes or 1))
    return min(wanted, room // one)
