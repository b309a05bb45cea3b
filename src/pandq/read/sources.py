"""Tables in files and in memory as Sources.

pyarrow reads columns; duckdb answers SQL and reads csv and json.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from pandq.core.threads import n_threads
from pandq.errors import InputError
from pandq.read.condition import Condition
from pandq.read.database import database
from pandq.read.feather import ArrowFiles
from pandq.read.files import TableFiles, readable, refuse_copies, require, types
from pandq.read.named import names_in
from pandq.read.parts import Part, Source
from pandq.read.paths import ARROW, JSON, PARQUET, TEXT, has_suffix
from pandq.read.places import handle, once
from pandq.read.remote import Remote
from pandq.read.text import TextFiles, sql_errors
from pandq.views.coded import CodedBlock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from pandq.read.columns import Column
    from pandq.read.parts import Batch
    from pandq.read.places import Place


class ParquetFiles(TableFiles):
    """Parquet, decoded column by column and batch by batch; a row group is a part."""

    apart = True

    def read_schema(self, file: Place) -> Mapping[str, pa.DataType]:
        """Read the schema from the footer."""
        with _opened(file) as table:
            return types(table.schema_arrow)

    @property
    def class_names(self) -> Mapping[str, tuple[str, ...]]:  # type: ignore[override]
        """Those in the metadata of the schema."""
        with readable(self.files[0]), _opened(self.files[0]) as table:
            return names_in(table.schema_arrow.metadata)

    def pieces(self, place: int) -> list[tuple[Any, int | None]]:
        """The row groups that the footer tells of."""
        with readable(self.files[place]):
            found = footer(self.files[place])
            return [(i, found.row_group(i).num_rows) for i in range(found.num_row_groups)]

    def read_piece(
        self, file: Place, piece: Any, columns: Sequence[str], rows: int
    ) -> Iterator[pa.RecordBatch]:
        """A row group."""
        with _opened(file, len(columns)) as table:
            require(columns, types(table.schema_arrow))
            yield from table.iter_batches(
                batch_size=rows,
                row_groups=[piece],
                columns=list(columns),
                use_threads=n_threads() > 1,
            )


# Bytes that are read ahead of all columns together, and of each at least and at most: without them
# a whole row group's are in memory at once.
AHEAD, LEAST_AHEAD, MOST_AHEAD = 1 << 26, 1 << 16, 1 << 22


def _opened(file: Place, columns: int = 1) -> Any:
    import pyarrow.parquet as pq

    ahead = min(max(AHEAD // columns, LEAST_AHEAD), MOST_AHEAD)
    return pq.ParquetFile(handle(file), metadata=footer(file), pre_buffer=False, buffer_size=ahead)


def footer(file: Place) -> Any:
    """A parquet file's metadata, kept for as long as the file is the same."""
    return once(_footer, file)


def _footer(file: Place) -> Any:
    import pyarrow.parquet as pq

    return pq.read_metadata(_end(file) if isinstance(file, Remote) else file)


def _end(file: Remote) -> pa.BufferReader:
    """The footer of a remote file between the marks of one, fetched without what is before it."""
    size = file.size
    with file.open(buffering=0) as stream:
        stream.seek(max(0, size - _TAIL))
        tail = stream.read(_TAIL)
        length = int.from_bytes(tail[:4], "little")
        if tail[4:] != _MARK or length + _TAIL + len(_MARK) > size:
            raise pa.ArrowInvalid("there is no footer of parquet at its end")  # noqa: EM101
        stream.seek(size - _TAIL - length)
        return pa.BufferReader(_MARK + stream.read(length) + tail)


# At the end of parquet lie the footer, its length in four bytes, and the mark.
_TAIL, _MARK = 8, b"PAR1"


class Filtered(Source):
    """The rows of a table that satisfy a SQL condition, in the types that the table has."""

    def __init__(self, source: Source, where: str) -> None:
        self.source, self.where = source, where
        self.name, self.schema = source.name, source.schema
        self.files: Sequence[Place] = getattr(source, "files", [])
        self.passing = getattr(source, "passing", False)
        self.windows: str | None = getattr(source, "windows", None)
        self.units: str | None = getattr(source, "units", None)
        self.notes: Sequence[str] = getattr(source, "notes", ())
        self.class_names = source.class_names
        self.condition = Condition.of(where, self.schema)

    def parts(self) -> Sequence[Part]:
        """The table's; how many rows each has is not known until they are read."""
        return [replace(x, start=None, first=None, n_rows=None) for x in self.source.parts()]

    def count(self, part: Part) -> int:
        """Count by the columns that the condition looks at."""
        few = self.condition.columns or list(self.schema)[:1]
        return sum(len(batch[few[0]]) for batch in self.read(part, few, 1 << 16))

    def read(self, part: Part, columns: Sequence[str], rows: int) -> Iterator[Batch]:
        """One part's columns in the rows that satisfy the condition."""
        wanted = list(dict.fromkeys([*columns, *self.condition.columns]))
        with database() as connection:
            for batch in self.source.read(part, wanted, max(rows, _LEAST_ASKED)):
                with sql_errors(self.where, known=self.schema):
                    kept = self.condition.rows(connection, batch)
                for start in range(0, len(kept), rows):
                    some = kept[start : start + rows]
                    yield {name: rows_of(batch[name], some) for name in columns}


def rows_of(column: Column, rows: NDArray[np.intp]) -> Column:
    """Some rows of a column, by their numbers.

    >>> rows_of(np.array([[1], [2], [3]]), np.array([2, 0])).tolist()
    [[3], [1]]
    """
    if isinstance(column, CodedBlock):
        return CodedBlock.of(np.asarray(column)[rows], column.codes[rows])
    return column[rows] if isinstance(column, np.ndarray) else column.take(pa.array(rows))


def narrowed(source: Source, where: str) -> Source:
    """The rows of a table that satisfy one more condition.

    Raises:
        InputError: it is none on these columns.
    """
    before = getattr(source, "where", None)
    both = where if before is None else f"(\n{before}\n) AND ({where})"
    if isinstance(source, TextFiles):
        return source.under(both)
    return Filtered(source.source if isinstance(source, Filtered) else source, both)


# Rows that a condition is asked of at once, at least.
_LEAST_ASKED = 1 << 6


def open_tables(files: Sequence[Place], *, where: str | None = None) -> Source:
    """The Source for table files that are all of one format."""
    first = files[0]
    formats: dict[tuple[str, ...], type[TableFiles]] = {
        PARQUET: ParquetFiles,
        ARROW: ArrowFiles,
        TEXT: TextFiles,
        JSON: TextFiles,
    }
    suffixes = next(known for known in formats if has_suffix(first, known))
    for file in files:
        if not has_suffix(file, suffixes):
            raise InputError(
                what="files of different formats",
                got=f"{first.name} and {file.name}",
                remedy="Predictions and what is true of the same rows are joined by --id COLUMN;"
                " a table of answers by that of pandq votes --out votes.parquet.",
            )
    source = formats[suffixes](files)
    refuse_copies(source)
    if where is None:
        return source
    return source.under(where) if isinstance(source, TextFiles) else Filtered(source, where)
