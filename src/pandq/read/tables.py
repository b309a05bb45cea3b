"""Tables that are no files of the user's: in memory, streams, and queries."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pandq.errors import InputError
from pandq.read.feather import ArrowFiles
from pandq.read.files import require, types
from pandq.read.named import names_in
from pandq.read.parts import Part, Source
from pandq.read.rooms import room

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pandq.read.parts import Batch


class Table(Source):
    """A table in memory: anything with `__arrow_c_stream__`, or a pyarrow Table."""

    def __init__(self, table: Any, name: str = "table") -> None:
        self.name = name
        if not isinstance(table, pa.Table):
            table = pa.RecordBatchReader.from_stream(table).read_all()
        self.table: pa.Table = table
        self.schema = types(table.schema)
        self.class_names = names_in(table.schema.metadata)

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


class Spilled(ArrowFiles):
    """A stream that can be read once, in a temporary file that can be read again.

    It is there as long as the source is, and goes with it, or with the process (`passing`).
    """

    passing = True

    def __init__(self, reader: pa.RecordBatchReader, name: str = "table") -> None:
        types(reader.schema)
        with room("pandq-stream-") as (folder, goes_with):
            file = folder / "stream.arrow"
            try:
                self._rows = _written(reader, file)
            except pa.ArrowInvalid as error:
                first = str(error).partition("\n")[0]
                raise InputError("the reader fails", where=name, got=first) from None  # noqa: EM101
            if not self._rows:
                what = "the reader gave no rows: it has none, or was read before"
                remedy = "A RecordBatchReader is read once: make a new one."
                raise InputError(what, where=name, remedy=remedy)
            super().__init__([file])
            goes_with(self)
        self.name = name

    def called(self, place: int) -> str:
        """Rows are numbered in the stream."""
        del place
        return self.name

    def pieces(self, place: int) -> list[tuple[Any, int | None]]:
        """All rows, which were counted as they came."""
        del place
        return [(None, self._rows)]

    def read(self, part: Part, columns: Sequence[str], rows: int) -> Iterator[Batch]:
        """Batches of the rows that are asked for, whatever batches they came in: as of a table."""
        held: list[Batch] = []
        for batch in super().read(part, columns, rows):
            held.append(batch)
            while sum(len(some[columns[0]]) for some in held) >= rows:
                table = _table(held)
                yield from Table(table.slice(0, rows)).read(part, columns, rows)
                held = [_columns(table.slice(rows))] if table.num_rows > rows else []
        if held:
            yield from Table(_table(held)).read(part, columns, rows)


def in_memory(data: Any) -> Source | None:
    """The Source for a table, a stream or a query; None for what is none of them."""
    if isinstance(data, pa.RecordBatchReader):
        return Spilled(data)
    if hasattr(data, "__arrow_c_stream__"):
        return Table(data)
    return LazyFrame(data) if hasattr(data, "collect_batches") else None


def _table(batches: Sequence[Batch]) -> pa.Table:
    return pa.concat_tables([pa.table(dict(batch)) for batch in batches])


def _columns(table: pa.Table) -> Batch:
    return {name: _single(table.column(name)) for name in table.column_names}


def _written(reader: pa.RecordBatchReader, file: Path) -> int:
    """Write what a reader gives; how many rows there were."""
    rows = 0
    with pa.OSFile(str(file), "wb") as stream, pa.ipc.new_file(stream, reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)
            rows += batch.num_rows
    return rows


def _single(column: pa.ChunkedArray) -> pa.Array:
    joined = column.combine_chunks()
    return joined if isinstance(joined, pa.Array) else pa.concat_arrays(joined.chunks)
