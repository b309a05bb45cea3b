"""Tables in files and in memory as Sources.

pyarrow reads columns; duckdb answers SQL and reads csv and json.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pandq.core.threads import n_threads
from pandq.errors import InputError
from pandq.read.condition import Condition
from pandq.read.database import database
from pandq.read.feather import ArrowFiles
from pandq.read.files import TableFiles, readable, refuse_copies, require, types
from pandq.read.parts import Part, Source
from pandq.read.paths import ARROW, JSON, PARQUET, TEXT, has_suffix
from pandq.read.text import TextFiles, sql_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from pandq.read.parts import Batch


class ParquetFiles(TableFiles):
    """Parquet, decoded column by column and batch by batch; a row group is a part."""

    apart = True

    def read_schema(self, file: Path) -> Mapping[str, pa.DataType]:
        """Read the schema from the footer."""
        with _opened(file) as table:
            return types(table.schema_arrow)

    def pieces(self, place: int) -> list[tuple[Any, int | None]]:
        """The row groups that the footer tells of."""
        with readable(self.files[place]):
            found = footer(self.files[place])
            return [(i, found.row_group(i).num_rows) for i in range(found.num_row_groups)]

    def read_piece(
        self, file: Path, piece: Any, columns: Sequence[str], rows: int
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


def _opened(file: Path, columns: int = 1) -> Any:
    import pyarrow.parquet as pq

    ahead = min(max(AHEAD // columns, LEAST_AHEAD), MOST_AHEAD)
    return pq.ParquetFile(file, metadata=footer(file), pre_buffer=False, buffer_size=ahead)


def footer(file: Path) -> Any:
    """A parquet file's metadata, kept for as long as the file is the same."""
    state = file.stat()
    return _footer(file, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=256)
def _footer(file: Path, changed: int, size: int) -> Any:
    import pyarrow.parquet as pq

    del changed, size
    return pq.read_metadata(file)


class Table(Source):
    """A table in memory: anything with `__arrow_c_stream__`, or a pyarrow Table."""

    def __init__(self, table: Any, name: str = "table") -> None:
        self.name = name
        if not isinstance(table, pa.Table):
            table = pa.RecordBatchReader.from_stream(table).read_all()
        self.table: pa.Table = table
        self.schema = types(table.schema)

    def parts(self) -> Sequence[Part]:
        """All rows at once."""
        return [Part(0, self.name, None, 0, 0, self.table.num_rows)]

    def read(self, part: Part, columns: Sequence[str], rows: int) -> Iterator[Batch]:
        """Views of the table's own memory."""
        del part
        require(columns, self.schema)
        # chunks of a stream may be of any size: one slice is one batch, joined where it must be
        for start in range(0, self.table.num_rows, rows):
            piece = self.table.select(list(dict.fromkeys(columns))).slice(start, rows)
            joined = piece.combine_chunks()
            yield {name: _single(joined.column(name)) for name in columns}


class LazyFrame(Source):
    """A lazy frame of polars, collected in batches and anew in each pass."""

    def __init__(self, frame: Any, name: str = "lazy frame") -> None:
        self.name, self.frame = name, frame
        with self._errors():
            self.schema = types(frame.collect_schema().to_frame(eager=True).to_arrow().schema)

    def parts(self) -> Sequence[Part]:
        """All rows at once; how many there are is not known until they are collected."""
        return [Part(0, self.name, None, 0, 0, None)]

    def read(self, part: Part, columns: Sequence[str], rows: int) -> Iterator[Batch]:
        """The batches that polars makes, in order."""
        require(columns, self.schema)
        wanted = self.frame.select(list(dict.fromkeys(columns)))
        with self._errors():
            for batch in wanted.collect_batches(chunk_size=rows, maintain_order=True):
                yield from Table(batch).read(part, columns, rows)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        from polars.exceptions import PolarsError

        try:
            yield
        except PolarsError as error:
            first = str(error).partition("\n")[0]
            raise InputError(what="the query fails", where=self.name, got=first) from None


class Filtered(Source):
    """The rows of a table that satisfy a SQL condition, in the types that the table has."""

    def __init__(self, source: Source, where: str) -> None:
        self.source, self.where = source, where
        self.name, self.schema = source.name, source.schema
        self.files: Sequence[Path] = getattr(source, "files", [])
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
                    some = pa.array(kept[start : start + rows])
                    yield {name: batch[name].take(some) for name in columns}


# Rows that a condition is asked of at once, at least.
_LEAST_ASKED = 1 << 6


def open_tables(files: Sequence[Path], *, where: str | None = None) -> Source:
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
            raise InputError(what="files of different formats", got=f"{first.name} and {file.name}")
    source = formats[suffixes](files)
    refuse_copies(source)
    if where is None:
        return source
    return source.under(where) if isinstance(source, TextFiles) else Filtered(source, where)


def _single(column: pa.ChunkedArray) -> pa.Array:
    joined = column.combine_chunks()
    return joined if isinstance(joined, pa.Array) else pa.concat_arrays(joined.chunks)
