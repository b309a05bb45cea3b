"""A Source is named columns of rows, in parts: what one task reads, wherever it runs.

Boundaries of parts depend on the data's layout alone (files, row groups, ranges of an array), so
that whoever sums them in order gets the same bits.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa

from pandq.errors import InputError, RowError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pandq.read.columns import Column

    Batch = Mapping[str, Column]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Part:
    """Consecutive rows of a source, such as one row group of one file.

    `start` is the number of its first row in the whole and `first` that of its file's first row;
    None until the rows before it have been counted, where no metadata says how many there are.
    """

    index: int
    name: str
    piece: Any
    start: int | None
    first: int | None
    n_rows: int | None

    def starting(self, start: int, before: Part | None) -> Part:
        """The same part, once the rows before it have been counted."""
        if self.start is not None:
            return self
        same = before is not None and before.name == self.name
        return replace(self, start=start, first=before.first if same and before else start)


class Source(ABC):
    """Named columns of rows that can be read again and again, in constant memory.

    `name` is what to call it in errors and reports, `schema` its columns' names and types in order.
    """

    name: str
    schema: Mapping[str, pa.DataType]
    # whether parts are read sooner side by side than one after the other
    apart = False
    # what the numbers of columns of labels stand for, where the schema carries it
    class_names: Mapping[str, tuple[str, ...]] = {}

    @abstractmethod
    def parts(self) -> Sequence[Part]:
        """All rows, in order."""

    @abstractmethod
    def read(self, part: Part, columns: Sequence[str], rows: int) -> Iterator[Batch]:
        """One part's columns in batches of at most `rows`, in order."""

    def count(self, part: Part) -> int:
        """How many rows a part has.

        Raises:
            InputError: they cannot be read.
        """
        if part.n_rows is not None:
            return part.n_rows
        some = next(iter(self.schema))
        return sum(len(batch[some]) for batch in self.read(part, [some], 1 << 16))

    @property
    def n_rows(self) -> int | None:
        """How many rows there are, if that is known without reading them."""
        counts = [part.n_rows for part in self.parts()]
        return None if None in counts else sum(n for n in counts if n is not None)

    def as_text(self, columns: Sequence[str]) -> Source:
        """The same rows, with columns exactly as they are written where they are text."""
        del columns
        return self

    def typed(self) -> Source:
        """The same rows, with every column in a type that holds all of its rows."""
        return self

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[tuple[int, Batch]]:
        """The named columns in batches of at most `rows`, each with the number of its first row."""
        for _, start, batch in placed(self, columns, rows, self.parts()):
            yield start, batch


def placed(
    source: Source, columns: Sequence[str], rows: int, parts: Sequence[Part]
) -> Iterator[tuple[Part, int, Batch]]:
    """Batches of consecutive parts, each with its part and the number of its first row."""
    start, before = 0, None
    for unplaced in parts:
        part = unplaced.starting(start, before)
        start = start if part.start is None else part.start
        for batch in source.read(part, columns, rows):
            yield part, start, batch
            start += len(batch[columns[0]])
        before = part


def counted(parts: Sequence[Part], counts: Sequence[int]) -> list[Part]:
    """Parts with their numbers of rows, and so with their places."""
    found: list[Part] = []
    start = 0
    for part, n in zip(parts, counts, strict=True):
        whole = replace(part.starting(start, found[-1] if found else None), n_rows=n)
        found.append(whole)
        start += n
    return found


def located(
    source: Source,
    columns: Sequence[str],
    rows: int,
    make: Callable[[int, Batch], T],
    parts: Sequence[Part] | None = None,
) -> Iterator[tuple[Part, T]]:
    """What is made of each batch; an error says where in the source its row stands.

    Args:
        source: the table.
        columns: which of its columns.
        rows: of a batch, at most.
        make: called with the number of the batch's first row, and the batch; numbers its rows in
            errors from 0.
        parts: consecutive ones; all of them when left out.

    Yields:
        The batch's part, and what was made, in order.
    """
    start, part = 0, None
    try:
        for part, start, batch in placed(
            source, columns, rows, source.parts() if parts is None else parts
        ):
            yield part, make(start, batch)
    except RowError as error:
        name, first = (source.name, 0) if part is None else (part.name, part.first or 0)
        raise error.moved(start - first).at(name) from None
    except InputError as error:
        raise error if error.where.startswith(source.name) else error.at(source.name) from None
    except UnicodeDecodeError as error:
        what, got = "holds text that is not UTF-8", repr(error.object[:40])
        raise InputError(what, where=source.name, got=got) from None
    except pa.ArrowException as error:
        what, got = "holds values that cannot be read", str(error).splitlines()[0][:200]
        raise InputError(what, where=source.name, got=got) from None
