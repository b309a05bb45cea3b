"""Tables in files and in memory as Sources.

pyarrow reads columns; duckdb answers SQL and reads csv and json.
"""

from __future__ import annotations

import csv
import gzip
from abc import abstractmethod
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TextIO, cast

import pyarrow as pa

from pandq.core.threads import n_threads, over_cores
from pandq.errors import InputError, near_names
from pandq.read.parts import Part, Source
from pandq.read.paths import ARROW, JSON, PARQUET, TEXT, has_suffix

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from pandq.read.parts import Batch


class _Files(Source):
    """Several files of one format, one after the other; a file is a part."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = list(files)
        more = f" and {len(files) - 1} more" if len(files) > 1 else ""
        self.name = f"{files[0]}{more}"
        with readable(self.files[0]):
            self.schema = self.read_schema(self.files[0])
        self._parts: list[Part] = []

    def __getstate__(self) -> dict[str, Any]:
        """For a worker, which may stand in another folder, and is told its parts."""
        there = {"files": [file.absolute() for file in self.files], "_parts": []}
        return {**self.__dict__, **there}

    def parts(self) -> Sequence[Part]:
        """In the order of the files; found once."""
        if not self._parts:
            start: int | None = 0
            for place, pieces in enumerate(over_cores(self.pieces, range(len(self.files)))):
                first = start
                for piece, n in pieces:
                    index, name = len(self._parts), self.called(place)
                    self._parts.append(Part(index, name, (place, piece), start, first, n))
                    start = None if start is None or n is None else start + n
        return self._parts

    def called(self, place: int) -> str:
        """What to call a file where a row of it is wrong."""
        return str(self.files[place])

    def pieces(self, place: int) -> list[tuple[Any, int | None]]:
        """What a file is read by, and the rows of each piece where its metadata says so."""
        del place
        return [(None, None)]

    def read(self, part: Part, columns: Sequence[str], rows: int) -> Iterator[Batch]:
        """One file's columns, or some of its rows'."""
        place, piece = part.piece
        file = self.files[place]
        with readable(file):
            for batch in self.read_piece(file, piece, columns, rows):
                for start in range(0, batch.num_rows, rows):
                    some = batch.slice(start, rows)
                    yield {name: some.column(name) for name in columns}

    @abstractmethod
    def read_schema(self, file: Path) -> Mapping[str, pa.DataType]:
        """Column names and types of one file."""

    @abstractmethod
    def read_piece(
        self, file: Path, piece: Any, columns: Sequence[str], rows: int
    ) -> Iterator[pa.RecordBatch]:
        """The columns of a piece of a file."""


class ParquetFiles(_Files):
    """Parquet, decoded column by column and batch by batch; a row group is a part."""

    def read_schema(self, file: Path) -> Mapping[str, pa.DataType]:
        """From the footer."""
        with _opened(file) as table:
            return _types(table.schema_arrow)

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
            _require(columns, _types(table.schema_arrow))
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


class ArrowFiles(_Files):
    """Arrow IPC (feather), memory-mapped: batches are views of the file."""

    def read_schema(self, file: Path) -> Mapping[str, pa.DataType]:
        """From the file's own schema."""
        with pa.memory_map(str(file)) as mapped:
            return _types(_open_ipc(mapped).schema)

    def read_piece(
        self, file: Path, piece: Any, columns: Sequence[str], rows: int
    ) -> Iterator[pa.RecordBatch]:
        """The file's own batches."""
        del piece, rows
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

    def count(self, part: Part) -> int:
        """By duckdb, which parses no column that the condition does not need."""
        file = self.files[part.piece[0]]
        sql = self._query(file, "count(*) AS n")
        with readable(file), _answer(sql, where=self.where, file=file) as reader:
            return int(reader.read_all().column("n")[0].as_py())

    def read_piece(
        self, file: Path, piece: Any, columns: Sequence[str], rows: int
    ) -> Iterator[pa.RecordBatch]:
        """The columns of the rows that satisfy the condition."""
        del piece
        if self.where is None:
            _require(columns, self.read_schema(file) if file != self.files[0] else self.schema)
        wanted = ", ".join(map(quoted, columns))
        with _answer(self._query(file, wanted), rows, where=self.where, file=file) as reader:
            yield from reader

    def _query(self, file: Path, wanted: str) -> str:
        condition = "" if self.where is None else f" WHERE ({self.where})"
        return f"SELECT {wanted} FROM {self.relation(file)}{condition}"

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


class Table(Source):
    """A table in memory: anything with `__arrow_c_stream__`, or a pyarrow Table."""

    def __init__(self, table: Any, name: str = "table") -> None:
        self.name = name
        if not isinstance(table, pa.Table):
            table = pa.RecordBatchReader.from_stream(table).read_all()
        self.table: pa.Table = table
        self.schema = _types(table.schema)

    def parts(self) -> Sequence[Part]:
        """All rows at once."""
        return [Part(0, self.name, None, 0, 0, self.table.num_rows)]

    def read(self, part: Part, columns: Sequence[str], rows: int) -> Iterator[Batch]:
        """Views of the table's own memory."""
        del part
        _require(columns, self.schema)
        # chunks of a stream may be of any size: one slice is one batch, joined where it must be
        for start in range(0, self.table.num_rows, rows):
            piece = self.table.select(list(dict.fromkeys(columns))).slice(start, rows)
            joined = piece.combine_chunks()
            yield {name: _single(joined.column(name)) for name in columns}


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
