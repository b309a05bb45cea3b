"""Tables in files and in memory, as named columns in batches of rows, in order.

A Source knows its columns and yields (first row, columns) in constant memory, as often as it is
asked. pyarrow reads columns; duckdb answers SQL and reads csv and json.
"""

from __future__ import annotations

import bisect
import csv
import gzip
from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TextIO, TypeVar, cast

import pyarrow as pa

from pandq.errors import InputError, RowError, near_names
from pandq.read.paths import ARROW, JSON, PARQUET, TEXT, has_suffix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pandq.read.columns import Column

    Batch = tuple[int, Mapping[str, Column]]


T = TypeVar("T")


class Source(Protocol):
    """Named columns of rows that can be read again and again."""

    @property
    def name(self) -> str:
        """What to call it in errors and reports."""

    @property
    def schema(self) -> Mapping[str, pa.DataType]:
        """Column names and types, in order."""

    @property
    def n_rows(self) -> int | None:
        """How many rows there are, if that is known without reading them."""

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[Batch]:
        """The named columns in batches of at most `rows`, in order."""

    def place(self, row: int) -> tuple[str, int]:
        """Where a row that was read stands: the file's name, and where that file's rows start."""


class _Files(ABC):
    """Several files of one format, one after the other."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = list(files)
        self._starts: list[int] = []
        with readable(self.files[0]):
            self._schema = self.read_schema(self.files[0])

    @property
    def name(self) -> str:
        more = f" and {len(self.files) - 1} more" if len(self.files) > 1 else ""
        return f"{self.files[0]}{more}"

    @property
    def schema(self) -> Mapping[str, pa.DataType]:
        return self._schema

    @property
    def n_rows(self) -> int | None:
        return None

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[Batch]:
        start = 0
        self._starts = []
        for file in self.files:
            self._starts.append(start)
            with readable(file):
                for batch in self.read(file, columns, rows):
                    for piece in _pieces(batch, rows):
                        yield start, {name: piece.column(name) for name in columns}
                        start += piece.num_rows

    def place(self, row: int) -> tuple[str, int]:
        i = max(bisect.bisect_right(self._starts, row) - 1, 0)
        return str(self.files[i]), self._starts[i] if self._starts else 0

    @abstractmethod
    def read_schema(self, file: Path) -> Mapping[str, pa.DataType]:
        """Column names and types of one file."""

    @abstractmethod
    def read(self, file: Path, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """One file's columns in batches."""


class ParquetFiles(_Files):
    """Parquet, decoded column by column and batch by batch."""

    def read_schema(self, file: Path) -> Mapping[str, pa.DataType]:
        """From the footer."""
        import pyarrow.parquet as pq

        with pq.ParquetFile(file) as table:
            return _types(table.schema_arrow)

    @property
    def n_rows(self) -> int | None:
        """From the footers."""
        import pyarrow.parquet as pq

        total = 0
        for file in self.files:
            with readable(file):
                total += pq.read_metadata(file).num_rows
        return total

    def read(self, file: Path, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """A row group at a time."""
        import pyarrow.parquet as pq

        with pq.ParquetFile(file, pre_buffer=False) as table:
            _require(columns, _types(table.schema_arrow))
            # a row group at a time, so that batches never join two of them
            for group in range(table.num_row_groups):
                yield from table.iter_batches(
                    batch_size=rows, row_groups=[group], columns=list(columns)
                )


class ArrowFiles(_Files):
    """Arrow IPC (feather), memory-mapped: batches are views of the file."""

    def read_schema(self, file: Path) -> Mapping[str, pa.DataType]:
        """From the file's own schema."""
        with pa.memory_map(str(file)) as mapped:
            return _types(_open_ipc(mapped).schema)

    def read(self, file: Path, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """The file's own batches."""
        del rows
        with pa.memory_map(str(file)) as mapped:
            reader = _open_ipc(mapped)
            _require(columns, _types(reader.schema))
            if isinstance(reader, pa.RecordBatchFileReader):
                yield from (reader.get_batch(i) for i in range(reader.num_record_batches))
            else:
                yield from reader


class SqlFiles(_Files):
    """csv, tsv and json, and any table under --where, read by duckdb."""

    def __init__(self, files: Sequence[Path], *, where: str | None = None) -> None:
        self.where = where
        super().__init__(files)

    def read_schema(self, file: Path) -> Mapping[str, pa.DataType]:
        """As duckdb finds it."""
        with _answer(f"SELECT * FROM {self.relation(file)} LIMIT 0", file=file) as reader:
            return _types(reader.schema)

    def read(self, file: Path, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """The columns of the rows that satisfy the condition."""
        if self.where is None:
            _require(columns, self.read_schema(file) if file != self.files[0] else self.schema)
        with _answer(self._query(file, columns), rows, where=self.where, file=file) as reader:
            yield from reader

    def _query(self, file: Path, columns: Sequence[str]) -> str:
        names = ", ".join(map(quoted, columns)) or "1"
        condition = "" if self.where is None else f" WHERE ({self.where})"
        return f"SELECT {names} FROM {self.relation(file)}{condition}"

    @staticmethod
    def relation(file: Path) -> str:
        """A file as duckdb reads it in a FROM clause."""
        path = literal(file)
        if has_suffix(file, PARQUET):
            return f"read_parquet({path})"
        if has_suffix(file, JSON):
            return f"read_json({path})"
        # no padding of short rows and no skipping of bad ones: a ragged row is an error
        return f"read_csv({path}, header = true, delim = '{_delimiter(file)}')"


class Table:
    """A table in memory: anything with `__arrow_c_stream__`, or a pyarrow Table."""

    def __init__(self, table: Any, name: str = "table") -> None:
        self.name = name
        if not isinstance(table, pa.Table):
            table = pa.RecordBatchReader.from_stream(table).read_all()
        self.table: pa.Table = table
        self.schema = _types(table.schema)
        self.n_rows: int | None = table.num_rows

    def place(self, row: int) -> tuple[str, int]:
        """All rows are in one place."""
        del row
        return self.name, 0

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[Batch]:
        """Views of the table's own memory."""
        _require(columns, self.schema)
        # chunks of a stream may be of any size: one slice is one batch, joined where it must be
        for start in range(0, self.table.num_rows, rows):
            piece = self.table.select(list(dict.fromkeys(columns))).slice(start, rows)
            joined = piece.combine_chunks()
            yield start, {name: _single(joined.column(name)) for name in columns}


def filtered(table: Table, where: str) -> Table:
    """The rows of a table in memory that satisfy a SQL condition."""
    import duckdb

    connection = duckdb.connect()
    try:
        connection.register("rows", table.table)
        with sql_errors(where):
            answer = connection.sql(f"SELECT * FROM rows WHERE ({where})").to_arrow_table()
    finally:
        connection.close()
    return Table(answer, table.name)


def open_tables(files: Sequence[Path], *, where: str | None = None) -> _Files:
    """The Source for table files that are all of one format."""
    first = files[0]
    formats: dict[tuple[str, ...], type[_Files]] = {
        PARQUET: ParquetFiles,
        ARROW: ArrowFiles,
        TEXT: SqlFiles,
        JSON: SqlFiles,
    }
    suffixes = next(known for known in formats if has_suffix(first, known))
    for file in files:
        if not has_suffix(file, suffixes):
            raise InputError(what="files of different formats", got=f"{first.name} and {file.name}")
    if where is not None and suffixes != ARROW:
        return SqlFiles(files, where=where)
    return formats[suffixes](files)


def located(
    source: Source,
    columns: Sequence[str],
    rows: int | Callable[[], int],
    make: Callable[[int, Mapping[str, Column]], T],
) -> Iterator[T]:
    """What is made of each batch; an error says where in the source its row stands.

    Args:
        source: the table.
        columns: which of its columns.
        rows: of a batch, at most; or what finds it out, which may fail alike.
        make: called with the number of the batch's first row, and the batch; numbers its rows in
            errors from 0.

    Yields:
        What was made, in order.
    """
    start = 0
    try:
        for start, batch in source.batches(columns, rows() if callable(rows) else rows):
            yield make(start, batch)
    except RowError as error:
        name, first = source.place(start + error.row)
        raise error.moved(start - first).at(name) from None
    except InputError as error:
        raise error if error.where.startswith(source.name) else error.at(source.name) from None


@contextmanager
def readable(file: Path) -> Iterator[None]:
    """What a reader says of a broken file, as one line that names the file."""
    try:
        yield
    except InputError as error:
        if not error.where.startswith(str(file)):
            error.at(str(file))
        raise
    except PermissionError:
        raise InputError(what="cannot be read: permission denied", where=str(file)) from None
    except (pa.ArrowException, OSError, EOFError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            what=f"cannot be read as {file.suffix.lstrip('.')}",
            where=str(file),
            got=reason.rstrip("."),
            remedy="It may be truncated or of another format.",
        ) from None


@contextmanager
def sql_errors(where: str | None, file: Path | None = None) -> Iterator[None]:
    """What duckdb says, as one line."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        if file is not None and has_suffix(file, TEXT) and (ragged := _ragged_line(file)):
            raise InputError(what=ragged) from None
        told = str(error).partition("LINE 1:")[0]  # what follows is SQL that nobody wrote
        lines = [line.strip() for line in told.splitlines() if line.strip()]
        text = "; ".join(dict.fromkeys(lines[:_SQL_ERROR_LINES]))
        if where is not None and isinstance(error, duckdb.ProgrammingError):
            raise InputError(what="--where is no condition on these columns", got=text) from None
        kind = "this file" if file is None else file.suffix.lstrip(".")
        remedy = "It may be truncated or of another format."
        raise InputError(what=f"cannot be read as {kind}", got=text, remedy=remedy) from None


_SQL_ERROR_LINES = 3


@contextmanager
def _answer(
    sql: str, rows: int = 1, *, where: str | None = None, file: Path | None = None
) -> Iterator[pa.RecordBatchReader]:
    import duckdb

    connection = duckdb.connect()
    try:
        with sql_errors(where, file):
            yield connection.sql(sql).to_arrow_reader(rows)
    finally:
        connection.close()


def _ragged_line(file: Path) -> str:
    """Which line of a csv has another number of fields than its header, if any has."""
    with _text(file) as stream:
        reader = csv.reader(stream, delimiter=_delimiter(file))
        width = len(next(reader, []))
        for fields in reader:
            if fields and len(fields) != width:
                return (
                    f"line {reader.line_num} has {len(fields)} fields where the header has {width}"
                )
    return ""


def _text(file: Path) -> TextIO:
    opened = gzip.open if file.suffix == ".gz" else open
    return cast("TextIO", opened(file, "rt", encoding="utf-8", errors="replace", newline=""))


def _delimiter(file: Path) -> str:
    """The separator that the header line uses most."""
    with _text(file) as stream:
        header = stream.readline(1 << 20)
    return max(",\t;|", key=header.count)


def _require(columns: Sequence[str], schema: Mapping[str, pa.DataType]) -> None:
    for name in columns:
        if name not in schema:
            raise InputError(what=f"no column {name!r}", remedy=near_names(name, schema))


def _pieces(batch: pa.RecordBatch, rows: int) -> Iterator[pa.RecordBatch]:
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)


def _single(column: pa.ChunkedArray) -> pa.Array:
    joined = column.combine_chunks()
    return joined if isinstance(joined, pa.Array) else pa.concat_arrays(joined.chunks)


def _types(schema: pa.Schema) -> dict[str, pa.DataType]:
    return dict(zip(schema.names, schema.types, strict=True))


def _open_ipc(mapped: pa.MemoryMappedFile) -> Any:
    try:
        return pa.ipc.open_file(mapped)
    except pa.ArrowInvalid:
        mapped.seek(0)
        return pa.ipc.open_stream(mapped)


def quoted(name: str) -> str:
    """A column's name in SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str | Path) -> str:
    """A string in SQL, such as a file's name."""
    return "'" + str(value).replace("'", "''") + "'"
