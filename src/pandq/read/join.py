"""Two tables joined by an id: duckdb joins, spilling to disk, and the result is a table like any.

Of the first table every column keeps its name; of the second it is called other.NAME. Rows come in
the order of the first table.
"""

from __future__ import annotations

import contextlib
import tempfile
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pandq.errors import InputError, near_names
from pandq.read.paths import ARRAYS, ARROW, expanded, has_suffix
from pandq.read.sources import ParquetFiles, SqlFiles, literal, quoted, sql_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

Duplicates = Literal["refuse", "first"]

OTHER = "other."


@dataclass(frozen=True, slots=True)
class Joined:
    """What a join found: a Source of the matched rows, and what was left over."""

    source: ParquetFiles
    matched: int
    only_first: int
    only_second: int
    duplicates: tuple[int, int]
    without_id: tuple[int, int] = (0, 0)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a report must say of it."""
        said = [f"joined by id: {self.matched:,} rows in both files"]
        if self.only_first or self.only_second:
            said.append(
                f"left out: {self.only_first:,} rows whose id is only in the first file,"
                f" {self.only_second:,} whose id is only in the second"
            )
        if any(self.without_id):
            first, second = self.without_id
            said.append(f"left out: {first:,} and {second:,} rows that have no id")
        if any(self.duplicates):
            first, second = self.duplicates
            said.append(
                f"ids that stand more than once: {first:,} rows of the first and {second:,} of the"
                " second were left out, and the first of each kept"
            )
        return tuple(said)

    def apart(self, column: str) -> int:
        """In how many rows the two tables hold different values under one name."""
        import duckdb

        one, other = quoted(column), quoted(OTHER + column)
        relation = SqlFiles.relation(self.source.files[0])
        with contextlib.closing(duckdb.connect()) as connection:
            differ = f"SELECT count(*) FROM {relation} WHERE {one} IS DISTINCT FROM {other}"
            return _count(connection, differ)


def joined(
    first: Sequence[str | Path],
    second: Sequence[str | Path],
    id: str,  # noqa: A002
    *,
    where: str | None = None,
    duplicates: Duplicates = "refuse",
) -> Joined:
    """The rows of two tables that have the same id.

    Args:
        first: files, globs or folders that are one table.
        second: likewise.
        id: the column that names the rows in both.
        where: a SQL condition on the joined rows.
        duplicates: "refuse" ids that stand more than once in a table, or keep the "first".

    Raises:
        InputError: a table or the column is missing, an id stands twice, or none is in both.
    """
    import duckdb

    room = tempfile.TemporaryDirectory(prefix="pandq-join-")
    connection = duckdb.connect()
    try:
        connection.execute(f"SET temp_directory = {literal(Path(room.name) / 'spill')}")
        tables = [
            _register(connection, name, files, id)
            for name, files in zip(_SIDES, (first, second), strict=True)
        ]
        repeated = [_repeated(connection, side, id) for side in _SIDES]
        if duplicates == "refuse":
            _refuse_duplicates(connection, tables, repeated, id)
        out = Path(room.name) / "joined.parquet"
        with sql_errors(where):
            connection.execute(_join(tables, id, where, out))
        missing = [
            _count(connection, f"SELECT count(*) FROM {side}_rows WHERE {quoted(id)} IS NULL")
            for side in _SIDES
        ]
        counts = [_count(connection, f"SELECT count(*) FROM {side}_once") for side in _SIDES]
        both = f"SELECT count(*) FROM first_once JOIN second_once USING ({quoted(id)})"
        matched = _count(connection, both)
        name = f"{tables[0].name} joined with {tables[1].name}"
        _require_matches(matched, id, name)
        source = _JoinedFile([out], name)
    except BaseException:
        room.cleanup()
        raise
    finally:
        connection.close()
    weakref.finalize(source, room.cleanup)
    left = counts[0] - matched, counts[1] - matched
    return Joined(source, matched, *left, (repeated[0], repeated[1]), (missing[0], missing[1]))


_SIDES = ("first", "second")


def _refuse_duplicates(
    connection: Any,
    tables: Sequence[Any],
    repeated: Sequence[int],
    id: str,  # noqa: A002
) -> None:
    for table, side, times in zip(tables, _SIDES, repeated, strict=True):
        if times:
            example = _example(connection, side, id)
            raise InputError(
                what=f"id {example!r} stands more than once ({times:,} rows too many in all)",
                where=table.name,
                remedy="To keep the first row of each id: --id-duplicates first.",
            )


def _require_matches(matched: int, id: str, name: str) -> None:  # noqa: A002
    if not matched:
        raise InputError(what=f"no {id!r} of one file is in the other", where=name)


class _JoinedFile(ParquetFiles):
    """The joined rows, under the names of the tables that they come from.

    `passing` says that the file goes with the process.
    """

    passing = True

    def __init__(self, files: Sequence[Path], name: str) -> None:
        super().__init__(files)
        self.name = name

    def called(self, place: int) -> str:
        """Rows are numbered in the join."""
        del place
        return self.name


def _register(connection: Any, name: str, given: Sequence[str | Path], id: str) -> Any:  # noqa: A002
    """A view of one table with its rows numbered, and one of the first row of each id."""
    files = expanded(given)
    if has_suffix(files[0], ARRAYS):
        raise InputError(what="arrays have no ids to join by", where=str(files[0]))
    source = _Table(files)
    if id not in source.schema:
        raise InputError(
            what=f"--id: no column {id!r}", where=source.name, remedy=near_names(id, source.schema)
        )
    if has_suffix(files[0], ARROW):
        import pyarrow.dataset as ds

        connection.register(f"{name}_arrow", ds.dataset(files, format="feather"))
        relation = f"{name}_arrow"
    else:
        parts = (f"SELECT * FROM {SqlFiles.relation(file)}" for file in files)
        relation = f"({' UNION ALL '.join(parts)})"
    numbered = f"(SELECT *, row_number() OVER () AS pandq_row FROM {relation})"
    with sql_errors(None, files[0]):
        connection.execute(
            f"CREATE TEMP TABLE {name}_keys AS SELECT {quoted(id)}, pandq_row FROM {numbered}"
            f" WHERE {quoted(id)} IS NOT NULL"
        )
        connection.execute(
            f"CREATE TEMP TABLE {name}_once AS SELECT {quoted(id)}, min(pandq_row) AS pandq_row"
            f" FROM {name}_keys GROUP BY {quoted(id)}"
        )
    connection.execute(f"CREATE TEMP VIEW {name}_rows AS SELECT * FROM {numbered}")
    return source


class _Table(SqlFiles):
    """A table of any format that duckdb or pyarrow reads, for its columns' names."""

    def read_schema(self, file: Path) -> Any:
        """From the file itself."""
        if has_suffix(file, ARROW):
            import pyarrow.dataset as ds

            schema = ds.dataset([file], format="feather").schema
            return dict(zip(schema.names, schema.types, strict=True))
        return super().read_schema(file)


def _repeated(connection: Any, name: str, id: str) -> int:  # noqa: A002
    return _count(connection, f"SELECT count(*) - count(DISTINCT {quoted(id)}) FROM {name}_keys")


def _example(connection: Any, name: str, id: str) -> Any:  # noqa: A002
    column = quoted(id)
    answer = connection.execute(
        f"SELECT {column} FROM {name}_keys GROUP BY {column} HAVING count(*) > 1"
        " ORDER BY min(pandq_row) LIMIT 1"
    ).fetchone()
    return answer[0]


def _count(connection: Any, sql: str) -> int:
    return int(connection.execute(sql).fetchone()[0])


def _join(tables: Sequence[Any], id: str, where: str | None, out: Path) -> str:  # noqa: A002
    mine = ", ".join(f"a.{quoted(name)}" for name in tables[0].schema)
    theirs = ", ".join(
        f"b.{quoted(name)} AS {quoted(OTHER + name)}" for name in tables[1].schema if name != id
    )
    condition = f" WHERE ({where})" if where else ""
    key = quoted(id)
    found = (
        f"SELECT {mine}, {theirs}, a.pandq_row AS pandq_order"
        f" FROM first_once f JOIN second_once s ON f.{key} = s.{key}"
        " JOIN first_rows a ON a.pandq_row = f.pandq_row"
        " JOIN second_rows b ON b.pandq_row = s.pandq_row"
    )
    ordered = f"SELECT * EXCLUDE (pandq_order) FROM ({found}){condition} ORDER BY pandq_order"
    return f"COPY ({ordered}) TO {literal(out)} (FORMAT parquet, COMPRESSION zstd)"
