"""Files as SQL reads them: a relation of their columns as they are, with the types of all rows."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from pandq.errors import InputError
from pandq.read.columns import is_list, is_text
from pandq.read.condition import Condition
from pandq.read.database import database, place, quoted, require_apart
from pandq.read.join import as_parquet
from pandq.read.paths import ARRAYS, JSON, PARQUET, has_suffix
from pandq.read.places import local
from pandq.read.sources import open_tables
from pandq.read.text import TextFiles, relation, sql_errors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pandq.read.places import Place


@dataclass(frozen=True, slots=True)
class Relation:
    """Files that are one table, as SQL reads them: columns with their types."""

    side: str
    name: str
    files: tuple[Place, ...]
    sql: str
    schema: Mapping[str, str]
    class_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, files: Sequence[Place], room: Path, side: str, name: str = "") -> Self:
        """The relation of files of one format; what duckdb cannot read as it is goes to a room.

        Raises:
            InputError: they are arrays, or cannot be read.
        """
        more = f" and {len(files) - 1} more" if len(files) > 1 else ""
        names: Mapping[str, tuple[str, ...]] = {}
        name = name or f"{files[0]}{more}"
        if has_suffix(files[0], ARRAYS):
            raise InputError(what="layouts are for tables, not arrays", where=str(files[0]))
        if has_suffix(files[0], JSON):
            files = [_as_lines(file, room / f"{side}{k}.jsonl") for k, file in enumerate(files)]
            _require_keys_apart(files)
            sql = _json(files)
        else:
            source = open_tables(files)
            require_apart(source.schema, name)
            names = source.class_names
            if isinstance(source, TextFiles):
                sql = _text(source)
            elif has_suffix(files[0], PARQUET):
                sql = of_parquet(files)
            else:
                files = [as_parquet(source, room / f"{side}.parquet")]
                sql = of_parquet(files)
        with database(files) as connection, sql_errors(None, files[0]):
            schema = described(connection, sql)
        return cls(side, name, tuple(files), sql, schema, names)

    def under(self, where: str) -> Self:
        """The rows that satisfy a condition.

        Raises:
            InputError: it is none on these columns.
        """
        sql = f"SELECT * FROM ({self.sql}) WHERE {Condition.of(where, self.schema).sql}"
        with database(self.files) as connection, sql_errors(where, known=self.schema):
            connection.execute(f"DESCRIBE {sql}")
        return replace(self, sql=sql)


def described(connection: Any, sql: str) -> dict[str, str]:
    """The columns of a query and their types in SQL."""
    found = connection.execute(f"DESCRIBE SELECT * FROM ({sql})").fetchall()
    return {row[0]: row[1] for row in found}


def sql_type(kind: pa.DataType) -> str:
    """What SQL calls a type of Arrow, as far as layouts ask.

    >>> sql_type(pa.list_(pa.string())), sql_type(pa.struct({"a": pa.int64()}))
    ('VARCHAR[]', 'STRUCT()')
    """
    if is_list(kind):
        return f"{sql_type(kind.value_type)}[]"
    if pa.types.is_struct(kind) or pa.types.is_map(kind):
        return "MAP()" if pa.types.is_map(kind) else "STRUCT()"
    return "VARCHAR" if is_text(kind) else str(kind).upper()


def of_parquet(files: Sequence[Place]) -> str:
    """Parquet files as one query."""
    listed = ", ".join(map(place, files))
    return f"SELECT * FROM read_parquet([{listed}], hive_partitioning = false)"


def _json(files: Sequence[Place]) -> str:
    """All rows decide which fields an object has, and what they hold."""
    listed = ", ".join(map(place, files))
    return (
        f"SELECT * FROM read_json([{listed}], union_by_name = true, sample_size = -1,"
        f" maximum_object_size = {_LARGEST_OBJECT}, hive_partitioning = false)"
    )


def _require_keys_apart(files: Sequence[Place]) -> None:
    """Refuse objects two keys of which differ by capitals alone: fields of SQL cannot.

    Raises:
        InputError: there is such an object.
    """
    import duckdb

    with database(files) as connection:
        try:
            described(connection, _json(files))
        except duckdb.NotImplementedException as error:
            name = re.search('Duplicate name "(.*?)" in struct', str(error))
            if name is None:
                return
            what = f"two keys of one object differ by capitals alone, {name[1]!r} and another"
            remedy = "Rename one of them: a layout takes them for one."
            raise InputError(what, where=str(files[0]), remedy=remedy) from None
        except duckdb.Error:
            return  # said where it is read


# Bytes of one JSON value; duckdb keeps a few of them.
_LARGEST_OBJECT = 1 << 26


def _as_lines(file: Place, made: Path) -> Place:
    """A JSON file whose one object holds the items by their names, as a line for each."""
    if not file.name.lower().endswith(".json"):
        return file
    with file.open("rb") as stream:
        if not stream.read(64).lstrip().startswith(b"{"):
            return file
    try:
        whole = json.loads(local(file).read_text("utf-8"))
    except ValueError:
        return file  # lines of JSON, or nothing that could be read
    if not whole or not all(isinstance(value, dict) for value in whole.values()):
        return file
    with made.open("w", encoding="utf-8") as out:
        for key, value in whole.items():
            own = value if "item" in value else {"item": key, **value}
            out.write(json.dumps(own) + "\n")
    return made


def _text(source: TextFiles) -> str:
    """Columns of csv in the types that all of their rows are written in."""
    kinds = source.written(list(source.schema))
    wanted = ", ".join(
        f"CAST({quoted(name)} AS {kind}) AS {quoted(name)}" for name, kind in kinds.items()
    )
    parts = (
        f"SELECT {wanted} FROM {relation(file, source.held(file, list(source.schema)))}"
        for file in source.files
    )
    return " UNION ALL BY NAME ".join(parts)
