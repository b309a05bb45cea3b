"""Two tables joined by an id: duckdb joins, spilling to disk, and the result is a table like any.

Of the first table every column keeps its name; of the second it is called other.NAME. Rows come in
the order of the first table.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import pyarrow as pa

from pandq.errors import InputError, near_names
from pandq.read.condition import Condition
from pandq.read.database import database, literal, place, quoted, require_apart
from pandq.read.paths import ARRAYS, PARQUET, expanded, has_suffix
from pandq.read.recognise import OTHER
from pandq.read.rooms import room
from pandq.read.sources import ParquetFiles, open_tables
from pandq.read.text import TextFiles, sql_errors
from pandq.read.unchanged import Version, unchanged

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pandq.read.parts import Source
    from pandq.read.places import Place

Duplicates = Literal["refuse", "first"]

# What a table's ids are called that pandq wrote.
WRITTEN_ID = "id"
BATCH = 1 << 16


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
        one, other = quoted(column), quoted(OTHER + column)
        relation = _relation(self.source.files[0])
        with database(self.source.files) as connection:
            differ = f"SELECT count(*) FROM {relation} WHERE {one} IS DISTINCT FROM {other}"
            return _count(connection, differ)


def joined(
    first: Sequence[str | Path],
    second: Sequence[str | Path],
    id: str,  # noqa: A002
    *,
    where: str | None = None,
    duplicates: Duplicates = "refuse",
    as_text: Sequence[str] = (),
    names: Sequence[str | None] = (None, None),
) -> Joined:
    """The rows of two tables that have the same id.

    Args:
        first: files, globs or folders that are one table.
        second: likewise.
        id: the column that names the rows in both.
        where: a SQL condition on the joined rows.
        duplicates: "refuse" ids that stand more than once in a table, or keep the "first".
        as_text: columns of csv and json that are kept exactly as they are written, as the id is.
        names: what to call the tables, where their files do not say it.

    Raises:
        InputError: a table or the column is missing, an id is a duplicate, or none is in both.
    """
    with room("pandq-join-") as (folder, goes_with):
        sides = [expanded(files) for files in (first, second)]
        with unchanged([Version.of(file) for files in sides for file in files]):
            tables = [
                _Given.of(files, side, folder, id=id, as_text=as_text)
                for side, files in zip(_SIDES, sides, strict=True)
            ]
            named = zip(tables, names, strict=True)
            tables = [replace(table, name=name or table.name) for table, name in named]
            # 7 in one file and "7" in the other are one id
            apart = tables[0].id_type != tables[1].id_type
            tables = [replace(table, id_as_text=apart) for table in tables]
            found = _found(tables, id, where, folder, duplicates)
        goes_with(found.source)
    return found


@dataclass(frozen=True, slots=True)
class _Given:
    """A table to join: what it is called and holds, and the files that duckdb reads it from."""

    side: str
    name: str
    columns: tuple[str, ...]
    files: tuple[Place, ...]
    id: str
    id_type: pa.DataType | None
    written: dict[str, str]
    id_as_text: bool = False
    own_id: str = ""
    class_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        files: Sequence[Place],
        side: str,
        room: Path,
        *,
        id: str,  # noqa: A002
        as_text: Sequence[str],
    ) -> Self:
        """Files of one format; what is no parquet is written anew as such.

        Args:
            files: of the table.
            side: what to call it in SQL.
            room: a folder to write to.
            id: the column that names the rows; "id" will do where there is none of this name, as
                `pandq votes` writes it.
            as_text: other columns that are kept exactly as they are written.

        Raises:
            InputError: they are of different formats, or hold arrays.
        """
        if has_suffix(files[0], ARRAYS):
            raise InputError(what="arrays have no ids to join by", where=str(files[0]))
        source = open_tables(files)
        columns, written, names = tuple(source.schema), {}, source.class_names
        require_apart(columns, source.name)
        own = WRITTEN_ID if id not in columns and WRITTEN_ID in columns else id
        if not has_suffix(files[0], PARQUET):
            text = [name for name in (own, *as_text) if name in source.schema]
            written = source.written(text) if isinstance(source, TextFiles) else {}
            typed = source.as_text(text).typed()
            files = [as_parquet(typed, room / f"{side}.parquet")]
        id_type = ParquetFiles(files[:1]).schema.get(own)
        columns = tuple(id if name == own else name for name in columns)
        written = {id if name == own else name: kind for name, kind in written.items()}
        return cls(
            side,
            source.name,
            columns,
            tuple(files),
            id,
            id_type,
            written,
            own_id=own,
            class_names=names,
        )

    @property
    def relation(self) -> str:
        """The table with its rows numbered, in a FROM clause."""
        key, own = quoted(self.id), quoted(self.own_id)
        name = "*" if own == key else f"* RENAME ({own} AS {key})"
        parts = (f"SELECT {name} FROM {_relation(file)}" for file in self.files)
        if self.id_as_text:
            text = f"* REPLACE (CAST({key} AS VARCHAR) AS {key})"
            parts = (f"SELECT {text} FROM ({part})" for part in parts)
        return f"(SELECT *, row_number() OVER () AS pandq_row FROM ({' UNION ALL '.join(parts)}))"


def as_parquet(source: Source, path: Path) -> Path:
    """A table written anew as parquet."""
    import pyarrow.parquet as pq

    batches = source.batches(list(source.schema), BATCH)
    tables = (pa.table(dict(batch)) for _, batch in batches)
    first = next(tables, pa.schema(source.schema.items()).empty_table())
    with pq.ParquetWriter(path, first.schema) as writer:
        for table in itertools.chain([first], tables):
            writer.write_table(table)
    return path


def _relation(file: Place) -> str:
    """A parquet file in a FROM clause."""
    return f"read_parquet({place(file)}, hive_partitioning = false)"


def _found(
    tables: Sequence[_Given],
    id: str,  # noqa: A002
    where: str | None,
    room: Path,
    duplicates: Duplicates,
) -> Joined:
    """Both tables joined, in a file in this room."""
    files = [file for table in tables for file in table.files]
    name = f"{tables[0].name} joined with {tables[1].name}"
    out = room / "joined.parquet"
    with database(files, room) as connection:
        for table in tables:
            _register(connection, table, id)
        repeated = [_repeated(connection, side, id) for side in _SIDES]
        if duplicates == "refuse":
            _refuse_duplicates(connection, tables, repeated, id)
        with sql_errors(where):
            connection.execute(_join(tables, id, where, out))
        missing = [
            _count(connection, f"SELECT count(*) FROM {side}_rows WHERE {quoted(id)} IS NULL")
            for side in _SIDES
        ]
        counts = [_count(connection, f"SELECT count(*) FROM {side}_once") for side in _SIDES]
        both = f"SELECT count(*) FROM first_once JOIN second_once USING ({quoted(id)})"
        matched = _count(connection, both)
        held = [] if matched else [_held(connection, side, id) for side in _SIDES]
    if not matched:
        got = ", and ".join(held)
        raise InputError(what=f"no {id!r} of one file is in the other", where=name, got=got)
    left = counts[0] - matched, counts[1] - matched
    times, without = (repeated[0], repeated[1]), (missing[0], missing[1])
    one, other = tables[0].class_names, tables[1].class_names
    called = {**one, **{OTHER + column: classes for column, classes in other.items()}}
    return Joined(MadeFile([out], name, called), matched, *left, times, without)


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
                what=f"id {example!r} is a duplicate ({times:,} rows too many in all)",
                where=table.name,
                remedy="To keep the first row of each id: pandq compare --id-duplicates first.",
            )


def _held(connection: Any, side: str, id: str) -> str:  # noqa: A002
    """How many ids a table has, and what one looks like."""
    n, one = connection.execute(
        f"SELECT count(*), arg_min({quoted(id)}, pandq_row) FROM {side}_once"
    ).fetchone()
    return f"{n:,} ids such as {one!r}" if n else "no ids"


class MadeFile(ParquetFiles):
    """Rows that a query made, under the names of the tables that they come from.

    `passing` says that the file goes with the process.
    """

    passing = True

    class_names: Mapping[str, tuple[str, ...]] = {}

    def __init__(
        self,
        files: Sequence[Path],
        name: str,
        class_names: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        super().__init__(files)
        self.name, self.class_names = name, class_names or {}

    def called(self, place: int) -> str:
        """Rows are numbered in what was made."""
        del place
        return self.name


def _register(connection: Any, table: _Given, id: str) -> None:  # noqa: A002
    """A view of one table with its rows numbered, and one of the first row of each id."""
    if id not in table.columns:
        raise InputError(
            what=f"--id: no column {id!r}", where=table.name, remedy=near_names(id, table.columns)
        )
    side, key = table.side, quoted(id)
    with sql_errors(None, table.files[0]):
        connection.execute(
            f"CREATE TEMP TABLE {side}_keys AS SELECT {key}, pandq_row FROM {table.relation}"
            f" WHERE {key} IS NOT NULL"
        )
        connection.execute(
            f"CREATE TEMP TABLE {side}_once AS SELECT {key}, min(pandq_row) AS pandq_row"
            f" FROM {side}_keys GROUP BY {key}"
        )
    connection.execute(f"CREATE TEMP VIEW {side}_rows AS SELECT * FROM {table.relation}")


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


def _join(tables: Sequence[_Given], id: str, where: str | None, out: Path) -> str:  # noqa: A002
    one, two = (table.columns for table in tables)
    theirs = {OTHER + name: name for name in two if name != id}
    mine = ", ".join(f"a.{quoted(name)}" for name in one)
    others = "".join(f", b.{quoted(name)} AS {quoted(new)}" for new, name in theirs.items())
    key = quoted(id)
    found = (
        f"SELECT {mine}{others}, a.pandq_row AS pandq_order"
        f" FROM first_once f JOIN second_once s ON f.{key} = s.{key}"
        " JOIN first_rows a ON a.pandq_row = f.pandq_row"
        " JOIN second_rows b ON b.pandq_row = s.pandq_row"
    )
    kept = "" if where is None else _kept(Condition.of(where, [*one, *theirs]), tables, id)
    ordered = (
        f"WITH joined AS ({found}) SELECT * EXCLUDE (pandq_order) FROM joined{kept}"
        " ORDER BY pandq_order"
    )
    return f"COPY ({ordered}) TO {literal(out)} (FORMAT parquet, COMPRESSION zstd)"


def _kept(condition: Condition, tables: Sequence[_Given], id: str) -> str:  # noqa: A002
    """The rows that satisfy a condition, which sees numbers where text that is kept holds some."""
    one, two = (table.written for table in tables)
    kinds = one | {name if name == id else OTHER + name: kind for name, kind in two.items()}
    casts = [f"CAST({quoted(name)} AS {kind}) AS {quoted(name)}" for name, kind in kinds.items()]
    seen = f"* REPLACE ({', '.join(casts)})" if casts else "*"
    return (
        f" WHERE pandq_order IN (SELECT pandq_order FROM (SELECT {seen} FROM joined)"
        f" WHERE {condition.sql})"
    )
