"""The first rows of a table, as a table of their own that is read as the whole would be."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pandq.read.columns import is_list
from pandq.read.database import database, literal
from pandq.read.opened import open_source
from pandq.read.paths import ARRAYS, JSON, has_suffix
from pandq.read.query import FILE
from pandq.read.relations import Relation
from pandq.read.tables import Table
from pandq.read.text import sql_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pandq.read.columns import Column
    from pandq.read.parts import Batch, Source
    from pandq.read.places import Place

# Rows of single values are short, and a table of answers has many of them for an item.
ROWS, LONG_ROWS = 2000, 100


@dataclass(frozen=True, slots=True)
class Peek:
    """The first rows of a table: as `scan` takes them, as a Source, and as columns.

    `whole` says that they are all rows, read where they lie; `beside` that the data has a second
    table, to be joined; `options` are what `scan` is told for the table to be this one.
    """

    data: Any
    source: Source
    batch: Batch
    whole: bool = False
    beside: bool = False
    options: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def peeked(data: Any, source: Source) -> Iterator[Peek]:
    """The first rows of a table; of arrays the files themselves, which are read where they lie.

    Args:
        data: what the source was opened from.
        source: all of its rows.

    Raises:
        InputError: they cannot be read.
    """
    files: Sequence[Place] = getattr(source, "files", [])
    with tempfile.TemporaryDirectory(prefix="pandq-peek-") as folder:
        if files and has_suffix(files[0], JSON):
            data = _lines(files, Path(folder))
            source = open_source(data)
        batch = first_rows(source)
        if not files or not has_suffix(files[0], (*ARRAYS, *JSON)):
            schema = pa.schema(source.schema.items())
            data = pa.table(dict(batch)) if batch else schema.empty_table()
            names = source.class_names
            source = Table(data, source.name)
            source.class_names = names
            batch = first_rows(source)
            yield Peek(data, source, batch)
        else:
            yield Peek(data, source, batch, whole=has_suffix(files[0], ARRAYS))


def first_rows(source: Source) -> Batch:
    """Its first rows, fewer where they are long; none of a table without rows."""
    long = any(map(_is_long, source.schema.values()))
    rows = LONG_ROWS if long else ROWS
    batch = next(iter(source.batches(list(source.schema), rows)), (0, {}))[1]
    return {name: _as_told(column, source.schema[name]) for name, column in batch.items()}


def _as_told(column: Column, kind: pa.DataType) -> Column:
    """Text of a file in the type that its first rows tell of."""
    if isinstance(column, pa.Array) and column.type != kind:
        with suppress(pa.ArrowException):
            found = column.cast(kind)
            # a cast of lists of structs may leave a field of nulls too short
            found.validate(full=True)
            return found
    return column


def _is_long(kind: pa.DataType) -> bool:
    return bool(is_list(kind) or pa.types.is_nested(kind) or pa.types.is_binary(kind))


def _lines(files: Sequence[Place], folder: Path) -> Path:
    """The first objects of json, a line each, with the fields that any object has."""
    table = Relation.of(files[:1], folder, FILE)
    out = folder / f"{Path(files[0].name).stem}.jsonl"
    with database(table.files, folder) as connection, sql_errors(None, files[0]):
        connection.execute(
            f"COPY (SELECT * FROM ({table.sql}) LIMIT {ROWS}) TO {literal(out)} (FORMAT json)"
        )
    return out
